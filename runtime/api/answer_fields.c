/* The fields that several APIs share; declared in answer_request.h. */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runtime/api/answer_request.h"
#include "runtime/api/json_field.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"

#define PRIORITY_MAX    1000
#define DEADLINE_MS_MAX 86400000 /* a day */

int answer_fields_model(struct answer_request *r, struct err *e)
{
    const cJSON *model = json_field_get(r->json, "model");
    if (model && !cJSON_IsString(model)) {
        return json_field_wrong_type("model", "a string", e);
    }
    r->model = model ? model->valuestring : NULL;
    return 0;
}

int answer_fields_stream(struct answer_request *r, struct err *e)
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

int answer_fields_max_tokens(struct answer_request *r, const char *name, struct err *e)
{
    double value = r->max_tokens;
    if (json_field_integer(r->json, name, 1, INT_MAX, &value, e) != 0) {
        return -1;
    }
    r->max_tokens = (int)value;
    return 0;
}

/* --- stop strings --- */

static int add_stop(struct answer_request *r, const cJSON *item, const char *name,
                    struct err *e)
{
    size_t len = cJSON_IsString(item) ? strlen(item->valuestring) : 0;
    if (len == 0 || len > ANSWER_STOP_BYTES_MAX || r->n_stop == ANSWER_STOP_MAX) {
        return err_set_param(e, ERR_INVALID, name,
                             "\"%s\" must be a string or up to %d strings of 1 to %d bytes",
                             name, ANSWER_STOP_MAX, ANSWER_STOP_BYTES_MAX);
    }
    r->stop[r->n_stop++] = item->valuestring;
    return 0;
}

