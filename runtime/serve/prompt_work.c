#include "runtime/serve/prompt_work.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/api/json_text.h"
#include "runtime/api/prompt_reply.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/serve/answer_prompt.h"
#include "runtime/serve/prompt_prefix.h"

/* Fewer tokens than this for question and answer are too few for a warning to be left out. */
#define ROOM_WANTED 256

static int reply_json(struct prompt_request *r, cJSON *root, struct err *e)
{
    r->reply = json_text_take(root, &r->reply_len);
    return r->reply ? 0 : err_nomem(e);
}

/* --- versions and what they make of a conversation --- */

/* A version as it stands in the tree of an answer. */
static cJSON *version_tree(const struct prompt *p)
{
    size_t len = 0;
    char *text = prompt_to_json(p, &len);
    cJSON *tree = text ? cJSON_Parse(text) : NULL;
    mem_free(text);
    return tree;
}

struct trial {
    struct token_list tokens; /* of the shortest conversation */
    struct token_list prefix; /* of these, what all conversations share */
};

static void trial_deinit(struct trial *t)
{
    token_list_deinit(&t->tokens);
    token_list_deinit(&t->prefix);
}

/* Variables without a value stand for a letter here: some value will come. */
static int try_version(struct prompt_request *r, struct prompt *p, struct trial *t,
                       struct err *e)
{
    struct prompt_value values[PROMPT_VARIABLES_MAX];
    struct chat_message message = {.role = "user", .content = "?", .content_len = 1};
    const struct answer_request request = {
        .messages = &message, .n_messages = 1, .n_choices = 1};
    struct answer_prompt_source source = {
        .generation = r->generation, .prompt = p, .values = values, .request = &request};
    for (size_t i = 0; i < p->n_variables; i++) {
        if (!p->variables[i].value) {
            values[source.n_values++] =
                (struct prompt_value){.name = p->variables[i].name, .value = "x"};
        }
    }
    bool reasoning_open;
    *t = (struct trial){0};
    if (answer_prompt_tokens(&source, 0, &t->tokens, &reasoning_open, e) != 0 ||
        prompt_prefix_find(r->generation, p, &t->prefix, e) != 0) {
        trial_deinit(t);
        return -1;
    }
    return 0;
}

/* The model must be able to read it, and must have room for an answer. */
static int check_fits(struct prompt_request *r, struct prompt *p, struct err *e)
{
    struct trial t;
    if (!r->generation->engine) {
        return 0;
    }
    if (try_version(r, p, &t, e) != 0) {
        return -1;
    }
    size_t context = (size_t)generation_context(r->generation);
    size_t n = t.tokens.count;
    trial_deinit(&t);
    return n < context ? 0
                       : err_set_param(e, ERR_LIMIT, "text",
                                       "the prompt makes a conversation of %zu tokens, and the "
                                       "context has %zu; shorten it",
                                       n, context);
}

/* --- reading --- */

/* The default prompt of a server that has none yet: version 0, which says nothing. */
static int describe_none(struct prompt_request *r, struct err *e)
{
    cJSON *root = prompt_profile_json(&(struct prompt_profile){.name = PROMPT_DEFAULT_PROFILE});
    cJSON_AddObjectToObject(root, "labels");
    cJSON_AddNumberToObject(root, "version", 0);
    cJSON_AddStringToObject(root, "sha256", r->server->no_prompt->sha256);
    cJSON_AddStringToObject(root, "text", "");
    cJSON_AddNullToObject(root, "prompt");
    return reply_json(r, root, e);
}

