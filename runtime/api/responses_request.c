#include "runtime/api/responses_request.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/echo_fields.h"
#include "runtime/api/json_field.h"

static const char *const text_types[] = {"input_text",   "output_text",    "text", "refusal",
                                         "summary_text", "reasoning_text", NULL};

static int add_message(struct answer_request *r, const char *role, const char *text,
                       struct err *e)
{
    struct chat_message *m = text ? answer_request_add_message(r, role, e) : NULL;
    if (!m) {
        return -1;
    }
    answer_message_set_text(m, text);
    return 0;
}

static int parse_instructions(struct answer_request *r, struct err *e)
{
    const cJSON *text = json_field_get(r->json, "instructions");
    if (!text) {
        return 0;
    }
    return cJSON_IsString(text) ? add_message(r, "system", text->valuestring, e)
                                : json_field_wrong_type("instructions", "a string", e);
}

/* --- items of the input --- */

static const char *normal_role(const char *role)
{
    if (strcmp(role, "developer") == 0 || strcmp(role, "system") == 0) {
        return "system";
    }
    return strcmp(role, "user") == 0        ? "user"
           : strcmp(role, "assistant") == 0 ? "assistant"
                                            : NULL;
}

static int add_message_item(struct answer_request *r, const cJSON *item, const char *where,
                            struct err *e)
{
    const cJSON *role = json_field_get(item, "role");
    const char *normal = cJSON_IsString(role) ? normal_role(role->valuestring) : NULL;
    if (!normal) {
        return err_set_param(e, ERR_INVALID, where,
                             "\"%s\": \"role\" must be system, developer, user or assistant",
                             where);
    }
    const cJSON *content = json_field_get(item, "content");
    return add_message(r, normal, answer_fields_text(r, content, text_types, where, e), e);
}

/* A call stands in the message of the assistant that made it. */
static int add_call_item(struct answer_request *r, const cJSON *item, const char *where,
                         struct err *e)
{
    const cJSON *id = json_field_get(item, "call_id");
    const cJSON *name = json_field_get(item, "name");
    const cJSON *arguments = json_field_get(item, "arguments");
    if (!cJSON_IsString(id) || !cJSON_IsString(name) || !cJSON_IsString(arguments)) {
        return err_set_param(e, ERR_INVALID, where,
                             "\"%s\": a function_call needs the strings call_id, name and "
                             "arguments",
                             where);
    }
    bool joins =
        r->n_messages > 0 && strcmp(r->messages[r->n_messages - 1].role, "assistant") == 0;
    if (!joins && !answer_request_add_message(r, "assistant", e)) {
        return -1;
    }
    return answer_request_add_call(r, id->valuestring, name->valuestring,
                                   arguments->valuestring, e);
}

static int add_output_item(struct answer_request *r, const cJSON *item, const char *where,
                           struct err *e)
{
    const cJSON *id = json_field_get(item, "call_id");
    if (!cJSON_IsString(id)) {
        return err_set_param(e, ERR_INVALID, where,
                             "\"%s\": a function_call_output needs a string call_id", where);
    }
    const cJSON *output = json_field_get(item, "output");
    if (add_message(r, "tool", answer_fields_text(r, output, text_types, where, e), e) != 0) {
        return -1;
    }
    r->messages[r->n_messages - 1].tool_call_id = id->valuestring;
    return 0;
}

static int parse_item(struct answer_request *r, const cJSON *item, int i, struct err *e)
{
    char where[48];
    snprintf(where, sizeof(where), "input[%d]", i);
    const cJSON *type = json_field_get(item, "type");
    const char *name = cJSON_IsString(type) ? type->valuestring : "message";
    if (!cJSON_IsObject(item) || (type && !cJSON_IsString(type))) {
        return json_field_wrong_type(where, "an object with a type", e);
    }
    if (strcmp(name, "message") == 0) {
        return add_message_item(r, item, where, e);
    }
    if (strcmp(name, "function_call") == 0) {
        return add_call_item(r, item, where, e);
    }
    if (strcmp(name, "function_call_output") == 0) {
        return add_output_item(r, item, where, e);
    }
    if (strcmp(name, "reasoning") == 0) {
        return 0; /* models are not shown their earlier thoughts */
    }
    return err_set_param(e, ERR_UNSUPPORTED, where,
                         "\"%s\": items of type \"%.40s\" are not supported", where, name);
}