int answer_fields_stop(struct answer_request *r, const char *name, struct err *e)
{
    const cJSON *stop = json_field_get(r->json, name);
    if (!stop) {
        return 0;
    }
    if (!cJSON_IsArray(stop)) {
        return add_stop(r, stop, name, e);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, stop)
    {
        if (add_stop(r, item, name, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- how it is run --- */

static int parse_truncation(struct answer_request *r, struct err *e)
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

static int parse_cache_salt(struct answer_request *r, struct err *e)
{
    const cJSON *salt = json_field_get(r->json, "cache_salt");
    if (salt && (!cJSON_IsString(salt) || salt->valuestring[0] == '\0')) {
        return json_field_wrong_type("cache_salt", "a string that is not empty", e);
    }
    r->cache_salt = salt ? salt->valuestring : NULL;
    return 0;
}

int answer_fields_running(struct answer_request *r, struct err *e)
{
    double n = 1.0, priority = 0.0, deadline_ms = 0.0;
    if (json_field_integer(r->json, "n", 1, ANSWER_CHOICES_MAX, &n, e) != 0 ||
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

/* --- the owner's prompt --- */

int answer_fields_prompt(struct answer_request *r, bool has_pin, struct err *e)
{
    const cJSON *pin = has_pin ? json_field_get(r->json, "prompt") : NULL;
    const cJSON *values = json_field_get(r->json, "prompt_variables");
    if (pin && !cJSON_IsString(pin)) {
        return json_field_wrong_type("prompt", "a string: the name of a prompt", e);
    }
    r->prompt_pin = pin ? pin->valuestring : NULL;
    r->prompt_variables = cJSON_GetObjectItemCaseSensitive(r->json, "prompt_variables");
    if (values &&
        (!cJSON_IsObject(values) || cJSON_GetArraySize(values) > ANSWER_VARIABLES_MAX)) {
        return json_field_wrong_type("prompt_variables", "an object of up to 64 strings", e);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, values)
    {
        if (!cJSON_IsString(item)) {
            char where[64];
            snprintf(where, sizeof(where), "prompt_variables.%.40s", item->string);
            return json_field_wrong_type(where, "a string", e);
        }
    }
    return 0;
}

/* --- what the chat template gets beside the messages --- */

int answer_fields_effort(struct answer_request *r, const cJSON *object, const char *name,
                         const char *where, struct err *e)
{
    static const char *const known[] = {"none", "minimal", "low", "medium",
                                        "high", "xhigh",   "max"};
    const cJSON *effort = json_field_get(object, name);
    if (!effort) {
        return 0;
    }
    for (size_t i = 0; cJSON_IsString(effort) && i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(effort->valuestring, known[i]) == 0) {
            cJSON *o = r->template_arguments;
            bool done = i == 0
                            ? cJSON_AddFalseToObject(o, "enable_thinking") != NULL
                            : cJSON_AddStringToObject(o, "reasoning_effort", known[i]) != NULL;
            return done ? 0 : err_nomem(e);
        }
    }
    return json_field_wrong_type(where, "none, minimal, low, medium, high, xhigh or max", e);
}

int answer_fields_template(struct answer_request *r, struct err *e)
{
    const cJSON *arguments = json_field_get(r->json, "chat_template_kwargs");
    if (arguments && !cJSON_IsObject(arguments)) {
        return json_field_wrong_type("chat_template_kwargs", "an object", e);
    }
    r->template_arguments = arguments ? cJSON_Duplicate(arguments, true) : cJSON_CreateObject();
    return r->template_arguments
               ? answer_fields_effort(r, r->json, "reasoning_effort", "reasoning_effort", e)
               : err_nomem(e);
}

/* --- fields that cannot be honoured --- */

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

int answer_fields_unsupported(const struct answer_request *r, struct err *e)
{
    static const char *const lists[] = {"functions"};
    static const char *const objects[] = {"audio", "web_search_options", "function_call"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const cJSON *item = json_field_get(r->json, lists[i]);
        if (item && !(cJSON_IsArray(item) && cJSON_GetArraySize(item) == 0)) {
            return json_field_refuse(lists[i], "", e);
        }
    }
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        if (json_field_get(r->json, objects[i])) {
            return json_field_refuse(objects[i], "", e);
        }
    }
    return check_modalities(r->json, e);
}

/* --- contents --- */

static bool is_among(const char *type, const char *const *types)
{
    while (*types && strcmp(type, *types) != 0) {
        types++;
    }
    return *types != NULL;
}

static int append_part(struct buf *text, const cJSON *part, const char *const *types,
                       const char *where, struct err *e)
{
    const cJSON *type = json_field_get(part, "type");
    const cJSON *value = json_field_get(part, "text");
    if (!cJSON_IsString(type)) {
        return err_set_param(e, ERR_INVALID, where, "\"%s\": each part needs a \"type\"",
                             where);
    }
    if (!is_among(type->valuestring, types)) {
        return err_set_param(
            e, ERR_UNSUPPORTED, where,
            "\"%s\": parts of type \"%.40s\" are not supported, the model reads text", where,
            type->valuestring);
    }
    /* A refusal is what an assistant said, under another name. */
    value = value ? value : json_field_get(part, "refusal");
    if (!cJSON_IsString(value)) {
        return err_set_param(e, ERR_INVALID, where,
                             "\"%s\": a text part needs a string "
                             "\"text\"",
                             where);
    }
    buf_append_str(text, value->valuestring);
    return 0;
}

const char *answer_fields_text(struct answer_request *r, const cJSON *content,
                               const char *const *types, const char *where, struct err *e)
{
    if (cJSON_IsString(content)) {
        return content->valuestring;
    }
    if (!cJSON_IsArray(content)) {
        json_field_wrong_type(where, "a string or an array of text parts", e);
        return NULL;
    }
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    int rc = 0;
    const cJSON *part;
    cJSON_ArrayForEach(part, content)
    {
        rc = rc == 0 ? append_part(&text, part, types, where, e) : rc;
    }
    rc = rc == 0 ? answer_request_own(r, buf_take(&text, NULL), e) : rc;
    buf_deinit(&text);
    return rc == 0 ? r->owned[r->n_owned - 1] : NULL;
}