static int describe(struct prompt_request *r, struct err *e)
{
    struct prompt_label *labels = NULL;
    size_t n_labels = 0;
    if (prompt_store_load(r->store, r->profile, &r->state, &r->active, &r->split, e) != 0) {
        bool is_none =
            e->kind == ERR_NOT_FOUND && strcmp(r->profile, PROMPT_DEFAULT_PROFILE) == 0;
        return is_none ? describe_none(r, e) : -1;
    }
    if (prompt_store_labels(r->store, r->profile, &labels, &n_labels, e) != 0) {
        return -1;
    }
    cJSON *root = prompt_profile_json(&r->state);
    cJSON *names = cJSON_AddObjectToObject(root, "labels");
    for (size_t i = 0; i < n_labels; i++) {
        cJSON_AddNumberToObject(names, labels[i].name, (double)labels[i].version);
    }
    mem_free(labels);
    if (r->active) {
        cJSON_AddNumberToObject(root, "version", (double)r->active->version);
        cJSON_AddStringToObject(root, "sha256", r->active->sha256);
        cJSON_AddStringToObject(root, "text", r->active->text);
        cJSON_AddItemToObject(root, "prompt", version_tree(r->active));
    } else {
        cJSON_AddNullToObject(root, "prompt");
    }
    r->etag = r->state.revision;
    return reply_json(r, root, e);
}

/* How often what was read ahead was found, and why not. */
static void add_prefix_stats(const struct prompt_request *r, cJSON *root)
{
    cJSON *prefix = cJSON_AddObjectToObject(root, "prefix");
    cJSON *misses = cJSON_CreateObject();
    cJSON_AddNumberToObject(prefix, "hits", (double)r->prefix.hits);
    cJSON_AddItemToObject(prefix, "misses", misses);
    cJSON_AddNumberToObject(misses, "variables", (double)r->prefix.variables);
    cJSON_AddNumberToObject(misses, "not_served", (double)r->prefix.not_served);
    cJSON_AddNumberToObject(misses, "not_read", (double)r->prefix.not_read);
    cJSON_AddNumberToObject(misses, "evicted", (double)r->prefix.evicted);
}

static int list_profiles(struct prompt_request *r, struct err *e)
{
    struct prompt_profile *items = NULL;
    size_t n = 0;
    if (prompt_store_profiles(r->store, r->from[0] ? r->from : NULL, r->limit, &items, &n, e) !=
        0) {
        return -1;
    }
    cJSON *root = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(root, "profiles");
    for (size_t i = 0; i < n; i++) {
        cJSON_AddItemToArray(list, prompt_profile_json(&items[i]));
    }
    mem_free(items);
    add_prefix_stats(r, root);
    return reply_json(r, root, e);
}

static int list_versions(struct prompt_request *r, struct err *e)
{
    struct prompt_version_info *items = NULL;
    size_t n = 0;
    if (prompt_store_versions(r->store, r->profile, r->before, r->limit, &items, &n, e) != 0) {
        return -1;
    }
    cJSON *root = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(root, "versions");
    for (size_t i = 0; i < n; i++) {
        cJSON_AddItemToArray(list, prompt_version_json(&items[i]));
    }
    mem_free(items);
    return reply_json(r, root, e);
}

static int list_audit(struct prompt_request *r, struct err *e)
{
    struct prompt_audit *items = NULL;
    size_t n = 0;
    if (prompt_store_audit(r->store, r->from[0] ? r->from : NULL, r->before, r->limit, &items,
                           &n, e) != 0) {
        return -1;
    }
    cJSON *root = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(root, "audit");
    for (size_t i = 0; i < n; i++) {
        cJSON_AddItemToArray(list, prompt_audit_json(&items[i]));
    }
    mem_free(items);
    return reply_json(r, root, e);
}

static int show_version(struct prompt_request *r, struct err *e)
{
    struct prompt *p = prompt_store_get(r->store, r->profile, r->item, e);
    if (!p) {
        return -1;
    }
    r->reply = prompt_to_json(p, &r->reply_len);
    prompt_unref(p);
    return r->reply ? 0 : err_nomem(e);
}

static int show_diff(struct prompt_request *r, struct err *e)
{
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    int rc = -1;
    struct prompt *a =
        prompt_store_get(r->store, r->profile, r->from[0] ? r->from : "active", e);
    struct prompt *b =
        a ? prompt_store_get(r->store, r->profile, r->to[0] ? r->to : "latest", e) : NULL;
    if (b && prompt_diff(a, b, &text, e) == 0) {
        r->reply = buf_take(&text, &r->reply_len);
        r->is_text = true;
        rc = r->reply ? 0 : err_nomem(e);
    }
    prompt_unref(a);
    prompt_unref(b);
    buf_deinit(&text);
    return rc;
}

/* --- trying --- */

