#include "runtime/api/etcd_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/base64.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

/* --- asking --- */

static void append_bytes(struct buf *out, const char *name, const char *data, size_t len)
{
    buf_printf(out, "\"%s\":\"", name);
    base64_append(out, data, len);
    buf_append_char(out, '"');
}

static void append_text(struct buf *out, const char *name, const char *text)
{
    append_bytes(out, name, text, strlen(text));
}

/* The first key behind all that begin with the prefix (rpc.proto, RangeRequest.range_end). */
static void append_prefix(struct buf *out, const char *prefix)
{
    size_t len = strlen(prefix);
    append_text(out, "key", prefix);
    buf_append_char(out, ',');
    while (len > 0 && (unsigned char)prefix[len - 1] == 0xff) {
        len--;
    }
    char *end = mem_strndup(prefix, len);
    if (!end || len == 0) {
        mem_free(end);
        out->failed = true; /* no memory, or no prefix */
        return;
    }
    end[len - 1]++;
    append_bytes(out, "range_end", end, len);
    mem_free(end);
}

static int result(const struct buf *out)
{
    return out->failed ? -1 : 0;
}

int etcd_range_text(struct buf *out, const char *prefix)
{
    buf_append_char(out, '{');
    append_prefix(out, prefix);
    buf_append_char(out, '}');
    return result(out);
}

int etcd_newest_text(struct buf *out, const char *prefix)
{
    buf_append_char(out, '{');
    append_prefix(out, prefix);
    buf_append_str(out, ",\"limit\":\"1\",\"keys_only\":true,\"sort_order\":\"DESCEND\","
                        "\"sort_target\":\"MOD\"}");
    return result(out);
}

int etcd_get_text(struct buf *out, const char *key)
{
    buf_append_char(out, '{');
    append_text(out, "key", key);
    buf_append_char(out, '}');
    return result(out);
}

static void append_put(struct buf *out, const char *key, const char *value, size_t len,
                       int64_t lease)
{
    buf_append_char(out, '{');
    append_text(out, "key", key);
    buf_append_char(out, ',');
    append_bytes(out, "value", value, len);
    if (lease != 0) {
        buf_printf(out, ",\"lease\":\"%" PRId64 "\"", lease);
    }
    buf_append_char(out, '}');
}

int etcd_put_text(struct buf *out, const char *key, const char *value, size_t len,
                  int64_t lease)
{
    append_put(out, key, value, len, lease);
    return result(out);
}

int etcd_txn_text(struct buf *out, const struct etcd_condition *conditions, size_t n_conditions,
                  const struct etcd_write *writes, size_t n_writes)
{
    buf_append_str(out, "{\"compare\":[");
    for (size_t i = 0; i < n_conditions; i++) {
        buf_append_str(out, i > 0 ? ",{" : "{");
        append_text(out, "key", conditions[i].key);
        buf_printf(out,
                   ",\"target\":\"MOD\",\"result\":\"EQUAL\",\"mod_revision\":\"%" PRId64 "\"}",
                   conditions[i].mod_revision);
    }
    buf_append_str(out, "],\"success\":[");
    for (size_t i = 0; i < n_writes; i++) {
        const struct etcd_write *w = &writes[i];
        buf_append_str(out, i > 0 ? "," : "");
        if (w->value) {
            buf_append_str(out, "{\"request_put\":");
            append_put(out, w->key, w->value, strlen(w->value), 0);
        } else {
            buf_append_str(out, "{\"request_delete_range\":");
            etcd_get_text(out, w->key);
        }
        buf_append_char(out, '}');
    }
    buf_append_str(out, "]}");
    return result(out);
}

int etcd_watch_text(struct buf *out, const char *prefix, int64_t revision)
{
    buf_append_str(out, "{\"create_request\":{");
    append_prefix(out, prefix);
    buf_printf(out, ",\"start_revision\":\"%" PRId64 "\"}}", revision);
    return result(out);
}

int etcd_grant_text(struct buf *out, int64_t seconds)
{
    return buf_printf(out, "{\"TTL\":\"%" PRId64 "\"}", seconds);
}

int etcd_lease_text(struct buf *out, int64_t lease)
{
    return buf_printf(out, "{\"ID\":\"%" PRId64 "\"}", lease);
}

int etcd_login_text(struct buf *out, const char *user, const char *password)
{
    buf_append_str(out, "{\"name\":");
    json_append_string(out, user, strlen(user));
    buf_append_str(out, ",\"password\":");
    json_append_string(out, password, strlen(password));
    buf_append_char(out, '}');
    return result(out);
}

/* --- answers --- */

