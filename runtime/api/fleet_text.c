#include "runtime/api/fleet_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"

static const char *const kind_names[] = {"prompt", "filters", "model"};

const char *fleet_kind_name(enum fleet_kind kind)
{
    return kind_names[kind];
}

/* --- keys --- */

void fleet_config_prefix(char out[ETCD_KEY_MAX], const char *fleet)
{
    snprintf(out, ETCD_KEY_MAX, "/weir/%s/config/", fleet);
}

void fleet_replica_prefix(char out[ETCD_KEY_MAX], const char *fleet)
{
    snprintf(out, ETCD_KEY_MAX, "/weir/%s/replicas/", fleet);
}

void fleet_config_key(char out[ETCD_KEY_MAX], const char *fleet, enum fleet_kind kind,
                      const char *name)
{
    snprintf(out, ETCD_KEY_MAX, "/weir/%s/config/%s/%s", fleet, kind_names[kind], name);
}

void fleet_history_key(char out[ETCD_KEY_MAX], const char *fleet, enum fleet_kind kind,
                       const char *name, uint64_t version)
{
    snprintf(out, ETCD_KEY_MAX, "/weir/%s/history/%s/%s/%" PRIu64, fleet, kind_names[kind],
             name, version);
}

bool fleet_config_key_read(const char *key, const char *fleet, enum fleet_kind *kind,
                           char name[VERSION_NAME_MAX + 1])
{
    char prefix[ETCD_KEY_MAX];
    struct err e = {0};
    for (int k = 0; k < FLEET_KINDS; k++) {
        fleet_config_key(prefix, fleet, (enum fleet_kind)k, "");
        size_t len = strlen(prefix);
        if (strncmp(key, prefix, len) == 0 && version_name_check(key + len, "name", &e) == 0) {
            *kind = (enum fleet_kind)k;
            snprintf(name, VERSION_NAME_MAX + 1, "%s", key + len);
            return true;
        }
    }
    return false;
}

/* --- values --- */

int fleet_change_write(const struct fleet_change *c, struct buf *out)
{
    buf_append_str(out, "{\"version\":");
    json_append_string(out, c->version, strlen(c->version));
    if (c->latest > 0) {
        buf_printf(out, ",\"latest\":%" PRIu64, c->latest);
    }
    if (c->sha256[0]) {
        buf_printf(out, ",\"sha256\":\"%s\"", c->sha256);
    }
    if (c->actor[0]) {
        buf_append_str(out, ",\"actor\":");
        json_append_string(out, c->actor, strlen(c->actor));
    }
    if (c->content) {
        buf_append_str(out, ",\"content\":");
        buf_append(out, c->content, c->content_len);
    }
    return buf_append_char(out, '}');
}

/* A string of at most max bytes; an absent one is "" if it may be. */
static int read_text(const cJSON *root, const char *field, bool is_needed, size_t max,
                     char *out, struct err *e)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, field);
    const char *text = cJSON_GetStringValue(item);
    out[0] = '\0';
    if (!item && !is_needed) {
        return 0;
    }
    if (!text || strlen(text) > max || (is_needed && text[0] == '\0')) {
        return err_set_param(e, ERR_INVALID, field, "\"%s\" must be a string of 1 to %zu bytes",
                             field, max);
    }
    snprintf(out, max + 1, "%s", text);
    return 0;
}

static int read_number(struct fleet_change *c, struct err *e)
{
    char *end = NULL;
    c->number = strtoull(c->version, &end, 10);
    bool is_number = c->version[0] >= '1' && c->version[0] <= '9' && *end == '\0' &&
                     strlen(c->version) <= 15;
    c->latest = c->number;
    return is_number ? 0
                     : err_set_param(e, ERR_INVALID, "version",
                                     "\"version\" must be a whole number above 0, as a string");
}

static int read_content(struct fleet_change *c, const cJSON *root, struct err *e)
{
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(root, "content");
    if (!cJSON_IsObject(content)) {
        return err_set_param(e, ERR_INVALID, "content", "\"content\" must be an object");
    }
    char *text = cJSON_PrintUnformatted(content);
    if (text) {
        c->content_len = strlen(text);
        c->content = mem_strndup(text, c->content_len);
        cJSON_free(text);
    }
    return c->content ? 0 : err_nomem(e);
}

static int read_change(struct fleet_change *c, enum fleet_kind kind, const cJSON *root,
                       struct err *e)
{
    bool is_text = kind != FLEET_MODEL;
    if (read_text(root, "version", true, VERSION_NAME_MAX, c->version, e) != 0 ||
        read_text(root, "sha256", is_text, HASH_HEX_LEN, c->sha256, e) != 0 ||
        read_text(root, "actor", false, FLEET_ACTOR_MAX, c->actor, e) != 0) {
        return -1;
    }
    if (!is_text) {
        return 0;
    }
    const cJSON *latest = cJSON_GetObjectItemCaseSensitive(root, "latest");
    if (read_number(c, e) != 0 || read_content(c, root, e) != 0) {
        return -1;
    }
    if (cJSON_IsNumber(latest) && latest->valuedouble > (double)c->number &&
        latest->valuedouble < 1e15) {
        c->latest = (uint64_t)latest->valuedouble;
    }
    return 0;
}

int fleet_change_read(struct fleet_change *out, enum fleet_kind kind, const char *text,
                      size_t len, struct err *e)
{
    *out = (struct fleet_change){0};
    cJSON *root = json_parse_large(text, len, e);
    int rc = !root                   ? -1
             : !cJSON_IsObject(root) ? err_set(e, ERR_FORMAT, "it is no JSON object")
                                     : read_change(out, kind, root, e);
    cJSON_Delete(root);
    if (rc != 0) {
        fleet_change_deinit(out);
    }
    return rc;
}

void fleet_change_deinit(struct fleet_change *c)
{
    mem_free(c->content);
    c->content = NULL;
}