static char *token_text(const struct tokenizer *t, const struct token_list *tokens)
{
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    for (size_t i = 0; i < tokens->count; i++) {
        size_t len;
        const char *bytes = tokenizer_token_bytes(t, tokens->ids[i], &len);
        const char *name = len > 0 ? NULL : tokenizer_token_name(t, tokens->ids[i]);
        if (name) {
            buf_append_str(&text, name);
        } else {
            buf_append(&text, bytes, len);
        }
    }
    char *taken = buf_take(&text, NULL);
    buf_deinit(&text);
    return taken;
}

static int answer_trial(struct prompt_request *r, struct prompt *p, const struct trial *t,
                        struct err *e)
{
    char *text = token_text(r->generation->model->tokenizer, &t->tokens);
    if (!text) {
        return err_nomem(e);
    }
    double context = generation_context(r->generation);
    double left = context - (double)t->tokens.count;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "text", text);
    mem_free(text);
    cJSON_AddNumberToObject(root, "tokens", (double)t->tokens.count);
    cJSON_AddNumberToObject(root, "shared_tokens", (double)t->prefix.count);
    cJSON_AddNumberToObject(root, "context", context);
    cJSON_AddNumberToObject(root, "left", left);
    cJSON *warnings = cJSON_AddArrayToObject(root, "warnings");
    if (left < ROOM_WANTED) {
        cJSON_AddItemToArray(warnings,
                             cJSON_CreateString(left <= 0 ? "it does not fit into the context"
                                                          : "little of the context is left for "
                                                            "conversations"));
    }
    bool volatile_early = p->n_variables > 0 && t->prefix.count * 2 < t->tokens.count;
    if (volatile_early) {
        cJSON_AddItemToArray(
            warnings, cJSON_CreateString("variables stand early: what comes behind the "
                                         "first one that requests give is read again "
                                         "for each of its values; move them to the end"));
    }
    return reply_json(r, root, e);
}

static int dry_run(struct prompt_request *r, struct err *e)
{
    struct trial t;
    if (!r->generation->engine) {
        return err_set(e, ERR_UNSUPPORTED, "the served model makes no text");
    }
    struct prompt *p = r->body_len > 0 ? prompt_from_json(r->body, r->body_len, e)
                                       : prompt_store_get(r->store, r->profile, "active", e);
    if (!p) {
        return -1;
    }
    int rc = try_version(r, p, &t, e);
    if (rc == 0) {
        rc = answer_trial(r, p, &t, e);
        trial_deinit(&t);
    }
    prompt_unref(p);
    return rc;
}

/* --- changing --- */

static int put(struct prompt_request *r, struct err *e)
{
    struct prompt *p = prompt_from_json(r->body, r->body_len, e);
    int rc = p ? check_fits(r, p, e) : -1;
    rc = rc == 0 ? prompt_store_put(r->store, r->profile, p, r->activate, &r->change, NULL, e)
                 : rc;
    prompt_unref(p);
    return rc;
}

/* Of a body: "version", a number or a name, as text. */
static int read_version(const cJSON *body, char version[PROMPT_NAME_MAX + 1], struct err *e)
{
    const cJSON *item = json_field_get(body, "version");
    if (cJSON_IsNumber(item)) {
        double n = 0.0;
        if (json_field_integer(body, "version", 1, 9007199254740991.0, &n, e) != 0) {
            return -1;
        }
        snprintf(version, PROMPT_NAME_MAX + 1, "%.0f", n);
        return 0;
    }
    if (!cJSON_IsString(item) || strlen(item->valuestring) > PROMPT_NAME_MAX) {
        return json_field_wrong_type("version", "a number or a label", e);
    }
    snprintf(version, PROMPT_NAME_MAX + 1, "%s", item->valuestring);
    return 0;
}

/* The version that the body names, and that the model can read. */
static int find_version(struct prompt_request *r, const cJSON *body, uint64_t *version,
                        struct err *e)
{
    char which[PROMPT_NAME_MAX + 1];
    if (read_version(body, which, e) != 0) {
        return -1;
    }
    struct prompt *p = prompt_store_get(r->store, r->profile, which, e);
    if (!p) {
        return -1;
    }
    *version = p->version;
    int rc = check_fits(r, p, e);
    prompt_unref(p);
    return rc;
}

