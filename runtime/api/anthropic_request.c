#include "runtime/api/anthropic_request.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/api/json_text.h"

static const char *const text_types[] = {"text", NULL};

static int parse_system(struct answer_request *r, struct err *e)
{
    const cJSON *system = json_field_get(r->json, "system");
    if (!system) {
        return 0;
    }
    const char *text = answer_fields_text(r, system, text_types, "system", e);
    struct chat_message *m = text ? answer_request_add_message(r, "system", e) : NULL;
    if (!m) {
        return -1;
    }
    answer_message_set_text(m, text);
    return 0;
}

/* --- blocks of a message's content --- */

static const char *block_type(const cJSON *block, const char *where, struct err *e)
{
    const cJSON *type = json_field_get(block, "type");
    if (!cJSON_IsString(type)) {
        err_set_param(e, ERR_INVALID, where, "\"%s\": each block needs a \"type\"", where);
        return NULL;
    }
    return type->valuestring;
}

/* Text that follows text of the same message is joined to it. */
static int add_text(struct answer_request *r, const char *role, bool joins, const char *text,
                    struct err *e)
{
    return !joins && !answer_request_add_message(r, role, e)
               ? -1
               : answer_request_join_text(r, text, e);
}

static int add_tool_use(struct answer_request *r, bool joins, const cJSON *block,
                        const char *where, struct err *e)
{
    const cJSON *id = json_field_get(block, "id");
    const cJSON *name = json_field_get(block, "name");
    const cJSON *input = json_field_get(block, "input");
    if (!cJSON_IsString(id) || !cJSON_IsString(name) || (input && !cJSON_IsObject(input))) {
        return err_set_param(e, ERR_INVALID, where,
                             "\"%s\": tool_use needs the strings id and name, and an object "
                             "input",
                             where);
    }
    if (!joins && !answer_request_add_message(r, "assistant", e)) {
        return -1;
    }
    size_t len;
    char *arguments =
        json_text_take(input ? cJSON_Duplicate(input, true) : cJSON_CreateObject(), &len);
    if (answer_request_own(r, arguments, e) != 0) {
        return -1;
    }
    return answer_request_add_call(r, id->valuestring, name->valuestring, arguments, e);
}

static int add_tool_result(struct answer_request *r, const cJSON *block, const char *where,
                           struct err *e)
{
    const cJSON *id = json_field_get(block, "tool_use_id");
    const cJSON *content = json_field_get(block, "content");
    if (!cJSON_IsString(id)) {
        return err_set_param(e, ERR_INVALID, where,
                             "\"%s\": tool_result needs a string tool_use_id", where);
    }
    const char *text = content ? answer_fields_text(r, content, text_types, where, e) : "";
    struct chat_message *m = text ? answer_request_add_message(r, "tool", e) : NULL;
    if (!m) {
        return -1;
    }
    m->tool_call_id = id->valuestring;
    answer_message_set_text(m, text);
    return 0;
}

static int add_thinking(struct answer_request *r, bool joins, const cJSON *block,
                        const char *where, struct err *e)
{
    const cJSON *text = json_field_get(block, "thinking");
    if (!cJSON_IsString(text)) {
        return err_set_param(e, ERR_INVALID, where, "\"%s\": thinking needs a string", where);
    }
    struct chat_message *m =
        joins ? &r->messages[r->n_messages - 1] : answer_request_add_message(r, "assistant", e);
    if (!m) {
        return -1;
    }
    m->reasoning = text->valuestring;
    return 0;
}

static int add_block(struct answer_request *r, const char *role, bool joins, const cJSON *block,
                     const char *where, struct err *e)
{
    const char *type = block_type(block, where, e);
    const cJSON *text = json_field_get(block, "text");
    bool is_assistant = strcmp(role, "assistant") == 0;
    if (!type) {
        return -1;
    }
    if (strcmp(type, "text") == 0) {
        return cJSON_IsString(text)
                   ? add_text(r, role, joins, text->valuestring, e)
                   : err_set_param(e, ERR_INVALID, where,
                                   "\"%s\": a text block needs a string \"text\"", where);
    }
    if (is_assistant && strcmp(type, "tool_use") == 0) {
        return add_tool_use(r, joins, block, where, e);
    }
    if (is_assistant && strcmp(type, "thinking") == 0) {
        return add_thinking(r, joins, block, where, e);
    }
    if (!is_assistant && strcmp(type, "tool_result") == 0) {
        return add_tool_result(r, block, where, e);
    }
    return err_set_param(e, ERR_UNSUPPORTED, where,
                         "\"%s\": blocks of type \"%.40s\" are not supported here, the model "
                         "reads text",
                         where, type);
}

