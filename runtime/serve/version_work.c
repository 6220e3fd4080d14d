#include "runtime/serve/version_work.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/api/json_text.h"
#include "runtime/api/version_reply.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

int version_work_reply(struct version_request *r, cJSON *root, struct err *e)
{
    r->reply = json_text_take(root, &r->reply_len);
    return r->reply ? 0 : err_nomem(e);
}

/* --- reading --- */

static int add_labels(struct version_request *r, cJSON *root, struct err *e)
{
    struct version_label *labels = NULL;
    size_t n_labels = 0;
    cJSON *names = cJSON_AddObjectToObject(root, "labels");
    if (version_store_labels(r->store, r->name, &labels, &n_labels, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < n_labels; i++) {
        cJSON_AddNumberToObject(names, labels[i].name, (double)labels[i].version);
    }
    mem_free(labels);
    return 0;
}

static int describe(struct version_request *r, struct err *e)
{
    bool is_none = false;
    if (r->api->load(r, e) != 0) {
        /* What a server has that nobody has told anything, or what comes from a file. */
        is_none = e->kind == ERR_NOT_FOUND && r->api->is_served(r);
        if (!is_none) {
            return -1;
        }
        r->state = (struct version_state){.revision = 0};
        memcpy(r->state.name, r->name, sizeof(r->state.name));
    }
    cJSON *root = version_state_json(&r->state);
    int rc = 0;
    if (is_none) {
        cJSON_AddObjectToObject(root, "labels");
    } else {
        rc = add_labels(r, root, e);
    }
    if (rc != 0 || r->api->describe(r, is_none, root, e) != 0) {
        cJSON_Delete(root);
        return -1;
    }
    r->etag = r->state.revision;
    return version_work_reply(r, root, e);
}

static int list_objects(struct version_request *r, struct err *e)
{
    struct version_state *items = NULL;
    size_t n = 0;
    if (version_store_objects(r->store, r->from[0] ? r->from : NULL, r->limit, &items, &n, e) !=
        0) {
        return -1;
    }
    cJSON *root = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(root, r->api->list);
    for (size_t i = 0; i < n; i++) {
        cJSON_AddItemToArray(list, version_state_json(&items[i]));
    }
    mem_free(items);
    if (r->api->add_to_list) {
        r->api->add_to_list(r, root);
    }
    return version_work_reply(r, root, e);
}

static int list_versions(struct version_request *r, struct err *e)
{
    struct version_info *items = NULL;
    size_t n = 0;
    if (version_store_versions(r->store, r->name, r->before, r->limit, &items, &n, e) != 0) {
        return -1;
    }
    cJSON *root = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(root, "versions");
    for (size_t i = 0; i < n; i++) {
        cJSON *row = version_info_json(&items[i]);
        r->api->add_to_info(&items[i], row);
        cJSON_AddItemToArray(list, row);
    }
    mem_free(items);
    return version_work_reply(r, root, e);
}

static int list_audit(struct version_request *r, struct err *e)
{
    struct version_audit *items = NULL;
    size_t n = 0;
    const struct version_audit_filter filter = {.kind = r->audit_kind,
                                                .name = r->from[0] ? r->from : NULL};
    if (version_database_audit(r->server->database, &filter, r->before, r->limit, &items, &n,
                               e) != 0) {
        return -1;
    }
    cJSON *root = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(root, "audit");
    for (size_t i = 0; i < n; i++) {
        cJSON_AddItemToArray(list, version_audit_json(&items[i]));
    }
    mem_free(items);
    return version_work_reply(r, root, e);
}

static int show_diff(struct version_request *r, struct err *e)
{
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    int rc =
        r->api->diff(r, r->from[0] ? r->from : "active", r->to[0] ? r->to : "latest", &text, e);
    if (rc == 0) {
        r->reply = buf_take(&text, &r->reply_len);
        r->is_text = true;
        rc = r->reply ? 0 : err_nomem(e);
    }
    buf_deinit(&text);
    return rc;
}

/* --- changing --- */

bool version_work_is_stored(struct version_request *r, const char *sha256)
{
    struct version_text active;
    struct err none = {0};
    if (!r->from_folder ||
        version_store_load(r->store, r->name, NULL, &active, NULL, &none) != 0) {
        return false;
    }
    bool is_same = active.number > 0 && strcmp(active.sha256, sha256) == 0;
    version_text_deinit(&active);
    return is_same;
}

int version_work_activate_numbered(struct version_request *r, const char *sha256, struct err *e)
{
    char which[24];
    struct version_text t;
    if (r->change.number == 0) {
        return 0;
    }
    if (strcmp(r->sha256, sha256) != 0) {
        return err_set(e, ERR_FORMAT,
                       "its content has the SHA-256 %.12s and is said to have %.12s", sha256,
                       r->sha256);
    }
    snprintf(which, sizeof(which), "%" PRIu64, r->change.number);
    if (version_store_get(r->store, r->name, which, &t, e) != 0) {
        bool is_new = e->kind == ERR_NOT_FOUND;
        if (is_new) {
            *e = (struct err){0};
        }
        return is_new ? 0 : -1;
    }
    bool is_same = strcmp(t.sha256, sha256) == 0;
    version_text_deinit(&t);
    if (!is_same) {
        return err_set(e, ERR_CONFLICT,
                       "version %s of %s \"%s\" is another one here; set it anew, under a "
                       "number that no replica has",
                       which, r->api->noun, r->name);
    }
    return version_store_activate(r->store, r->name, r->change.number, &r->change, NULL, e) == 0
               ? 1
               : -1;
}

int version_work_which(const cJSON *body, char which[VERSION_NAME_MAX + 1], struct err *e)
{
    const cJSON *item = json_field_get(body, "version");
    if (cJSON_IsNumber(item)) {
        double n = 0.0;
        if (json_field_integer(body, "version", 1, 9007199254740991.0, &n, e) != 0) {
            return -1;
        }
        snprintf(which, VERSION_NAME_MAX + 1, "%.0f", n);
        return 0;
    }
    if (!cJSON_IsString(item) || strlen(item->valuestring) > VERSION_NAME_MAX) {
        return json_field_wrong_type("version", "a number or a label", e);
    }
    snprintf(which, VERSION_NAME_MAX + 1, "%s", item->valuestring);
    return 0;
}

static int change_with_body(struct version_request *r, const cJSON *body, struct err *e)
{
    char which[VERSION_NAME_MAX + 1];
    uint64_t version = 0;
    double percent = 0.0;
    if (!cJSON_IsObject(body)) {
        return err_set(e, ERR_INVALID, "the body must be a JSON object");
    }
    if (r->op == VERSION_OP_SPLIT) {
        if (!json_field_get(body, "percent")) {
            return json_field_wrong_type("percent", "a whole number from 0 to 99", e);
        }
        if (json_field_integer(body, "percent", 0, 99, &percent, e) != 0) {
            return -1;
        }
        if (percent == 0.0) {
            return version_store_split(r->store, r->name, 0, 0, &r->change, NULL, e);
        }
    }
    if (version_work_which(body, which, e) != 0 || r->api->find(r, which, &version, e) != 0) {
        return -1;
    }
    if (r->op == VERSION_OP_SPLIT) {
        return version_store_split(r->store, r->name, version, (int)percent, &r->change, NULL,
                                   e);
    }
    if (r->op == VERSION_OP_LABEL) {
        return version_store_set_label(r->store, r->name, r->item, version, &r->change, NULL,
                                       e);
    }
    return version_store_activate(r->store, r->name, version, &r->change, NULL, e);
}

static int change_by_body(struct version_request *r, struct err *e)
{
    cJSON *body = json_parse(r->body, r->body_len, e);
    int rc = body ? change_with_body(r, body, e) : -1;
    cJSON_Delete(body);
    return rc;
}

static int delete_version(struct version_request *r, struct err *e)
{
    struct version_text t;
    if (version_store_get(r->store, r->name, r->item, &t, e) != 0) {
        return -1;
    }
    uint64_t version = t.number;
    version_text_deinit(&t);
    return version_store_delete_version(r->store, r->name, version, &r->change, NULL, e);
}

/* The object as it is after a change that was made; another request may have deleted it since.
 */
static int describe_changed(struct version_request *r, struct err *e)
{
    if (describe(r, e) == 0) {
        return 0;
    }
    return e->kind != ERR_NOT_FOUND
               ? -1
               : err_set_param(e, ERR_CONFLICT, r->api->param,
                               "%s \"%s\" was changed, and then deleted by another request",
                               r->api->noun, r->name);
}

/* A change, and then the object as it is. */
static int change(struct version_request *r, struct err *e)
{
    int rc = -1;
    switch (r->op) {
    case VERSION_OP_PUT:
        rc = r->api->put(r, e);
        break;
    case VERSION_OP_ROLLBACK:
        rc = version_store_rollback(r->store, r->name, &r->change, NULL, e);
        break;
    case VERSION_OP_UNLABEL:
        rc = version_store_remove_label(r->store, r->name, r->item, &r->change, NULL, e);
        break;
    default:
        rc = change_by_body(r, e);
        break;
    }
    r->publish = rc == 0;
    return rc == 0 ? describe_changed(r, e) : -1;
}

static int remove_something(struct version_request *r, struct err *e)
{
    r->status = 204;
    if (r->op == VERSION_OP_VERSION_DELETE) {
        return delete_version(r, e);
    }
    r->publish = true;
    return version_store_delete(r->store, r->name, &r->change, &r->state, e);
}

static int run(struct version_request *r, struct err *e)
{
    switch (r->op) {
    case VERSION_OP_LIST:
        return list_objects(r, e);
    case VERSION_OP_GET:
        return describe(r, e);
    case VERSION_OP_VERSIONS:
        return list_versions(r, e);
    case VERSION_OP_VERSION:
        return r->api->show(r, e);
    case VERSION_OP_DIFF:
        return show_diff(r, e);
    case VERSION_OP_DRY_RUN:
        return r->api->dry_run(r, e);
    case VERSION_OP_TRACE:
        return r->api->trace(r, e);
    case VERSION_OP_AUDIT:
        return list_audit(r, e);
    case VERSION_OP_DELETE:
    case VERSION_OP_VERSION_DELETE:
        return remove_something(r, e);
    default:
        return change(r, e);
    }
}

void version_work_run(struct version_request *r)
{
    r->status = 200;
    r->failed = run(r, &r->e) != 0;
    r->publish = r->publish && !r->failed;
}
