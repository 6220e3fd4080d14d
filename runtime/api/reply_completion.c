/* OpenAI's completions: text_completion objects, which go on with a prompt. */
#include <stdint.h>

#include "runtime/api/json_text.h"
#include "runtime/api/reply.h"

static cJSON *create_root(const struct reply *r)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", r->id);
    cJSON_AddStringToObject(root, "object", "text_completion");
    cJSON_AddNumberToObject(root, "created", (double)r->created);
    cJSON_AddStringToObject(root, "model", r->model);
    cJSON_AddStringToObject(root, "system_fingerprint", r->fingerprint);
    return root;
}

/* The older form of logprobs: four lists, one entry a token. */
static cJSON *logprobs(const struct reply *r, const struct answer_choice *c, size_t first,
                       size_t n)
{
    if (!r->request->logprobs) {
        return cJSON_CreateNull();
    }
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    cJSON *object = cJSON_CreateObject();
    cJSON *tokens = cJSON_AddArrayToObject(object, "tokens");
    cJSON *values = cJSON_AddArrayToObject(object, "token_logprobs");
    cJSON *tops = cJSON_AddArrayToObject(object, "top_logprobs");
    cJSON *offsets = cJSON_AddArrayToObject(object, "text_offset");
    double offset = 0.0;
    for (size_t i = 0; i < first + n; i++) {
        const struct answer_token *t = &c->tokens.items[i];
        reply_token_text(r, t->token, &text);
        if (i >= first) {
            cJSON_AddItemToArray(tokens, cJSON_CreateString(text.data ? text.data : ""));
            cJSON_AddItemToArray(values, cJSON_CreateNumber((double)t->logprob));
            cJSON_AddItemToArray(offsets, cJSON_CreateNumber(offset));
        }
        offset += (double)text.len;
        cJSON *top = i >= first ? cJSON_CreateObject() : NULL;
        for (size_t k = t->first_top; top && k < t->first_top + t->n_top; k++) {
            reply_token_text(r, c->tokens.tops[k].token, &text);
            cJSON_AddNumberToObject(top, text.data ? text.data : "",
                                    (double)c->tokens.tops[k].logprob);
        }
        if (top) {
            cJSON_AddItemToArray(tops, top);
        }
    }
    buf_deinit(&text);
    return object;
}

static void add_choice(cJSON *list, size_t index, const char *text, cJSON *logprobs_taken,
                       const char *finish)
{
    cJSON *choice = cJSON_CreateObject();
    cJSON_AddNumberToObject(choice, "index", (double)index);
    cJSON_AddStringToObject(choice, "text", text);
    cJSON_AddItemToObject(choice, "logprobs", logprobs_taken);
    json_add_string_or_null(choice, "finish_reason", finish);
    cJSON_AddItemToArray(list, choice);
}

static char *whole(struct reply *r, size_t *len)
{
    cJSON *root = create_root(r);
    cJSON *list = cJSON_AddArrayToObject(root, "choices");
    for (size_t i = 0; i < r->n_choices; i++) {
        const struct answer_choice *c = &r->choices[i];
        add_choice(list, i, c->content.data ? c->content.data : "",
                   logprobs(r, c, 0, c->tokens.count), reply_finish_name(c->finish));
    }
    reply_add_usage(root, r->usage);
    return json_text_take(root, len);
}

static void send_chunk(struct reply *r, size_t index, const char *text, cJSON *logprobs_taken,
                       const char *finish)
{
    cJSON *root = create_root(r);
    add_choice(cJSON_AddArrayToObject(root, "choices"), index, text, logprobs_taken, finish);
    if (r->request->include_usage) {
        cJSON_AddNullToObject(root, "usage");
    }
    reply_send(r, NULL, root);
}

static void begin(struct reply *r)
{
    (void)r;
}

static void piece(struct reply *r, size_t choice, const struct answer_piece *p)
{
    if (p->kind == ANSWER_CONTENT) {
        send_chunk(r, choice, p->text,
                   logprobs(r, &r->choices[choice], p->first_token, p->n_tokens), NULL);
    }
}

static void finish(struct reply *r, size_t choice)
{
    send_chunk(r, choice, "", cJSON_CreateNull(), reply_finish_name(r->choices[choice].finish));
}

static void end(struct reply *r)
{
    if (r->request->include_usage) {
        cJSON *root = create_root(r);
        cJSON_AddArrayToObject(root, "choices");
        reply_add_usage(root, r->usage);
        reply_send(r, NULL, root);
    }
}

static void failed(struct reply *r, const struct api_error *error)
{
    reply_send(r, NULL, api_error_json(error, API_OPENAI, r->id));
}

const struct reply_format reply_completion = {.id_prefix = "cmpl-",
                                              .last = "data: [DONE]\n\n",
                                              .begin = begin,
                                              .piece = piece,
                                              .finish = finish,
                                              .end = end,
                                              .failed = failed,
                                              .whole = whole};