static int parse_blocks(struct answer_request *r, const char *role, const cJSON *content,
                        const char *where, struct err *e)
{
    bool joins = false;
    int i = 0;
    const cJSON *block;
    cJSON_ArrayForEach(block, content)
    {
        char at[64];
        snprintf(at, sizeof(at), "%.48s[%d]", where, i++);
        if (add_block(r, role, joins, block, at, e) != 0) {
            return -1;
        }
        /* A tool's result is a message of its own. */
        joins = strcmp(r->messages[r->n_messages - 1].role, role) == 0;
    }
    return i > 0 ? 0
                 : err_set_param(e, ERR_INVALID, where, "\"%s\" is empty; a block is needed",
                                 where);
}

static int parse_message(struct answer_request *r, const cJSON *item, int i, struct err *e)
{
    char where[48];
    const cJSON *role = json_field_get(item, "role");
    const cJSON *content = json_field_get(item, "content");
    snprintf(where, sizeof(where), "messages[%d].role", i);
    bool is_user = cJSON_IsString(role) && strcmp(role->valuestring, "user") == 0;
    if (!is_user && !(cJSON_IsString(role) && strcmp(role->valuestring, "assistant") == 0)) {
        return json_field_wrong_type(where, "\"user\" or \"assistant\"", e);
    }
    const char *name = is_user ? "user" : "assistant";
    snprintf(where, sizeof(where), "messages[%d].content", i);
    if (cJSON_IsString(content)) {
        return add_text(r, name, false, content->valuestring, e);
    }
    return cJSON_IsArray(content)
               ? parse_blocks(r, name, content, where, e)
               : json_field_wrong_type(where, "a string or an array of blocks", e);
}

static int parse_messages(struct answer_request *r, struct err *e)
{
    const cJSON *list = json_field_get(r->json, "messages");
    if (!cJSON_IsArray(list) || !list->child) {
        return json_field_wrong_type("messages", "an array of at least one message", e);
    }
    int i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (parse_message(r, item, i++, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- settings --- */

/* Anthropic's temperature goes to 1; more is not refused. */
static int parse_thinking(struct answer_request *r, struct err *e)
{
    const cJSON *thinking = json_field_get(r->json, "thinking");
    if (answer_fields_template(r, e) != 0) {
        return -1;
    }
    if (!thinking) {
        return 0;
    }
    const cJSON *type = json_field_get(thinking, "type");
    if (!cJSON_IsString(type)) {
        return json_field_wrong_type("thinking.type", "a string", e);
    }
    bool on = strcmp(type->valuestring, "disabled") != 0;
    return cJSON_AddBoolToObject(r->template_arguments, "enable_thinking", on) ? 0
                                                                               : err_nomem(e);
}

static int parse_output_format(struct answer_request *r, struct err *e)
{
    const cJSON *config = json_field_get(r->json, "output_config");
    if (config && !cJSON_IsObject(config)) {
        return json_field_wrong_type("output_config", "an object", e);
    }
    return constraint_fields_format(json_field_get(config, "format"), "output_config.format",
                                    &r->constraint, e);
}

static int check_unsupported(const struct answer_request *r, struct err *e)
{
    static const char *const lists[] = {"mcp_servers", "container"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (json_field_get(r->json, lists[i])) {
            return json_field_refuse(lists[i], "", e);
        }
    }
    return 0;
}

static int parse_fields(struct answer_request *r, struct err *e)
{
    r->include_usage = true;
    bool bad =
        answer_fields_model(r, e) != 0 || answer_fields_prompt(r, true, e) != 0 ||
        parse_system(r, e) != 0 || parse_messages(r, e) != 0 ||
        answer_fields_stream(r, e) != 0 || answer_fields_max_tokens(r, "max_tokens", e) != 0 ||
        sampling_fields_parse(r->json, &r->sampling, &r->given, e) != 0 ||
        answer_fields_stop(r, "stop_sequences", e) != 0 || answer_fields_running(r, e) != 0 ||
        parse_thinking(r, e) != 0 || tool_list_from_messages(&r->tools, r->json, e) != 0 ||
        parse_output_format(r, e) != 0 || check_unsupported(r, e) != 0 ||
        answer_fields_unsupported(r, e) != 0;
    return bad ? -1 : 0;
}

static int parse_answer_fields(struct answer_request *r, struct err *e)
{
    if (parse_fields(r, e) != 0) {
        return -1;
    }
    return r->max_tokens > 0 ? 0
                             : err_set_param(e, ERR_INVALID, "max_tokens",
                                             "\"max_tokens\" is needed: a whole number from 1");
}

int anthropic_request_parse(struct answer_request *r, const char *body, size_t len,
                            struct err *e)
{
    return answer_request_parse(r, body, len, parse_answer_fields, e);
}

int anthropic_count_request_parse(struct answer_request *r, const char *body, size_t len,
                                  struct err *e)
{
    return answer_request_parse(r, body, len, parse_fields, e);
}