static const cJSON *field(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* What is 0 is left out by etcd. */
static int64_t number_of(const cJSON *object, const char *name)
{
    const cJSON *item = field(object, name);
    if (cJSON_IsString(item)) {
        return strtoll(item->valuestring, NULL, 10);
    }
    return cJSON_IsNumber(item) && item->valuedouble > -9e15 && item->valuedouble < 9e15
               ? (int64_t)item->valuedouble
               : 0;
}

/* The caller's; "" for a field that is left out. */
static char *bytes_of(const cJSON *object, const char *name, size_t *len, struct err *e)
{
    const char *text = cJSON_GetStringValue(field(object, name));
    struct buf bytes;
    size_t text_len = text ? strlen(text) : 0;
    buf_init(&bytes, text_len + 1);
    char *taken = NULL;
    if (text_len == 0 || base64_decode(&bytes, text, text_len, e) == 0) {
        taken = buf_take(&bytes, len);
        if (!taken) {
            err_nomem(e);
        }
    }
    buf_deinit(&bytes);
    return taken;
}

static int read_pair(struct etcd_answer *out, const cJSON *kv, bool is_deleted, struct err *e)
{
    struct etcd_pair *p = &out->pairs[out->n_pairs];
    size_t key_len = 0;
    *p = (struct etcd_pair){.mod_revision = number_of(kv, "mod_revision")};
    p->key = bytes_of(kv, "key", &key_len, e);
    if (!p->key) {
        return -1;
    }
    if (!is_deleted) {
        p->value = bytes_of(kv, "value", &p->len, e);
    }
    bool is_read = is_deleted || p->value;
    if (is_read && strlen(p->key) == key_len) {
        out->n_pairs++;
        return 0;
    }
    mem_free(p->key);
    mem_free(p->value);
    return is_read ? 0 : -1;
}

/* kvs of a range, or events of a watch. */
static int read_pairs(struct etcd_answer *out, const cJSON *root, struct err *e)
{
    const cJSON *kvs = field(root, "kvs");
    const cJSON *events = field(root, "events");
    const cJSON *list = kvs ? kvs : events;
    const cJSON *item;
    int n = list ? cJSON_GetArraySize(list) : 0;
    out->pairs = mem_zarray((size_t)n + 1, sizeof(*out->pairs));
    if (!out->pairs) {
        return err_nomem(e);
    }
    cJSON_ArrayForEach(item, list)
    {
        const char *type = cJSON_GetStringValue(field(item, "type"));
        bool is_deleted = type && strcmp(type, "DELETE") == 0;
        if (read_pair(out, kvs ? item : field(item, "kv"), is_deleted, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* {"error": "...", "code": 16} or, in streams, {"error": {"message": "...", "grpc_code": 16}}.
 */
static int read_error(const cJSON *root, const cJSON *error, struct err *e)
{
    enum { GRPC_INVALID_ARGUMENT = 3, GRPC_PERMISSION_DENIED = 7, GRPC_UNAUTHENTICATED = 16 };
    const char *text = cJSON_GetStringValue(error);
    int64_t code = number_of(root, "code");
    if (!text) {
        text = cJSON_GetStringValue(field(error, "message"));
        code = number_of(error, "grpc_code");
    }
    text = text ? text : "it says no more";
    bool is_login = code == GRPC_PERMISSION_DENIED || code == GRPC_UNAUTHENTICATED ||
                    (code == GRPC_INVALID_ARGUMENT && strstr(text, "auth"));
    return err_set(e, is_login ? ERR_DENIED : ERR_IO, "etcd: %.300s", text);
}

static int read_tree(struct etcd_answer *out, const cJSON *root, struct err *e)
{
    const cJSON *error = field(root, "error");
    if (error) {
        return read_error(root, error, e);
    }
    const cJSON *streamed = field(root, "result");
    root = streamed ? streamed : root;
    out->revision = number_of(field(root, "header"), "revision");
    out->succeeded = cJSON_IsTrue(field(root, "succeeded"));
    out->is_canceled = cJSON_IsTrue(field(root, "canceled"));
    out->compact_revision = number_of(root, "compact_revision");
    out->lease = number_of(root, "ID");
    out->ttl = number_of(root, "TTL");
    const char *token = cJSON_GetStringValue(field(root, "token"));
    if (token) {
        out->token = mem_strndup(token, strlen(token));
        if (!out->token) {
            return err_nomem(e);
        }
    }
    return read_pairs(out, root, e);
}

int etcd_answer_read(struct etcd_answer *out, const char *text, size_t len, struct err *e)
{
    *out = (struct etcd_answer){0};
    cJSON *root = json_parse_large(text, len, e);
    if (!root) {
        return err_prefix(e, "etcd's answer");
    }
    int rc = cJSON_IsObject(root) ? read_tree(out, root, e)
                                  : err_set(e, ERR_FORMAT, "etcd's answer is no object");
    cJSON_Delete(root);
    if (rc != 0) {
        etcd_answer_deinit(out);
    }
    return rc;
}

void etcd_answer_deinit(struct etcd_answer *a)
{
    for (size_t i = 0; i < a->n_pairs; i++) {
        mem_free(a->pairs[i].key);
        mem_free(a->pairs[i].value);
    }
    mem_free(a->pairs);
    mem_free(a->token);
    *a = (struct etcd_answer){0};
}
