/* OpenAI's responses: a response object with its output items, or the events of its stream.
 * Each part of the answer is an item: reasoning, a message with one text, or a function call.
 * Every event carries the next sequence_number. */
#include <stdio.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/api/json_text.h"
#include "runtime/api/reply.h"

static cJSON *create_typed(const char *type)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "type", type);
    return object;
}

/* --- items --- */

/* The response's own digits, so that a stream and its end name an item alike. */
static void item_id(const struct reply *r, enum answer_part_kind kind, size_t index,
                    char out[64])
{
    static const char *const prefixes[] = {[ANSWER_PART_CONTENT] = "msg",
                                           [ANSWER_PART_REASONING] = "rs",
                                           [ANSWER_PART_CALL] = "fc"};
    snprintf(out, 64, "%s_%s_%zu", prefixes[kind], r->id + strlen(r->format->id_prefix), index);
}

static cJSON *output_text(const struct reply *r, const struct answer_choice *c, cJSON *text,
                          bool is_whole)
{
    cJSON *part = create_typed("output_text");
    cJSON_AddItemToObject(part, "text", text);
    cJSON_AddArrayToObject(part, "annotations");
    cJSON_AddItemToObject(part, "logprobs",
                          is_whole && r->request->logprobs
                              ? reply_logprobs_array(r, c, 0, c->tokens.count)
                              : cJSON_CreateArray());
    return part;
}

static cJSON *reasoning_text(cJSON *text)
{
    cJSON *part = create_typed("reasoning_text");
    cJSON_AddItemToObject(part, "text", text);
    return part;
}

/* The one part of the content of a message or of reasoning; the text is taken over. */
static cJSON *content_part(const struct reply *r, const struct answer_choice *c,
                           const struct answer_part *part, cJSON *text, bool is_whole)
{
    return part->kind == ANSWER_PART_CONTENT ? output_text(r, c, text, is_whole)
                                             : reasoning_text(text);
}

/* An item with its content, or without one while it begins. */
static cJSON *item(const struct reply *r, const struct answer_choice *c, size_t index,
                   bool is_whole, const char *status)
{
    static const char *const types[] = {[ANSWER_PART_CONTENT] = "message",
                                        [ANSWER_PART_REASONING] = "reasoning",
                                        [ANSWER_PART_CALL] = "function_call"};
    const struct answer_part *part = &c->parts[index];
    char id[64];
    item_id(r, part->kind, index, id);
    cJSON *object = create_typed(types[part->kind]);
    cJSON_AddStringToObject(object, "id", id);
    cJSON_AddStringToObject(object, "status", status);
    if (part->kind == ANSWER_PART_CALL) {
        const struct answer_call *call = &c->calls[part->call];
        const char *arguments = is_whole ? call->arguments.data : NULL;
        cJSON_AddStringToObject(object, "call_id", call->id);
        cJSON_AddStringToObject(object, "name", call->name);
        cJSON_AddStringToObject(object, "arguments", arguments ? arguments : "");
        return object;
    }
    if (part->kind == ANSWER_PART_CONTENT) {
        cJSON_AddStringToObject(object, "role", "assistant");
    } else {
        cJSON_AddArrayToObject(object, "summary");
    }
    cJSON *content = cJSON_AddArrayToObject(object, "content");
    if (is_whole) {
        cJSON_AddItemToArray(content, content_part(r, c, part, reply_part_text(c, part), true));
    }
    return object;
}

static const char *part_status(const struct answer_choice *c, const struct answer_part *part)
{
    bool half = part->kind == ANSWER_PART_CALL && !c->calls[part->call].complete;
    bool cut = c->finish == ANSWER_FINISH_LENGTH || c->finish == ANSWER_FINISH_CONTENT_FILTER;
    bool last = part == &c->parts[c->n_parts - 1];
    return half || (cut && last) ? "incomplete" : "completed";
}

/* --- the response --- */

/* What the request said, or what it means that it said nothing. */
static void add_echo(cJSON *root, const struct reply *r, const char *name, const char *fallback)
{
    const cJSON *value = json_field_get(r->request->json, name);
    cJSON_AddItemToObject(root, name,
                          value ? cJSON_Duplicate(value, true) : cJSON_Parse(fallback));
}

static void add_usage(cJSON *root, const struct answer_usage *u)
{
    cJSON *usage = cJSON_AddObjectToObject(root, "usage");
    cJSON_AddNumberToObject(usage, "input_tokens", (double)u->prompt_tokens);
    cJSON *input = cJSON_AddObjectToObject(usage, "input_tokens_details");
    cJSON_AddNumberToObject(input, "cached_tokens", (double)u->cached_tokens);
    cJSON_AddNumberToObject(usage, "output_tokens", (double)u->completion_tokens);
    cJSON *output = cJSON_AddObjectToObject(usage, "output_tokens_details");
    cJSON_AddNumberToObject(output, "reasoning_tokens", (double)u->reasoning_tokens);
    cJSON_AddNumberToObject(usage, "total_tokens",
                            (double)(u->prompt_tokens + u->completion_tokens));
}

