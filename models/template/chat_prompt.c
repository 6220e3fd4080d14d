#include "models/template/chat_prompt.h"

static const char *token_name(const struct tokenizer *tokenizer, int32_t id)
{
    const char *name = id == TOKEN_NONE ? NULL : tokenizer_token_name(tokenizer, id);
    return name ? name : "";
}

int chat_prompt_text(const struct chat_template *t, const struct tokenizer *tokenizer,
                     const struct chat_message *messages, size_t n_messages,
                     bool add_generation_prompt, struct chat_text *out, struct err *e)
{
    struct chat_render in = {
        .messages = messages,
        .n_messages = n_messages,
        .add_generation_prompt = add_generation_prompt,
        .bos_token = token_name(tokenizer, tokenizer_bos(tokenizer)),
        .eos_token = token_name(tokenizer, tokenizer_eos(tokenizer)),
    };
    return chat_template_render(t, &in, out, e);
}

/* The control token at byte `at`, if all its bytes are the template's. */
static int32_t special_at(const struct tokenizer *tokenizer, const struct chat_text *text,
                          size_t at, size_t *len)
{
    if (!text->trusted[at]) {
        return TOKEN_NONE;
    }
    int32_t id = tokenizer_match_special(tokenizer, text->data + at, text->len - at, len);
    for (size_t i = 0; id != TOKEN_NONE && i < *len; i++) {
        if (!text->trusted[at + i]) {
            return TOKEN_NONE;
        }
    }
    return id;
}

static int encode(const struct tokenizer *tokenizer, const struct chat_text *text,
                  struct token_list *out, struct err *e)
{
    size_t plain = 0; /* where the text that is not encoded yet begins */
    size_t at = 0;
    while (at < text->len) {
        size_t len = 0;
        int32_t id = special_at(tokenizer, text, at, &len);
        if (id == TOKEN_NONE) {
            at++;
            continue;
        }
        if (tokenizer_encode(tokenizer, text->data + plain, at - plain, false, out, e) != 0) {
            return -1;
        }
        if (token_list_push(out, id) != 0) {
            return err_nomem(e);
        }
        at += len;
        plain = at;
    }
    return tokenizer_encode(tokenizer, text->data + plain, text->len - plain, false, out, e);
}

int chat_prompt_tokens(const struct chat_template *t, const struct tokenizer *tokenizer,
                       const struct chat_message *messages, size_t n_messages,
                       struct token_list *out, struct err *e)
{
    struct chat_text text;
    if (chat_prompt_text(t, tokenizer, messages, n_messages, true, &text, e) != 0) {
        return -1;
    }
    int rc = 0;
    int32_t bos = tokenizer_bos(tokenizer);
    if (tokenizer_add_bos(tokenizer) && bos != TOKEN_NONE) {
        /* Many templates write the bos token themselves; it must stand there once. */
        size_t len = 0;
        bool written = text.len > 0 && special_at(tokenizer, &text, 0, &len) == bos;
        rc = written || token_list_push(out, bos) == 0 ? 0 : err_nomem(e);
    }
    if (rc == 0) {
        rc = encode(tokenizer, &text, out, e);
    }
    chat_text_deinit(&text);
    return rc;
}
