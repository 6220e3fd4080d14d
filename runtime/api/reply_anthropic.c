/* Anthropic's messages: a message object, or the events of its stream: message_start, for each
 * block of content a start, deltas and a stop, then message_delta and message_stop. */
#include "runtime/api/json_text.h"
#include "runtime/api/reply.h"
#include "runtime/base/json.h"

static const char *stop_reason(const struct answer_choice *c)
{
    switch (c->finish) {
    case ANSWER_FINISH_LENGTH:
        return "max_tokens";
    case ANSWER_FINISH_TOOL_CALLS:
        return "tool_use";
    case ANSWER_FINISH_CONTENT_FILTER:
        return "refusal";
    case ANSWER_FINISH_STOP:
        break;
    }
    return c->stop ? "stop_sequence" : "end_turn";
}

static void add_stop(cJSON *object, const struct answer_choice *c)
{
    cJSON_AddStringToObject(object, "stop_reason", stop_reason(c));
    json_add_string_or_null(object, "stop_sequence", c->stop);
    if (c->finish == ANSWER_FINISH_CONTENT_FILTER) {
        cJSON *details = cJSON_AddObjectToObject(object, "stop_details");
        cJSON_AddStringToObject(details, "type", "refusal");
        json_add_string_or_null(details, "category", c->filter_code);
        json_add_string_or_null(details, "explanation", c->filter_message);
    } else {
        cJSON_AddNullToObject(object, "stop_details");
    }
}

/* What was found in the cache is told apart from the rest, which makes all together the prompt.
 */
static void add_usage(cJSON *object, const struct answer_usage *u)
{
    cJSON *usage = cJSON_AddObjectToObject(object, "usage");
    cJSON_AddNumberToObject(usage, "input_tokens",
                            (double)(u->prompt_tokens - u->cached_tokens));
    cJSON_AddNumberToObject(usage, "cache_creation_input_tokens", 0);
    cJSON_AddNumberToObject(usage, "cache_read_input_tokens", (double)u->cached_tokens);
    cJSON_AddNumberToObject(usage, "output_tokens", (double)u->completion_tokens);
}

static cJSON *create_message(const struct reply *r)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", r->id);
    cJSON_AddStringToObject(root, "type", "message");
    cJSON_AddStringToObject(root, "role", "assistant");
    cJSON_AddStringToObject(root, "model", r->model);
    cJSON_AddNullToObject(root, "container");
    return root;
}

/* --- blocks --- */

static cJSON *create_typed(const char *type)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "type", type);
    return object;
}

/* Texts are taken over. */
static cJSON *text_block(cJSON *text)
{
    cJSON *block = create_typed("text");
    cJSON_AddItemToObject(block, "text", text);
    cJSON_AddNullToObject(block, "citations");
    return block;
}

static cJSON *thinking_block(cJSON *text)
{
    cJSON *block = create_typed("thinking");
    cJSON_AddItemToObject(block, "thinking", text);
    cJSON_AddStringToObject(block, "signature", "");
    return block;
}

/* input NULL: not known yet. */
static cJSON *call_block(const struct answer_call *call, const struct buf *input)
{
    struct err ignored = {0};
    cJSON *block = create_typed("tool_use");
    cJSON_AddStringToObject(block, "id", call->id);
    cJSON_AddStringToObject(block, "name", call->name);
    cJSON *parsed =
        input && input->len > 0 ? json_parse(input->data, input->len, &ignored) : NULL;
    cJSON_AddItemToObject(block, "input", parsed ? parsed : cJSON_CreateObject());
    return block;
}

static cJSON *whole_block(const struct answer_choice *c, const struct answer_part *part)
{
    switch (part->kind) {
    case ANSWER_PART_CONTENT:
        return text_block(reply_part_text(c, part));
    case ANSWER_PART_REASONING:
        return thinking_block(reply_part_text(c, part));
    case ANSWER_PART_CALL:
        break;
    }
    return call_block(&c->calls[part->call], &c->calls[part->call].arguments);
}

