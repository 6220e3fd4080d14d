#include "runtime/api/chat_request.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/api/sampling_fields.h"
#include "runtime/base/buf.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

/* --- fields that cannot be honoured --- */

static int check_unsupported(const cJSON *o, struct err *e)
{
    static const char *const lists[] = {"tools", "functions"};
    static const char *const objects[] = {"audio", "web_search_options", "prediction",
                                          "function_call", "grammar"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const cJSON *item = json_field_get(o, lists[i]);
        if (item && !(cJSON_IsArray(item) && cJSON_GetArraySize(item) == 0)) {
            return json_field_refuse(lists[i], "", e);
        }
    }
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        if (json_field_get(o, objects[i])) {
            return json_field_refuse(objects[i], "", e);
        }
    }
    bool logprobs = false;
    if (json_field_bool(o, "logprobs", &logprobs, e) != 0) {
        return -1;
    }
    return logprobs ? json_field_refuse("logprobs", "", e) : 0;
}

static int check_format(const cJSON *o, struct err *e)
{
    const cJSON *format = json_field_get(o, "response_format");
    if (!format) {
        return 0;
    }
    if (!cJSON_IsObject(format)) {
        return json_field_wrong_type("response_format", "an object", e);
    }
    const cJSON *type = json_field_get(format, "type");
    if (!cJSON_IsString(type)) {
        return json_field_wrong_type("response_format.type", "a string", e);
    }
    return strcmp(type->valuestring, "text") == 0
               ? 0
               : json_field_refuse("response_format", " other than {\"type\":\"text\"}", e);
}

static int check_modalities(const cJSON *o, struct err *e)
{
    const cJSON *modalities = json_field_get(o, "modalities");
    if (!modalities) {
        return 0;
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, modalities)
    {
        if (!cJSON_IsString(item) || strcmp(item->valuestring, "text") != 0) {
            return json_field_refuse("modalities", " other than [\"text\"]", e);
        }
    }
    return cJSON_IsArray(modalities) ? 0 : json_field_wrong_type("modalities", "an array", e);
}

/* --- messages --- */

/* Joins the text parts of a content array. The result is the caller's. */
static char *join_parts(const cJSON *parts, const char *where, struct err *e)
{
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    char *joined = NULL;
    const cJSON *part;
    cJSON_ArrayForEach(part, parts)
    {
        const cJSON *type = json_field_get(part, "type");
        const cJSON *value = json_field_get(part, "text");
        if (!cJSON_IsString(type)) {
            err_set_param(e, ERR_INVALID, where, "\"%s\": each part needs a \"type\"", where);
            goto cleanup;
        }
        if (strcmp(type->valuestring, "text") != 0) {
            err_set_param(
                e, ERR_UNSUPPORTED, where,
                "\"%s\": parts of type \"%.40s\" are not supported, the model reads text",
                where, type->valuestring);
            goto cleanup;
        }
        if (!cJSON_IsString(value)) {
            err_set_param(e, ERR_INVALID, where, "\"%s\": a text part needs a string \"text\"",
                          where);
            goto cleanup;
        }
        buf_append_str(&text, value->valuestring);
    }
    joined = buf_take(&text, NULL);
    if (!joined) {
        err_nomem(e);
    }
cleanup:
    buf_deinit(&text);
    return joined;
}

static const char *normal_role(const char *role)
{
    static const char *const known[] = {"system", "user", "assistant"};
    if (strcmp(role, "developer") == 0) {
        return "system"; /* the same thing under its newer name */
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(role, known[i]) == 0) {
            return known[i];
        }
    }
    return NULL;
}

static int parse_message(struct chat_request *r, size_t i, const cJSON *item, struct err *e)
{
    char where[48];
    snprintf(where, sizeof(where), "messages[%zu]", i);
    if (!cJSON_IsObject(item)) {
        return json_field_wrong_type(where, "an object", e);
    }
    const cJSON *role = json_field_get(item, "role");
    snprintf(where, sizeof(where), "messages[%zu].role", i);
    if (!cJSON_IsString(role)) {
        return json_field_wrong_type(where, "a string", e);
    }
    const char *normal = normal_role(role->valuestring);
    if (!normal) {
        return err_set_param(
            e, ERR_INVALID, where,
            "\"%s\" is \"%.40s\"; system, developer, user and assistant are known", where,
            role->valuestring);
    }
    if (json_field_get(item, "tool_calls")) {
        return json_field_refuse("tool_calls", " in messages", e);
    }
    const cJSON *content = json_field_get(item, "content");
    snprintf(where, sizeof(where), "messages[%zu].content", i);
    const char *text = NULL;
    if (cJSON_IsString(content)) {
        text = content->valuestring;
    } else if (cJSON_IsArray(content)) {
        text = r->owned[i] = join_parts(content, where, e);
        if (!text) {
            return -1;
        }
    } else {
        return json_field_wrong_type(where, "a string or an array of text parts", e);
    }
    r->messages[i].role = normal;
    r->messages[i].content = text;
    r->messages[i].content_len = strlen(text);
    return 0;
}