static void add_settings(cJSON *root, const struct reply *r)
{
    add_echo(root, r, "instructions", "null");
    add_echo(root, r, "max_output_tokens", "null");
    add_echo(root, r, "metadata", "{}");
    add_echo(root, r, "parallel_tool_calls", "true");
    cJSON_AddNullToObject(root, "previous_response_id");
    add_echo(root, r, "reasoning", "{\"effort\":null,\"summary\":null}");
    cJSON_AddFalseToObject(root, "store");
    cJSON_AddNumberToObject(root, "temperature", (double)r->request->sampling.temperature);
    add_echo(root, r, "text", "{\"format\":{\"type\":\"text\"}}");
    add_echo(root, r, "tool_choice", "\"auto\"");
    add_echo(root, r, "tools", "[]");
    cJSON_AddNumberToObject(root, "top_p", (double)r->request->sampling.top_p);
    cJSON_AddNumberToObject(root, "top_logprobs", r->request->top_logprobs);
    add_echo(root, r, "truncation", "\"disabled\"");
    cJSON_AddFalseToObject(root, "background");
}

static const char *response_status(const struct answer_choice *c)
{
    return c->finish == ANSWER_FINISH_LENGTH || c->finish == ANSWER_FINISH_CONTENT_FILTER
               ? "incomplete"
               : "completed";
}

static void add_outcome(cJSON *root, const struct answer_choice *c)
{
    if (strcmp(response_status(c), "incomplete") == 0) {
        cJSON *details = cJSON_AddObjectToObject(root, "incomplete_details");
        cJSON_AddStringToObject(details, "reason",
                                c->finish == ANSWER_FINISH_LENGTH ? "max_output_tokens"
                                                                  : "content_filter");
    } else {
        cJSON_AddNullToObject(root, "incomplete_details");
    }
}

/* status "in_progress": nothing of the answer is there yet. */
static cJSON *response(const struct reply *r, const char *status, const struct api_error *error)
{
    const struct answer_choice *c = &r->choices[0];
    bool is_over = strcmp(status, "completed") == 0 || strcmp(status, "incomplete") == 0;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", r->id);
    cJSON_AddStringToObject(root, "object", "response");
    cJSON_AddNumberToObject(root, "created_at", (double)r->created);
    cJSON_AddStringToObject(root, "status", status);
    if (error) {
        cJSON *object = cJSON_AddObjectToObject(root, "error");
        cJSON_AddStringToObject(object, "code", error->code ? error->code : "server_error");
        cJSON_AddStringToObject(object, "message", error->message);
    } else {
        cJSON_AddNullToObject(root, "error");
    }
    if (is_over) {
        add_outcome(root, c);
    } else {
        cJSON_AddNullToObject(root, "incomplete_details");
    }
    cJSON_AddStringToObject(root, "model", r->model);
    cJSON_AddStringToObject(root, "system_fingerprint", r->fingerprint);
    cJSON *output = cJSON_AddArrayToObject(root, "output");
    for (size_t i = 0; is_over && i < c->n_parts; i++) {
        cJSON_AddItemToArray(output, item(r, c, i, true, part_status(c, &c->parts[i])));
    }
    add_settings(root, r);
    if (is_over) {
        add_usage(root, r->usage);
    } else {
        cJSON_AddNullToObject(root, "usage");
    }
    return root;
}

static char *whole(struct reply *r, size_t *len)
{
    return json_text_take(response(r, response_status(&r->choices[0]), NULL), len);
}

/* --- stream --- */

static cJSON *create_event(const struct reply *r, const char *type)
{
    cJSON *event = create_typed(type);
    cJSON_AddNumberToObject(event, "sequence_number", r->sequence);
    return event;
}

static void send_response(struct reply *r, const char *type, const char *status,
                          const struct api_error *error)
{
    cJSON *event = create_event(r, type);
    cJSON_AddItemToObject(event, "response", response(r, status, error));
    reply_send(r, type, event);
}

static void begin(struct reply *r)
{
    send_response(r, "response.created", "in_progress", NULL);
    send_response(r, "response.in_progress", "in_progress", NULL);
}

static cJSON *item_event(const struct reply *r, const char *type, size_t index)
{
    char id[64];
    item_id(r, r->choices[0].parts[index].kind, index, id);
    cJSON *event = create_event(r, type);
    cJSON_AddStringToObject(event, "item_id", id);
    cJSON_AddNumberToObject(event, "output_index", (double)index);
    return event;
}

/* An event about the one text of the last part. */
static cJSON *text_event(const struct reply *r, const char *type)
{
    cJSON *event = item_event(r, type, r->n_parts - 1);
    cJSON_AddNumberToObject(event, "content_index", 0);
    return event;
}

