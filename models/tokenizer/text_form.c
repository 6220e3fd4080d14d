#include "models/tokenizer/text_form.h"

#include <string.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/base/mem.h"

static const char *const step_names[] = {
    [UNICODE_NFC] = "NFC",
    [UNICODE_NFD] = "NFD",
    [UNICODE_NFKC] = "NFKC",
    [UNICODE_NFKD] = "NFKD",
};

#define N_STEP_NAMES (sizeof(step_names) / sizeof(step_names[0]))

static int add_step(struct text_form *f, const struct gguf_str *name, const struct gguf *g,
                    struct err *e)
{
    for (size_t i = 0; i < N_STEP_NAMES; i++) {
        if (name->len == strlen(step_names[i]) &&
            memcmp(name->data, step_names[i], name->len) == 0) {
            return unicode_form_init(&f->steps[f->n_steps++], (enum unicode_form_kind)i) == 0
                       ? 0
                       : err_nomem(e);
        }
    }
    return err_set(e, ERR_UNSUPPORTED, "%s: metadata key \"%s\": no step \"%.*s\" is known",
                   gguf_path(g), TOKENIZER_KEY_TEXT_FORM,
                   (int)(name->len < 64 ? name->len : 64), name->data);
}

static int read_steps(struct text_form *f, const struct gguf *g, struct err *e)
{
    const struct gguf_str *names;
    size_t n;
    if (gguf_get_strs(g, TOKENIZER_KEY_TEXT_FORM, &names, &n, e) != 0) {
        return -1;
    }
    if (n > TEXT_FORM_MAX_STEPS) {
        return err_set(e, ERR_LIMIT, "%s: metadata key \"%s\": %zu steps, at most %d are read",
                       gguf_path(g), TOKENIZER_KEY_TEXT_FORM, n, TEXT_FORM_MAX_STEPS);
    }
    for (size_t i = 0; i < n; i++) {
        if (add_step(f, &names[i], g, e) != 0) {
            return -1;
        }
    }
    return 0;
}

void text_form_deinit(struct text_form *f)
{
    for (size_t i = 0; i < f->n_steps; i++) {
        unicode_form_deinit(&f->steps[i]);
    }
    f->n_steps = 0;
}

/* One step; what the text was before is released. */
static int apply_step(const struct unicode_form *step, struct formed_text *t, struct err *e)
{
    struct buf next;
    if (unicode_form_keeps(step, t->data, t->len)) {
        return 0;
    }
    if (t->len > TEXT_FORM_MAX_TEXT) {
        return err_set(e, ERR_LIMIT,
                       "a text of %zu bytes is too long for the Unicode form that the "
                       "tokenizer wants; at most %zu are",
                       t->len, TEXT_FORM_MAX_TEXT);
    }
    buf_init(&next, UNICODE_FORM_GROWTH * TEXT_FORM_MAX_TEXT);
    const int rc = unicode_form_apply(step, t->data, t->len, &next);
    buf_deinit(&t->held);
    t->held = next;
    t->data = next.data ? next.data : "";
    t->len = next.len;
    return rc == 0 ? 0 : err_nomem(e);
}

int text_form_apply(const struct text_form *f, const char *text, size_t len,
                    struct formed_text *out, struct err *e)
{
    *out = (struct formed_text){.data = text, .len = len};
    int rc = 0;
    for (size_t i = 0; i < f->n_steps && rc == 0; i++) {
        rc = apply_step(&f->steps[i], out, e);
    }
    return rc;
}

void formed_text_deinit(struct formed_text *t)
{
    buf_deinit(&t->held);
}

/* A token whose name the steps change could never be found behind them. */
static int check_name(const struct text_form *f, const struct vocab_token *token,
                      const struct gguf *g, struct err *e)
{
    struct formed_text name;
    int rc = text_form_apply(f, token->name, token->name_len, &name, e);
    if (rc == 0 &&
        (name.len != token->name_len || memcmp(name.data, token->name, name.len) != 0)) {
        rc = err_set(e, ERR_UNSUPPORTED,
                     "%s: metadata key \"%s\": the name of token \"%.64s\" is changed by what "
                     "\"%s\" says",
                     gguf_path(g), TOKENIZER_KEY_NORMALIZED, token->name,
                     TOKENIZER_KEY_TEXT_FORM);
    }
    formed_text_deinit(&name);
    return rc;
}

static int mark_tokens(struct text_form *f, struct vocab *vocab, const struct gguf *g,
                       struct err *e)
{
    bool *listed = mem_zarray((size_t)vocab->n_tokens, sizeof(*listed));
    int rc =
        listed ? vocab_read_ids(vocab, g, TOKENIZER_KEY_NORMALIZED, listed, e) : err_nomem(e);
    for (int32_t id = 0; rc == 0 && id < vocab->n_tokens; id++) {
        if (listed[id]) {
            vocab->tokens[id].normalized = f->has_tokens = true;
            rc = check_name(f, &vocab->tokens[id], g, e);
        }
    }
    mem_free(listed);
    return rc;
}

int text_form_init(struct text_form *f, struct vocab *vocab, const struct gguf *g,
                   struct err *e)
{
    *f = (struct text_form){.n_steps = 0};
    if (!gguf_has(g, TOKENIZER_KEY_TEXT_FORM)) {
        return 0;
    }
    if (read_steps(f, g, e) != 0) {
        return -1;
    }
    return f->n_steps > 0 && gguf_has(g, TOKENIZER_KEY_NORMALIZED) ? mark_tokens(f, vocab, g, e)
                                                                   : 0;
}