static char *whole(struct reply *r, size_t *len)
{
    const struct answer_choice *c = &r->choices[0];
    cJSON *root = create_message(r);
    cJSON *content = cJSON_AddArrayToObject(root, "content");
    for (size_t i = 0; i < c->n_parts; i++) {
        const struct answer_part *part = &c->parts[i];
        /* Half a call is none: its arguments could not be read. */
        if (part->kind != ANSWER_PART_CALL || c->calls[part->call].complete) {
            cJSON_AddItemToArray(content, whole_block(c, part));
        }
    }
    if (cJSON_GetArraySize(content) == 0) {
        cJSON_AddItemToArray(content, text_block(cJSON_CreateString("")));
    }
    add_stop(root, c);
    add_usage(root, r->usage);
    return json_text_take(root, len);
}

/* --- stream --- */

static void begin(struct reply *r)
{
    cJSON *event = create_typed("message_start");
    cJSON *message = create_message(r);
    cJSON_AddArrayToObject(message, "content");
    cJSON_AddNullToObject(message, "stop_reason");
    cJSON_AddNullToObject(message, "stop_sequence");
    add_usage(message, r->usage);
    cJSON_AddItemToObject(event, "message", message);
    reply_send(r, "message_start", event);
}

static void close_block(struct reply *r)
{
    if (r->part_is_open) {
        cJSON *event = create_typed("content_block_stop");
        cJSON_AddNumberToObject(event, "index", (double)(r->n_parts - 1));
        r->part_is_open = false;
        reply_send(r, "content_block_stop", event);
    }
}

static void open_block(struct reply *r, cJSON *block)
{
    close_block(r);
    cJSON *event = create_typed("content_block_start");
    cJSON_AddNumberToObject(event, "index", (double)r->n_parts++);
    cJSON_AddItemToObject(event, "content_block", block);
    r->part_is_open = true;
    reply_send(r, "content_block_start", event);
}

static cJSON *empty_block(const struct answer_choice *c, const struct answer_part *part)
{
    switch (part->kind) {
    case ANSWER_PART_CONTENT:
        return text_block(cJSON_CreateString(""));
    case ANSWER_PART_REASONING:
        return thinking_block(cJSON_CreateString(""));
    case ANSWER_PART_CALL:
        break;
    }
    return call_block(&c->calls[part->call], NULL);
}

static void send_delta(struct reply *r, const char *type, const char *name, const char *text)
{
    cJSON *event = create_typed("content_block_delta");
    cJSON_AddNumberToObject(event, "index", (double)(r->n_parts - 1));
    cJSON *delta = cJSON_AddObjectToObject(event, "delta");
    cJSON_AddStringToObject(delta, "type", type);
    cJSON_AddStringToObject(delta, name, text);
    reply_send(r, "content_block_delta", event);
}

static void piece(struct reply *r, size_t choice, const struct answer_piece *p)
{
    const struct answer_choice *c = &r->choices[choice];
    if (r->n_parts < c->n_parts) {
        open_block(r, empty_block(c, &c->parts[c->n_parts - 1]));
    }
    switch (p->kind) {
    case ANSWER_CONTENT:
        send_delta(r, "text_delta", "text", p->text);
        break;
    case ANSWER_REASONING:
        send_delta(r, "thinking_delta", "thinking", p->text);
        break;
    case ANSWER_CALL_ARGUMENTS:
        send_delta(r, "input_json_delta", "partial_json", p->text);
        break;
    case ANSWER_CALL_END:
        close_block(r);
        break;
    case ANSWER_CALL_BEGIN:
        break;
    }
}

static void finish(struct reply *r, size_t choice)
{
    (void)choice;
    /* Clients expect at least one block. */
    if (r->n_parts == 0) {
        open_block(r, text_block(cJSON_CreateString("")));
    }
    close_block(r);
}

static void end(struct reply *r)
{
    cJSON *event = create_typed("message_delta");
    add_stop(cJSON_AddObjectToObject(event, "delta"), &r->choices[0]);
    add_usage(event, r->usage);
    reply_send(r, "message_delta", event);
    reply_send(r, "message_stop", create_typed("message_stop"));
}

static void failed(struct reply *r, const struct api_error *error)
{
    reply_send(r, "error", api_error_json(error, API_ANTHROPIC, r->id));
}

const struct reply_format reply_anthropic = {.id_prefix = "msg_",
                                             .last = "",
                                             .begin = begin,
                                             .piece = piece,
                                             .finish = finish,
                                             .end = end,
                                             .failed = failed,
                                             .whole = whole};
