#include "runtime/api/chat_request.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/api/json_text.h"

/* --- messages --- */

static const char *normal_role(const char *role)
{
    static const char *const known[] = {"system", "user", "assistant", "tool"};
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

static const char *parse_role(const cJSON *item, size_t i, struct err *e)
{
    char where[48];
    const cJSON *role = json_field_get(item, "role");
    snprintf(where, sizeof(where), "messages[%zu].role", i);
    if (!cJSON_IsString(role)) {
        json_field_wrong_type(where, "a string", e);
        return NULL;
    }
    const char *normal = normal_role(role->valuestring);
    if (!normal) {
        err_set_param(e, ERR_INVALID, where,
                      "\"%s\" is \"%.40s\"; system, developer, user, assistant and tool are "
                      "known",
                      where, role->valuestring);
    }
    return normal;
}

static int parse_content(struct answer_request *r, struct chat_message *m, const cJSON *item,
                         size_t i, struct err *e)
{
    static const char *const types[] = {"text", "refusal", NULL};
    char where[48];
    const cJSON *content = json_field_get(item, "content");
    snprintf(where, sizeof(where), "messages[%zu].content", i);
    /* Beside tool calls an assistant need not say anything. */
    if (!content && m->tool_calls) {
        return 0;
    }
    const char *text = answer_fields_text(r, content, types, where, e);
    if (!text) {
        return -1;
    }
    answer_message_set_text(m, text);
    return 0;
}

static int parse_string(const cJSON *item, size_t i, const char *name, const char **out,
                        struct err *e)
{
    char where[64];
    const cJSON *value = json_field_get(item, name);
    if (value && !cJSON_IsString(value)) {
        snprintf(where, sizeof(where), "messages[%zu].%s", i, name);
        return json_field_wrong_type(where, "a string", e);
    }
    *out = value ? value->valuestring : NULL;
    return 0;
}

static int parse_assistant(struct answer_request *r, struct chat_message *m, const cJSON *item,
                           size_t i, struct err *e)
{
    char where[48];
    const cJSON *calls = json_field_get(item, "tool_calls");
    snprintf(where, sizeof(where), "messages[%zu].tool_calls", i);
    if (cJSON_IsArray(calls) && !calls->child) {
        calls = NULL; /* no call is as good as none */
    }
    if (calls) {
        size_t len;
        if (tool_calls_check(calls, where, e) != 0 ||
            answer_request_own(r, json_text_take(cJSON_Duplicate(calls, true), &len), e) != 0) {
            return -1;
        }
        m->tool_calls = r->owned[r->n_owned - 1];
    }
    return parse_string(item, i, "reasoning_content", &m->reasoning, e);
}

static int parse_tool_result(struct chat_message *m, const cJSON *item, size_t i, struct err *e)
{
    if (parse_string(item, i, "tool_call_id", &m->tool_call_id, e) != 0) {
        return -1;
    }
    char where[64];
    snprintf(where, sizeof(where), "messages[%zu].tool_call_id", i);
    return m->tool_call_id ? 0
                           : err_set_param(e, ERR_INVALID, where,
                                           "\"%s\" is needed: which call this answers", where);
}

static int parse_message(struct answer_request *r, const cJSON *item, size_t i, struct err *e)
{
    char where[48];
    snprintf(where, sizeof(where), "messages[%zu]", i);
    if (!cJSON_IsObject(item)) {
        return json_field_wrong_type(where, "an object", e);
    }
    const char *role = parse_role(item, i, e);
    struct chat_message *m = role ? answer_request_add_message(r, role, e) : NULL;
    if (!m || (strcmp(role, "assistant") == 0 && parse_assistant(r, m, item, i, e) != 0) ||
        (strcmp(role, "tool") == 0 && parse_tool_result(m, item, i, e) != 0)) {
        return -1;
    }
    return parse_content(r, m, item, i, e);
}

static int parse_messages(struct answer_request *r, struct err *e)
{
    const cJSON *list = json_field_get(r->json, "messages");
    if (!cJSON_IsArray(list)) {
        return json_field_wrong_type("messages", "an array of messages", e);
    }
    if (cJSON_GetArraySize(list) == 0) {
        return err_set_param(e, ERR_INVALID, "messages",
                             "\"messages\" is empty; at least one is needed");
    }
    size_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (parse_message(r, item, i++, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- logprobs --- */

static int parse_logprobs(struct answer_request *r, struct err *e)
{
    double top = 0.0;
    if (json_field_bool(r->json, "logprobs", &r->logprobs, e) != 0 ||
        json_field_integer(r->json, "top_logprobs", 0, ANSWER_LOGPROBS_MAX, &top, e) != 0) {
        return -1;
    }
    if (top > 0.0 && !r->logprobs) {
        return err_set_param(e, ERR_INVALID, "top_logprobs",
                             "\"top_logprobs\" needs \"logprobs\": true");
    }
    r->top_logprobs = (int)top;
    return 0;
}

/* --- moderation --- */

static int parse_mode(const cJSON *policy, const char *side, enum answer_moderation_mode *mode,
                      struct err *e)
{
    char where[48];
    const cJSON *object = json_field_get(policy, side);
    const cJSON *value = json_field_get(object, "mode");
    snprintf(where, sizeof(where), "moderation.policy.%s%s", side, object ? ".mode" : "");
    *mode = MODERATION_SCORE;
    if (object && !cJSON_IsObject(object)) {
        return json_field_wrong_type(where, "an object", e);
    }
    if (value && cJSON_IsString(value) && strcmp(value->valuestring, "block") == 0) {
        *mode = MODERATION_BLOCK;
        return 0;
    }
    bool is_score =
        !value || (cJSON_IsString(value) && strcmp(value->valuestring, "score") == 0);
    return is_score ? 0 : json_field_wrong_type(where, "score or block", e);
}

static int parse_moderation(struct answer_request *r, struct err *e)
{
    const cJSON *moderation = json_field_get(r->json, "moderation");
    if (!moderation) {
        return 0;
    }
    const cJSON *model = json_field_get(moderation, "model");
    const cJSON *policy = json_field_get(moderation, "policy");
    if (!cJSON_IsObject(moderation) || (policy && !cJSON_IsObject(policy))) {
        return json_field_wrong_type(policy ? "moderation.policy" : "moderation", "an object",
                                     e);
    }
    if (model && !cJSON_IsString(model)) {
        return json_field_wrong_type("moderation.model", "a string", e);
    }
    r->moderation.model = model ? model->valuestring : NULL;
    return parse_mode(policy, "input", &r->moderation.input, e) == 0
               ? parse_mode(policy, "output", &r->moderation.output, e)
               : -1;
}

static int parse_fields(struct answer_request *r, struct err *e)
{
    bool bad = answer_fields_model(r, e) != 0 || answer_fields_prompt(r, true, e) != 0 ||
               parse_messages(r, e) != 0 || answer_fields_stream(r, e) != 0 ||
               answer_fields_max_tokens(r, "max_tokens", e) != 0 ||
               answer_fields_max_tokens(r, "max_completion_tokens", e) != 0 ||
               sampling_fields_parse(r->json, &r->sampling, &r->given, e) != 0 ||
               answer_fields_stop(r, "stop", e) != 0 || answer_fields_running(r, e) != 0 ||
               parse_logprobs(r, e) != 0 || parse_moderation(r, e) != 0 ||
               tool_list_from_chat(&r->tools, r->json, e) != 0 ||
               constraint_fields_parse(r->json, &r->constraint, e) != 0 ||
               answer_fields_template(r, e) != 0 || answer_fields_unsupported(r, e) != 0;
    return bad ? -1 : 0;
}

int chat_request_parse(struct answer_request *r, const char *body, size_t len, struct err *e)
{
    return answer_request_parse(r, body, len, parse_fields, e);
}