static int parse_messages(struct chat_request *r, struct err *e)
{
    const cJSON *list = json_field_get(r->json, "messages");
    if (!cJSON_IsArray(list)) {
        return json_field_wrong_type("messages", "an array of messages", e);
    }
    int count = cJSON_GetArraySize(list);
    if (count < 1 || count > CHAT_MESSAGES_MAX) {
        return err_set_param(e, ERR_INVALID, "messages",
                             "\"messages\" has %d items, 1 to %d are allowed", count,
                             CHAT_MESSAGES_MAX);
    }
    r->n_messages = (size_t)count;
    r->messages = mem_zarray(r->n_messages, sizeof(*r->messages));
    r->owned = mem_zarray(r->n_messages, sizeof(*r->owned));
    if (!r->messages || !r->owned) {
        return err_nomem(e);
    }
    size_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (parse_message(r, i++, item, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- settings --- */

static int add_stop(struct chat_request *r, const cJSON *item, struct err *e)
{
    size_t len = cJSON_IsString(item) ? strlen(item->valuestring) : 0;
    if (len == 0 || len > CHAT_STOP_BYTES_MAX || r->n_stop == CHAT_STOP_MAX) {
        return err_set_param(e, ERR_INVALID, "stop",
                             "\"stop\" must be a string or up to %d strings of 1 to %d bytes",
                             CHAT_STOP_MAX, CHAT_STOP_BYTES_MAX);
    }
    r->stop[r->n_stop++] = item->valuestring;
    return 0;
}

static int parse_stop(struct chat_request *r, struct err *e)
{
    const cJSON *stop = json_field_get(r->json, "stop");
    if (!stop) {
        return 0;
    }
    if (!cJSON_IsArray(stop)) {
        return add_stop(r, stop, e);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, stop)
    {
        if (add_stop(r, item, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int parse_max_tokens(struct chat_request *r, struct err *e)
{
    double value = 0.0;
    if (json_field_integer(r->json, "max_tokens", 1, INT_MAX, &value, e) != 0 ||
        json_field_integer(r->json, "max_completion_tokens", 1, INT_MAX, &value, e) != 0) {
        return -1;
    }
    r->max_tokens = (int)value;
    return 0;
}

#define PRIORITY_MAX    1000
#define DEADLINE_MS_MAX 86400000 /* a day */

static int parse_stream(struct chat_request *r, struct err *e)
{
    if (json_field_bool(r->json, "stream", &r->stream, e) != 0) {
        return -1;
    }
    const cJSON *options = json_field_get(r->json, "stream_options");
    if (options && !cJSON_IsObject(options)) {
        return json_field_wrong_type("stream_options", "an object", e);
    }
    return options ? json_field_bool(options, "include_usage", &r->include_usage, e) : 0;
}

static int parse_truncation(struct chat_request *r, struct err *e)
{
    const cJSON *truncation = json_field_get(r->json, "truncation");
    if (!truncation) {
        return 0;
    }
    r->truncate = cJSON_IsString(truncation) && strcmp(truncation->valuestring, "auto") == 0;
    bool known = r->truncate || (cJSON_IsString(truncation) &&
                                 strcmp(truncation->valuestring, "disabled") == 0);
    return known ? 0 : json_field_wrong_type("truncation", "\"auto\" or \"disabled\"", e);
}

static int parse_cache_salt(struct chat_request *r, struct err *e)
{
    const cJSON *salt = json_field_get(r->json, "cache_salt");
    if (salt && (!cJSON_IsString(salt) || salt->valuestring[0] == '\0')) {
        return json_field_wrong_type("cache_salt", "a string that is not empty", e);
    }
    r->cache_salt = salt ? salt->valuestring : NULL;
    return 0;
}

/* How the request is run: how often, when, and beside whom. */
static int parse_running(struct chat_request *r, struct err *e)
{
    double n = 1.0, priority = 0.0, deadline_ms = 0.0;
    if (json_field_integer(r->json, "n", 1, CHAT_CHOICES_MAX, &n, e) != 0 ||
        json_field_integer(r->json, "priority", -PRIORITY_MAX, PRIORITY_MAX, &priority, e) !=
            0 ||
        json_field_integer(r->json, "deadline_ms", 1, DEADLINE_MS_MAX, &deadline_ms, e) != 0 ||
        json_field_bool(r->json, "ignore_eos", &r->ignore_eos, e) != 0 ||
        parse_truncation(r, e) != 0 || parse_cache_salt(r, e) != 0) {
        return -1;
    }
    r->n_choices = (int)n;
    r->priority = (int)priority;
    r->deadline_ms = (int64_t)deadline_ms;
    return 0;
}

static int parse_model(struct chat_request *r, struct err *e)
{
    const cJSON *model = json_field_get(r->json, "model");
    if (model && !cJSON_IsString(model)) {
        return json_field_wrong_type("model", "a string", e);
    }
    r->model = model ? model->valuestring : NULL;
    return 0;
}

int chat_request_parse(struct chat_request *r, const char *body, size_t len, struct err *e)
{
    *r = (struct chat_request){0};
    r->json = json_parse(body, len, e);
    if (!r->json) {
        return -1;
    }
    int rc = 0;
    if (!cJSON_IsObject(r->json)) {
        rc = err_set(e, ERR_INVALID, "the body must be a JSON object");
    } else if (parse_model(r, e) != 0 || parse_messages(r, e) != 0 || parse_stream(r, e) != 0 ||
               parse_max_tokens(r, e) != 0 ||
               sampling_fields_parse(r->json, &r->sampling, &r->given, e) != 0 ||
               parse_stop(r, e) != 0 || parse_running(r, e) != 0 ||
               check_unsupported(r->json, e) != 0 || check_format(r->json, e) != 0 ||
               check_modalities(r->json, e) != 0) {
        rc = -1;
    }
    if (rc != 0) {
        chat_request_deinit(r);
    }
    return rc;
}

void chat_request_deinit(struct chat_request *r)
{
    for (size_t i = 0; r->owned && i < r->n_messages; i++) {
        mem_free(r->owned[i]);
    }
    mem_free(r->owned);
    mem_free(r->messages);
    sampling_deinit(&r->sampling);
    cJSON_Delete(r->json);
    *r = (struct chat_request){0};
}