static int change_with_body(struct prompt_request *r, const cJSON *body, struct err *e)
{
    uint64_t version = 0;
    double percent = 0.0;
    if (!cJSON_IsObject(body)) {
        return err_set(e, ERR_INVALID, "the body must be a JSON object");
    }
    if (r->route == ROUTE_ADMIN_PROMPT_SPLIT) {
        if (!json_field_get(body, "percent")) {
            return json_field_wrong_type("percent", "a whole number from 0 to 99", e);
        }
        if (json_field_integer(body, "percent", 0, 99, &percent, e) != 0) {
            return -1;
        }
        if (percent == 0.0) {
            return prompt_store_split(r->store, r->profile, 0, 0, &r->change, NULL, e);
        }
    }
    if (find_version(r, body, &version, e) != 0) {
        return -1;
    }
    if (r->route == ROUTE_ADMIN_PROMPT_SPLIT) {
        return prompt_store_split(r->store, r->profile, version, (int)percent, &r->change, NULL,
                                  e);
    }
    if (r->route == ROUTE_ADMIN_PROMPT_LABEL) {
        return prompt_store_set_label(r->store, r->profile, r->item, version, &r->change, NULL,
                                      e);
    }
    return prompt_store_activate(r->store, r->profile, version, &r->change, NULL, e);
}

static int change_by_body(struct prompt_request *r, struct err *e)
{
    cJSON *body = json_parse(r->body, r->body_len, e);
    int rc = body ? change_with_body(r, body, e) : -1;
    cJSON_Delete(body);
    return rc;
}

static int delete_version(struct prompt_request *r, struct err *e)
{
    struct prompt *p = prompt_store_get(r->store, r->profile, r->item, e);
    if (!p) {
        return -1;
    }
    uint64_t version = p->version;
    prompt_unref(p);
    return prompt_store_delete_version(r->store, r->profile, version, &r->change, NULL, e);
}

/* A change, and then the profile as it is. */
static int change(struct prompt_request *r, struct err *e)
{
    int rc = -1;
    switch (r->route) {
    case ROUTE_ADMIN_PROMPT_PUT:
        rc = put(r, e);
        break;
    case ROUTE_ADMIN_PROMPT_ROLLBACK:
        rc = prompt_store_rollback(r->store, r->profile, &r->change, NULL, e);
        break;
    case ROUTE_ADMIN_PROMPT_UNLABEL:
        rc = prompt_store_remove_label(r->store, r->profile, r->item, &r->change, NULL, e);
        break;
    default:
        rc = change_by_body(r, e);
        break;
    }
    r->publish = rc == 0;
    return rc == 0 ? describe(r, e) : -1;
}

static int remove_something(struct prompt_request *r, struct err *e)
{
    r->status = 204;
    if (r->route == ROUTE_ADMIN_PROMPT_VERSION_DELETE) {
        return delete_version(r, e);
    }
    r->publish = true;
    return prompt_store_delete_profile(r->store, r->profile, &r->change, &r->state, e);
}

static int run(struct prompt_request *r, struct err *e)
{
    switch (r->route) {
    case ROUTE_ADMIN_PROMPTS:
        return list_profiles(r, e);
    case ROUTE_ADMIN_PROMPT_GET:
        return describe(r, e);
    case ROUTE_ADMIN_PROMPT_VERSIONS:
        return list_versions(r, e);
    case ROUTE_ADMIN_PROMPT_VERSION:
        return show_version(r, e);
    case ROUTE_ADMIN_PROMPT_DIFF:
        return show_diff(r, e);
    case ROUTE_ADMIN_PROMPT_DRY_RUN:
        return dry_run(r, e);
    case ROUTE_ADMIN_AUDIT:
        return list_audit(r, e);
    case ROUTE_ADMIN_PROMPT_DELETE:
    case ROUTE_ADMIN_PROMPT_VERSION_DELETE:
        return remove_something(r, e);
    default:
        return change(r, e);
    }
}

void prompt_work_run(struct prompt_request *r)
{
    r->status = 200;
    r->failed = run(r, &r->e) != 0;
    r->publish = r->publish && !r->failed;
}
