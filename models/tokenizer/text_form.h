/* text_form.h: how a text is changed before anything is looked for in it but names of special
 * tokens, as "normalizer" of tokenizer.json says.
 *
 * GGUF has no key for it; ours is tokenizer.weir.text_form, a list of steps by the names that
 * tokenizer.json has for them (text_step.h); behind Replace stand what is replaced and by what.
 * A file without the key changes nothing here. The special tokens that
 * tokenizer.weir.normalized lists by their ids are looked for in the text behind the steps.
 * What SentencePiece does stands elsewhere (normalizer.h).
 *
 * Private to the tokenizer. Threads: immutable after text_form_init. */
#pragma once

#include "models/format/gguf.h"
#include "models/tokenizer/text_step.h"
#include "models/tokenizer/vocab.h"

#define TEXT_FORM_MAX_STEPS 16
#define TEXT_FORM_MAX_TEXT  ((size_t)1 << 30) /* bytes that a changed text may become */

struct text_form {
    struct text_step steps[TEXT_FORM_MAX_STEPS]; /* (n_steps), in their order */
    size_t n_steps;                              /* 0: texts stay as they are */
    bool has_tokens;                             /* that are looked for behind the steps */
};

/* Reads the keys, and marks such tokens in the vocabulary. On failure f can be passed to
 * text_form_deinit too. */
int text_form_init(struct text_form *f, struct vocab *vocab, const struct gguf *g,
                   struct err *e);
void text_form_deinit(struct text_form *f);

/* A text, and the memory for what it has become. */
struct formed_text {
    const char *data; /* (len), borrowed from the caller or from `held` */
    size_t len;
    struct buf held;
};

/* *out borrows the text where no step changes it. It is released with formed_text_deinit, after
 * a failure too. */
int text_form_apply(const struct text_form *f, const char *text, size_t len,
                    struct formed_text *out, struct err *e);
void formed_text_deinit(struct formed_text *t);
