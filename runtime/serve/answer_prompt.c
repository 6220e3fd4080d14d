#include "runtime/serve/answer_prompt.h"

#include "models/template/chat_prompt.h"
#include "runtime/serve/conversation.h"

/* More text than this for each token of the context is taken for too much. */
#define TOKEN_BYTES 64

size_t answer_prompt_count(const struct answer_request *r)
{
    return r->n_prompts > 0 ? r->n_prompts : 1;
}

size_t answer_prompt_values(const struct answer_request *r,
                            struct prompt_value values[ANSWER_VARIABLES_MAX])
{
    size_t n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, r->prompt_variables)
    {
        values[n++] = (struct prompt_value){.name = item->string, .value = item->valuestring};
    }
    return n;
}

/* --- conversations --- */

static int render_conversation(const struct answer_prompt_source *s,
                               const struct conversation *c, struct token_list *out,
                               bool *reasoning_open, struct err *e)
{
    const struct model *m = s->generation->model;
    const struct tool_list *tools = &s->request->tools;
    struct tool_messages fit;
    if (!m->chat_template) {
        return err_set_param(e, ERR_UNSUPPORTED, "messages",
                             "\"messages\": the model has no chat template, so it cannot chat; "
                             "/v1/completions goes on with a text");
    }
    if (tool_messages_init(&fit, &s->generation->format, c->messages, c->n_messages,
                           tools->choice == OUTPUT_CHOICE_NONE ? NULL : tools->json, e) != 0) {
        return -1;
    }
    const struct chat_render render = {.messages = fit.messages,
                                       .n_messages = fit.n_messages,
                                       .tools = fit.tools,
                                       .add_generation_prompt = true,
                                       .kwargs = s->request->template_arguments};
    struct chat_text text;
    int rendered = chat_prompt_render(m->chat_template, m->tokenizer, &render, &text, e);
    tool_messages_deinit(&fit);
    if (rendered != 0) {
        return -1;
    }
    *reasoning_open = output_format_prompt_open(&s->generation->format, text.data, text.len);
    int rc = chat_prompt_encode(m->tokenizer, &text, out, e);
    chat_text_deinit(&text);
    return rc;
}

/* Without the n_dropped oldest messages that are no system messages. */
static int render(const struct answer_prompt_source *s, size_t n_dropped,
                  struct token_list *out, bool *reasoning_open, struct err *e)
{
    struct conversation c;
    out->count = 0;
    if (conversation_init(&c, s, e) != 0) {
        return -1;
    }
    conversation_drop_oldest(&c, n_dropped);
    int rc = render_conversation(s, &c, out, reasoning_open, e);
    conversation_deinit(&c);
    return rc;
}

static int render_truncated(const struct answer_prompt_source *s, struct token_list *out,
                            bool *reasoning_open, struct err *e)
{
    size_t context = (size_t)engine_context(s->generation->engine);
    size_t wanted = s->request->max_tokens > 0 ? (size_t)s->request->max_tokens : 1;
    size_t room = wanted < context ? context - wanted : 1;
    const struct chat_message *messages = s->request->messages;
    size_t most = conversation_droppable(messages, s->request->n_messages);
    /* What cannot possibly fit is not made into tokens again and again. */
    size_t fewest = conversation_excess(messages, s->request->n_messages, room * TOKEN_BYTES);
    while (fewest < most) {
        size_t middle = fewest + (most - fewest) / 2;
        if (render(s, middle, out, reasoning_open, e) != 0) {
            return -1;
        }
        if (out->count <= room) {
            most = middle;
        } else {
            fewest = middle + 1;
        }
    }
    return render(s, most, out, reasoning_open, e);
}

/* --- texts to go on with --- */

/* Text is text: the names of control tokens in it are not read as such. */
static int encode(const struct tokenizer *t, const char *text, size_t len,
                  struct token_list *out, struct err *e)
{
    return tokenizer_encode(t, text, len, false, out, e);
}

static int append_owners_text(const struct answer_prompt_source *s, struct token_list *out,
                              struct err *e)
{
    const struct tokenizer *t = s->generation->model->tokenizer;
    struct buf text;
    buf_init(&text, PROMPT_RENDERED_MAX + 2);
    int rc = prompt_render(s->prompt, s->values, s->n_values, &text, NULL, e);
    if (rc == 0 && text.len > 0) {
        buf_append_str(&text, "\n\n");
        rc = text.failed ? err_nomem(e) : encode(t, text.data, text.len, out, e);
    }
    buf_deinit(&text);
    return rc;
}

/* Control tokens would let a client write the owner's part of a conversation. */
static int append_ids(const struct answer_prompt_source *s, const struct token_list *ids,
                      struct token_list *out, struct err *e)
{
    const struct tokenizer *t = s->generation->model->tokenizer;
    for (size_t i = 0; i < ids->count; i++) {
        int32_t id = ids->ids[i];
        if (id >= tokenizer_vocab_size(t)) {
            return err_set_param(e, ERR_INVALID, "prompt",
                                 "\"prompt\": token %d is not in the vocabulary of %d", id,
                                 tokenizer_vocab_size(t));
        }
        bool is_bos = i == 0 && id == tokenizer_bos(t);
        if (is_bos) {
            continue;
        }
        if (tokenizer_is_control(t, id)) {
            return err_set_param(e, ERR_INVALID, "prompt",
                                 "\"prompt\": token %d is a control token; only text is taken",
                                 id);
        }
        if (token_list_push(out, id) != 0) {
            return err_nomem(e);
        }
    }
    return 0;
}

static int raw_tokens(const struct answer_prompt_source *s, const struct answer_prompt *p,
                      struct token_list *out, struct err *e)
{
    const struct tokenizer *t = s->generation->model->tokenizer;
    out->count = 0;
    int32_t bos = tokenizer_bos(t);
    bool wants_bos = bos != TOKEN_NONE && tokenizer_add_bos(t);
    if (wants_bos && token_list_push(out, bos) != 0) {
        return err_nomem(e);
    }
    if (append_owners_text(s, out, e) != 0) {
        return -1;
    }
    int rc =
        p->text ? encode(t, p->text, p->text_len, out, e) : append_ids(s, &p->tokens, out, e);
    if (rc == 0 && out->count == 0) {
        rc = err_set_param(e, ERR_INVALID, "prompt", "\"prompt\" is empty");
    }
    return rc;
}

int answer_prompt_tokens(const struct answer_prompt_source *s, size_t index,
                         struct token_list *out, bool *reasoning_open, struct err *e)
{
    *reasoning_open = false;
    if (s->request->n_prompts > 0) {
        return raw_tokens(s, &s->request->prompts[index], out, e);
    }
    return s->request->truncate ? render_truncated(s, out, reasoning_open, e)
                                : render(s, 0, out, reasoning_open, e);
}
