#include "runtime/api/reply.h"

#include <stdint.h>

#include "models/tokenizer/decoder.h"
#include "runtime/api/json_text.h"
#include "runtime/base/mem.h"

void reply_send(struct reply *r, const char *name, cJSON *json)
{
    size_t len = 0;
    char *text = json_text_take(json, &len);
    r->sequence++;
    r->event(r->event_ctx, name, text, len);
}

cJSON *reply_part_text(const struct answer_choice *c, const struct answer_part *part)
{
    const struct buf *from = part->kind == ANSWER_PART_REASONING ? &c->reasoning : &c->content;
    char *text = mem_strndup(from->data + part->from, part->to - part->from);
    cJSON *string = text ? cJSON_CreateString(text) : NULL;
    mem_free(text);
    return string;
}

const char *reply_finish_name(enum answer_finish finish)
{
    switch (finish) {
    case ANSWER_FINISH_LENGTH:
        return "length";
    case ANSWER_FINISH_TOOL_CALLS:
        return "tool_calls";
    case ANSWER_FINISH_CONTENT_FILTER:
        return "content_filter";
    case ANSWER_FINISH_STOP:
        break;
    }
    return "stop";
}

/* --- logprobs --- */

void reply_token_text(const struct reply *r, int32_t token, struct buf *out)
{
    struct decoder d;
    buf_clear(out);
    decoder_init(&d, r->tokenizer);
    decoder_feed(&d, token, out);
    decoder_flush(&d, out);
}

/* JSON has no minus infinity: what cannot happen is as unlikely as OpenAI says it. */
static double finite_logprob(float logprob)
{
    return logprob >= -9999.0f ? (double)logprob : -9999.0;
}

static void add_token(const struct reply *r, cJSON *object, int32_t token, float logprob)
{
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    reply_token_text(r, token, &text);
    size_t len;
    const char *bytes = tokenizer_token_bytes(r->tokenizer, token, &len);
    const char *shown = text.data ? text.data : "";
    if (len == 0) { /* a control token: it has a name, but stands for no text */
        const char *name = tokenizer_token_name(r->tokenizer, token);
        shown = name ? name : "";
    }
    cJSON_AddStringToObject(object, "token", shown);
    cJSON_AddNumberToObject(object, "logprob", finite_logprob(logprob));
    cJSON *array = cJSON_AddArrayToObject(object, "bytes");
    for (size_t i = 0; i < len; i++) {
        cJSON_AddItemToArray(array, cJSON_CreateNumber((unsigned char)bytes[i]));
    }
    buf_deinit(&text);
}

cJSON *reply_logprobs_array(const struct reply *r, const struct answer_choice *c, size_t first,
                            size_t n)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = first; i < first + n; i++) {
        const struct answer_token *t = &c->tokens.items[i];
        cJSON *object = cJSON_CreateObject();
        add_token(r, object, t->token, t->logprob);
        cJSON *tops = cJSON_AddArrayToObject(object, "top_logprobs");
        for (size_t k = t->first_top; k < t->first_top + t->n_top; k++) {
            cJSON *top = cJSON_CreateObject();
            add_token(r, top, c->tokens.tops[k].token, c->tokens.tops[k].logprob);
            cJSON_AddItemToArray(tops, top);
        }
        cJSON_AddItemToArray(list, object);
    }
    return list;
}

cJSON *reply_logprobs(const struct reply *r, const struct answer_choice *c, size_t first,
                      size_t n)
{
    if (!r->request->logprobs) {
        return cJSON_CreateNull();
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddItemToObject(object, "content", reply_logprobs_array(r, c, first, n));
    cJSON_AddNullToObject(object, "refusal");
    return object;
}

/* --- usage --- */

void reply_add_usage(cJSON *root, const struct answer_usage *usage)
{
    cJSON *object = cJSON_AddObjectToObject(root, "usage");
    cJSON_AddNumberToObject(object, "prompt_tokens", (double)usage->prompt_tokens);
    cJSON_AddNumberToObject(object, "completion_tokens", (double)usage->completion_tokens);
    cJSON_AddNumberToObject(object, "total_tokens",
                            (double)(usage->prompt_tokens + usage->completion_tokens));
    cJSON *prompt = cJSON_AddObjectToObject(object, "prompt_tokens_details");
    cJSON_AddNumberToObject(prompt, "cached_tokens", (double)usage->cached_tokens);
    cJSON *completion = cJSON_AddObjectToObject(object, "completion_tokens_details");
    cJSON_AddNumberToObject(completion, "reasoning_tokens", (double)usage->reasoning_tokens);
}
