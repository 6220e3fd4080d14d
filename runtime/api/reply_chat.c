/* OpenAI's chat completions: a chat.completion object, or chat.completion.chunk objects. For
 * each choice first a chunk with the role, then its pieces, then one with the finish reason;
 * behind all of them, if asked for, one with the usage. */
#include "runtime/api/json_text.h"
#include "runtime/api/reply.h"

static cJSON *create_root(const struct reply *r, const char *object)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", r->id);
    cJSON_AddStringToObject(root, "object", object);
    cJSON_AddNumberToObject(root, "created", (double)r->created);
    cJSON_AddStringToObject(root, "model", r->model);
    cJSON_AddStringToObject(root, "system_fingerprint", r->fingerprint);
    return root;
}

/* Adds a choice with what comes after its index. */
static cJSON *add_choice(cJSON *choices, size_t index)
{
    cJSON *choice = cJSON_CreateObject();
    cJSON_AddNumberToObject(choice, "index", (double)index);
    cJSON_AddItemToArray(choices, choice);
    return choice;
}

static void add_moderation(const struct reply *r, cJSON *root)
{
    if (r->moderation) {
        cJSON_AddRawToObject(root, "moderation", r->moderation);
    }
}

/* --- whole --- */

static void add_calls(cJSON *message, const struct answer_choice *c)
{
    cJSON *list = NULL;
    for (size_t i = 0; i < c->n_calls; i++) {
        const struct answer_call *call = &c->calls[i];
        /* Half a call is none: its arguments could not be read. */
        if (!call->complete) {
            continue;
        }
        list = list ? list : cJSON_AddArrayToObject(message, "tool_calls");
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "id", call->id);
        cJSON_AddStringToObject(item, "type", "function");
        cJSON *function = cJSON_AddObjectToObject(item, "function");
        cJSON_AddStringToObject(function, "name", call->name);
        cJSON_AddStringToObject(function, "arguments", call->arguments.data);
        cJSON_AddItemToArray(list, item);
    }
}

static void add_message(cJSON *choice, const struct answer_choice *c)
{
    cJSON *message = cJSON_AddObjectToObject(choice, "message");
    cJSON_AddStringToObject(message, "role", "assistant");
    bool is_silent = c->content.len == 0 && c->n_calls > 0;
    json_add_string_or_null(message, "content",
                            is_silent         ? NULL
                            : c->content.data ? c->content.data
                                              : "");
    if (c->reasoning.len > 0) {
        cJSON_AddStringToObject(message, "reasoning_content", c->reasoning.data);
    }
    cJSON_AddNullToObject(message, "refusal");
    add_calls(message, c);
}

static char *whole(struct reply *r, size_t *len)
{
    cJSON *root = create_root(r, "chat.completion");
    cJSON *list = cJSON_AddArrayToObject(root, "choices");
    for (size_t i = 0; i < r->n_choices; i++) {
        const struct answer_choice *c = &r->choices[i];
        cJSON *choice = add_choice(list, i);
        add_message(choice, c);
        cJSON_AddItemToObject(choice, "logprobs", reply_logprobs(r, c, 0, c->tokens.count));
        cJSON_AddStringToObject(choice, "finish_reason", reply_finish_name(c->finish));
    }
    reply_add_usage(root, r->usage);
    add_moderation(r, root);
    return json_text_take(root, len);
}

/* --- stream --- */

/* Sends a chunk with the delta, which is taken over; finish NULL while the choice goes on. */
static void send_chunk(struct reply *r, size_t index, cJSON *delta, cJSON *logprobs,
                       const char *finish)
{
    cJSON *root = create_root(r, "chat.completion.chunk");
    cJSON *choice = add_choice(cJSON_AddArrayToObject(root, "choices"), index);
    cJSON_AddItemToObject(choice, "delta", delta);
    cJSON_AddItemToObject(choice, "logprobs", logprobs);
    json_add_string_or_null(choice, "finish_reason", finish);
    if (r->request->include_usage) {
        cJSON_AddNullToObject(root, "usage");
    }
    reply_send(r, NULL, root);
}

static void begin(struct reply *r)
{
    for (size_t i = 0; i < r->n_choices; i++) {
        cJSON *delta = cJSON_CreateObject();
        cJSON_AddStringToObject(delta, "role", "assistant");
        send_chunk(r, i, delta, cJSON_CreateNull(), NULL);
    }
}

/* The first delta of a call tells what it is, the others only go on with its arguments. */
static void add_call_delta(cJSON *delta, const struct answer_choice *c,
                           const struct answer_piece *piece)
{
    cJSON *call = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(delta, "tool_calls"), call);
    cJSON_AddNumberToObject(call, "index", (double)piece->call);
    bool is_first = piece->kind == ANSWER_CALL_BEGIN;
    if (is_first) {
        cJSON_AddStringToObject(call, "id", c->calls[piece->call].id);
        cJSON_AddStringToObject(call, "type", "function");
    }
    cJSON *function = cJSON_AddObjectToObject(call, "function");
    if (is_first) {
        cJSON_AddStringToObject(function, "name", piece->text);
    }
    cJSON_AddStringToObject(function, "arguments", is_first ? "" : piece->text);
}

static void piece(struct reply *r, size_t choice, const struct answer_piece *p)
{
    const struct answer_choice *c = &r->choices[choice];
    cJSON *delta = cJSON_CreateObject();
    switch (p->kind) {
    case ANSWER_CONTENT:
        cJSON_AddStringToObject(delta, "content", p->text);
        break;
    case ANSWER_REASONING:
        cJSON_AddStringToObject(delta, "reasoning_content", p->text);
        break;
    case ANSWER_CALL_BEGIN:
    case ANSWER_CALL_ARGUMENTS:
        add_call_delta(delta, c, p);
        break;
    case ANSWER_CALL_END:
        cJSON_Delete(delta);
        return;
    }
    send_chunk(r, choice, delta, reply_logprobs(r, c, p->first_token, p->n_tokens), NULL);
}

static void finish(struct reply *r, size_t choice)
{
    send_chunk(r, choice, cJSON_CreateObject(), cJSON_CreateNull(),
               reply_finish_name(r->choices[choice].finish));
}

static void end(struct reply *r)
{
    if (!r->request->include_usage && !r->moderation) {
        return;
    }
    cJSON *root = create_root(r, "chat.completion.chunk");
    cJSON_AddArrayToObject(root, "choices");
    if (r->request->include_usage) {
        reply_add_usage(root, r->usage);
    }
    add_moderation(r, root);
    reply_send(r, NULL, root);
}

static void failed(struct reply *r, const struct api_error *error)
{
    reply_send(r, NULL, api_error_json(error, API_OPENAI, r->id));
}

const struct reply_format reply_chat = {.id_prefix = "chatcmpl-",
                                        .last = "data: [DONE]\n\n",
                                        .begin = begin,
                                        .piece = piece,
                                        .finish = finish,
                                        .end = end,
                                        .failed = failed,
                                        .whole = whole};
