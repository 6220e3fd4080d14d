#include "models/tokenizer/text_form.h"

#include <string.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/base/mem.h"

/* Reads the step that begins at names[0], of n texts; *used of them belong to it. */
static int add_step(struct text_form *f, const struct gguf_str *names, size_t n, size_t *used,
                    const struct gguf *g, struct err *e)
{
    const enum text_step_kind kind = text_step_find(names[0].data, names[0].len);
    *used = kind == TEXT_REPLACE ? 3 : 1;
    if (kind == TEXT_N_KINDS) {
        return err_set(e, ERR_UNSUPPORTED, "%s: metadata key \"%s\": no step \"%.*s\" is known",
                       gguf_path(g), TOKENIZER_KEY_TEXT_FORM,
                       (int)(names[0].len < 64 ? names[0].len : 64), names[0].data);
    }
    if (*used > n ||
        (kind == TEXT_REPLACE && (names[1].len == 0 || names[1].len > TEXT_STEP_MAX_REPLACED ||
                                  names[2].len > TEXT_STEP_MAX_REPLACED))) {
        return err_set(
            e, ERR_FORMAT,
            "%s: metadata key \"%s\": behind \"Replace\" two texts must stand, of at "
            "most %d bytes, the first not empty",
            gguf_path(g), TOKENIZER_KEY_TEXT_FORM, TEXT_STEP_MAX_REPLACED);
    }
    if (f->n_steps == TEXT_FORM_MAX_STEPS) {
        return err_set(e, ERR_LIMIT, "%s: metadata key \"%s\": more than %d steps",
                       gguf_path(g), TOKENIZER_KEY_TEXT_FORM, TEXT_FORM_MAX_STEPS);
    }
    struct text_step *step = &f->steps[f->n_steps++];
    if (kind == TEXT_REPLACE) {
        text_step_init_replace(step, &names[1], &names[2]);
        return 0;
    }
    return text_step_init(step, kind) == 0 ? 0 : err_nomem(e);
}

static int read_steps(struct text_form *f, const struct gguf *g, struct err *e)
{
    const struct gguf_str *names;
    size_t n;
    if (gguf_get_strs(g, TOKENIZER_KEY_TEXT_FORM, &names, &n, e) != 0) {
        return -1;
    }
    for (size_t i = 0, used; i < n; i += used) {
        if (add_step(f, &names[i], n - i, &used, g, e) != 0) {
            return -1;
        }
    }
    return 0;
}

void text_form_deinit(struct text_form *f)
{
    for (size_t i = 0; i < f->n_steps; i++) {
        text_step_deinit(&f->steps[i]);
    }
    f->n_steps = 0;
}

/* One step; what the text was before is released. */
static int apply_step(const struct text_step *step, struct formed_text *t, struct err *e)
{
    struct buf next;
    if (text_step_keeps(step, t->data, t->len)) {
        return 0;
    }
    const size_t bound = text_step_bound(step, t->data, t->len);
    if (bound > TEXT_FORM_MAX_TEXT) {
        return err_set(e, ERR_LIMIT,
                       "a text of %zu bytes is too long for the form that the tokenizer wants: "
                       "it could become %zu, and at most %zu are encoded",
                       t->len, bound, TEXT_FORM_MAX_TEXT);
    }
    buf_init(&next, bound);
    const int rc = text_step_apply(step, t->data, t->len, &next);
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
