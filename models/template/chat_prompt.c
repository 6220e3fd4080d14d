#include "models/template/chat_prompt.h"

static const char *token_name(const struct tokenizer *tokenizer, int32_t id)
{
    const char *name = id == TOKEN_NONE ? NULL : tokenizer_token_name(tokenizer, id);
    return name ? name : "";
}

int chat_prompt_render(const struct chat_template *t, const struct tokenizer *tokenizer,
                       const struct chat_render *in, struct chat_text *out, struct err *e)
{
    struct chat_render named = *in;
    named.bos_token = token_name(tokenizer, tokenizer_bos(tokenizer));
    named.eos_token = token_name(tokenizer, tokenizer_eos(tokenizer));
    return chat_template_render(t, &named, out, e);
}

/* The end of the bytes from `at` on that are all trusted, or all not. */
static size_t run_end(const struct chat_text *text, size_t at)
{
    size_t end = at;
    while (end < text->len && text->trusted[end] == text->trusted[at]) {
        end++;
    }
    return end;
}

/* A walk over a text in search of control tokens. */
struct scan {
    const struct chat_text *text;
    size_t at;
    size_t end; /* of the run that `at` is in */
};

/* Moves to the next control token at or behind s->at, or to the end. It must lie within trusted
 * bytes: the tokenizer is shown no others, so that a message cannot even make a longer token of
 * what the template wrote before it. */
static int32_t find_special(const struct tokenizer *tokenizer, struct scan *s, size_t *len)
{
    while (s->at < s->text->len) {
        if (s->at >= s->end) {
            s->end = run_end(s->text, s->at);
        }
        for (; s->at < s->end && s->text->trusted[s->at]; s->at++) {
            int32_t id =
                tokenizer_match_special(tokenizer, s->text->data + s->at, s->end - s->at, len);
            if (id != TOKEN_NONE) {
                return id;
            }
        }
        s->at = s->end;
    }
    return TOKEN_NONE;
}

/* inner: the text stands behind other tokens. */
static int encode(const struct tokenizer *tokenizer, const struct chat_text *text, bool inner,
                  struct token_list *out, struct err *e)
{
    struct scan s = {.text = text};
    for (;;) {
        size_t plain = s.at; /* where the text that is not encoded yet begins */
        size_t len = 0;
        int32_t id = find_special(tokenizer, &s, &len);
        const char *from = text->data + plain;
        size_t n = s.at - plain;
        n -= id == TOKEN_NONE ? 0 : tokenizer_space_in_front(tokenizer, id, from, n);
        if ((inner || plain > 0 ? tokenizer_encode_inner(tokenizer, from, n, out, e)
                                : tokenizer_encode(tokenizer, from, n, false, out, e)) != 0) {
            return -1;
        }
        if (id == TOKEN_NONE) {
            return 0;
        }
        if (token_list_push(out, id) != 0) {
            return err_nomem(e);
        }
        s.at += len;
        s.at += tokenizer_space_after(tokenizer, id, text->data + s.at, text->len - s.at);
    }
}

int chat_prompt_encode_part(const struct tokenizer *tokenizer, const struct chat_text *text,
                            struct token_list *out, struct err *e)
{
    size_t before = out->count;
    if (encode(tokenizer, text, true, out, e) != 0) {
        out->count = before;
        return -1;
    }
    return 0;
}

int chat_prompt_encode(const struct tokenizer *tokenizer, const struct chat_text *text,
                       struct token_list *out, struct err *e)
{
    size_t before = out->count;
    int32_t bos = tokenizer_bos(tokenizer);
    if (tokenizer_add_bos(tokenizer) && bos != TOKEN_NONE) {
        /* Many templates write the bos token themselves; it must stand there once. */
        struct scan s = {.text = text};
        size_t len = 0;
        bool written = find_special(tokenizer, &s, &len) == bos && s.at == 0;
        if (!written && token_list_push(out, bos) != 0) {
            return err_nomem(e);
        }
    }
    if (encode(tokenizer, text, false, out, e) != 0) {
        out->count = before;
        return -1;
    }
    return 0;
}

int chat_prompt_tokens(const struct chat_template *t, const struct tokenizer *tokenizer,
                       const struct chat_message *messages, size_t n_messages,
                       struct token_list *out, struct err *e)
{
    struct chat_render in = {
        .messages = messages, .n_messages = n_messages, .add_generation_prompt = true};
    struct chat_text text;
    if (chat_prompt_render(t, tokenizer, &in, &text, e) != 0) {
        return -1;
    }
    int rc = chat_prompt_encode(tokenizer, &text, out, e);
    chat_text_deinit(&text);
    return rc;
}