static void send_item(struct reply *r, const char *type, bool is_whole, const char *status)
{
    cJSON *event = create_event(r, type);
    cJSON_AddNumberToObject(event, "output_index", (double)(r->n_parts - 1));
    cJSON_AddItemToObject(event, "item",
                          item(r, &r->choices[0], r->n_parts - 1, is_whole, status));
    reply_send(r, type, event);
}

static void close_text(struct reply *r, const struct answer_part *part)
{
    const struct answer_choice *c = &r->choices[0];
    bool is_message = part->kind == ANSWER_PART_CONTENT;
    const char *type =
        is_message ? "response.output_text.done" : "response.reasoning_text.done";
    cJSON *event = text_event(r, type);
    cJSON_AddItemToObject(event, "text", reply_part_text(c, part));
    if (is_message) {
        cJSON_AddItemToObject(event, "logprobs", cJSON_CreateArray());
    }
    reply_send(r, type, event);
    event = text_event(r, "response.content_part.done");
    cJSON_AddItemToObject(event, "part",
                          content_part(r, c, part, reply_part_text(c, part), true));
    reply_send(r, "response.content_part.done", event);
}

static void close_call(struct reply *r, const struct answer_part *part)
{
    const struct answer_call *call = &r->choices[0].calls[part->call];
    cJSON *event = item_event(r, "response.function_call_arguments.done", r->n_parts - 1);
    cJSON_AddStringToObject(event, "name", call->name);
    cJSON_AddStringToObject(event, "arguments",
                            call->arguments.data ? call->arguments.data : "");
    reply_send(r, "response.function_call_arguments.done", event);
}

static void close_part(struct reply *r, bool is_last)
{
    if (!r->part_is_open) {
        return;
    }
    const struct answer_choice *c = &r->choices[0];
    const struct answer_part *part = &c->parts[r->n_parts - 1];
    r->part_is_open = false;
    if (part->kind != ANSWER_PART_CALL) {
        close_text(r, part);
    } else if (c->calls[part->call].complete) {
        close_call(r, part);
    }
    send_item(r, "response.output_item.done", true,
              is_last ? part_status(c, part) : "completed");
}

static void open_part(struct reply *r)
{
    const struct answer_choice *c = &r->choices[0];
    close_part(r, false);
    r->n_parts++;
    r->part_is_open = true;
    send_item(r, "response.output_item.added", false, "in_progress");
    const struct answer_part *part = &c->parts[r->n_parts - 1];
    if (part->kind != ANSWER_PART_CALL) {
        cJSON *event = text_event(r, "response.content_part.added");
        cJSON_AddItemToObject(event, "part",
                              content_part(r, c, part, cJSON_CreateString(""), false));
        reply_send(r, "response.content_part.added", event);
    }
}

static void send_delta(struct reply *r, const char *type, cJSON *event, const char *text)
{
    cJSON_AddStringToObject(event, "delta", text);
    reply_send(r, type, event);
}

static void piece(struct reply *r, size_t choice, const struct answer_piece *p)
{
    const struct answer_choice *c = &r->choices[choice];
    const char *type;
    cJSON *event;
    if (r->n_parts < c->n_parts) {
        open_part(r);
    }
    switch (p->kind) {
    case ANSWER_CONTENT:
        type = "response.output_text.delta";
        event = text_event(r, type);
        cJSON_AddItemToObject(event, "logprobs",
                              r->request->logprobs
                                  ? reply_logprobs_array(r, c, p->first_token, p->n_tokens)
                                  : cJSON_CreateArray());
        send_delta(r, type, event, p->text);
        break;
    case ANSWER_REASONING:
        type = "response.reasoning_text.delta";
        send_delta(r, type, text_event(r, type), p->text);
        break;
    case ANSWER_CALL_ARGUMENTS:
        type = "response.function_call_arguments.delta";
        send_delta(r, type, item_event(r, type, r->n_parts - 1), p->text);
        break;
    case ANSWER_CALL_END:
        close_part(r, false);
        break;
    case ANSWER_CALL_BEGIN:
        break;
    }
}

static void finish(struct reply *r, size_t choice)
{
    (void)choice;
    close_part(r, true);
}

static void end(struct reply *r)
{
    const char *status = response_status(&r->choices[0]);
    send_response(
        r, strcmp(status, "completed") == 0 ? "response.completed" : "response.incomplete",
        status, NULL);
}

static void failed(struct reply *r, const struct api_error *error)
{
    send_response(r, "response.failed", "failed", error);
}

const struct reply_format reply_responses = {.id_prefix = "resp_",
                                             .last = "",
                                             .begin = begin,
                                             .piece = piece,
                                             .finish = finish,
                                             .end = end,
                                             .failed = failed,
                                             .whole = whole};