static int parse_input(struct answer_request *r, struct err *e)
{
    const cJSON *input = json_field_get(r->json, "input");
    if (cJSON_IsString(input)) {
        return add_message(r, "user", input->valuestring, e);
    }
    if (!cJSON_IsArray(input) || !input->child) {
        return json_field_wrong_type("input", "a string or an array of items", e);
    }
    int i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, input)
    {
        if (parse_item(r, item, i++, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- settings --- */

static int parse_reasoning(struct answer_request *r, struct err *e)
{
    const cJSON *reasoning = json_field_get(r->json, "reasoning");
    if (reasoning && !cJSON_IsObject(reasoning)) {
        return json_field_wrong_type("reasoning", "an object", e);
    }
    return answer_fields_template(r, e) != 0
               ? -1
               : answer_fields_effort(r, reasoning, "effort", "reasoning.effort", e);
}

static int parse_text_format(struct answer_request *r, struct err *e)
{
    const cJSON *text = json_field_get(r->json, "text");
    if (text && !cJSON_IsObject(text)) {
        return json_field_wrong_type("text", "an object", e);
    }
    return constraint_fields_format(json_field_get(text, "format"), "text.format",
                                    &r->constraint, e) == 0
               ? constraint_fields_parse(r->json, &r->constraint, e)
               : -1;
}

static int parse_logprobs(struct answer_request *r, struct err *e)
{
    double top = 0.0;
    if (json_field_integer(r->json, "top_logprobs", 0, ANSWER_LOGPROBS_MAX, &top, e) != 0) {
        return -1;
    }
    r->top_logprobs = (int)top;
    r->logprobs = top > 0.0;
    const cJSON *item;
    cJSON_ArrayForEach(item, json_field_get(r->json, "include"))
    {
        if (cJSON_IsString(item) &&
            strcmp(item->valuestring, "message.output_text.logprobs") == 0) {
            r->logprobs = true;
        }
    }
    return 0;
}

static int check_unsupported(const struct answer_request *r, struct err *e)
{
    static const char *const stateful[] = {"previous_response_id", "conversation", "prompt"};
    for (size_t i = 0; i < sizeof(stateful) / sizeof(stateful[0]); i++) {
        if (json_field_get(r->json, stateful[i])) {
            return json_field_refuse(
                stateful[i], ": nothing is stored here, send the whole conversation as input",
                e);
        }
    }
    bool background = false;
    if (json_field_bool(r->json, "background", &background, e) != 0) {
        return -1;
    }
    return background ? json_field_refuse("background", "", e) : 0;
}

static int parse_fields(struct answer_request *r, struct err *e)
{
    r->include_usage = true;
    bool bad = answer_fields_model(r, e) != 0 || answer_fields_prompt(r, false, e) != 0 ||
               parse_instructions(r, e) != 0 || parse_input(r, e) != 0 ||
               answer_fields_stream(r, e) != 0 ||
               answer_fields_max_tokens(r, "max_output_tokens", e) != 0 ||
               sampling_fields_parse(r->json, &r->sampling, &r->given, e) != 0 ||
               answer_fields_stop(r, "stop", e) != 0 || answer_fields_running(r, e) != 0 ||
               parse_reasoning(r, e) != 0 || parse_logprobs(r, e) != 0 ||
               tool_list_from_responses(&r->tools, r->json, e) != 0 ||
               parse_text_format(r, e) != 0 || check_unsupported(r, e) != 0 ||
               answer_fields_unsupported(r, e) != 0 || echo_fields_check(r->json, e) != 0;
    return bad ? -1 : 0;
}

int responses_request_parse(struct answer_request *r, const char *body, size_t len,
                            struct err *e)
{
    return answer_request_parse(r, body, len, parse_fields, e);
}
