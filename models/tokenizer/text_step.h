/* text_step.h: one step of a text form (text_form.h): a Unicode form, lower case, marks left
 * out, a text replaced by another, or a space for each character of white space.
 *
 * Bytes that are not UTF-8 stay as they are.
 *
 * Private to the tokenizer. Threads: immutable after text_step_init. */
#pragma once

#include "models/format/gguf.h"
#include "models/tokenizer/unicode_form.h"

#define TEXT_STEP_MAX_REPLACED \
    256 /* bytes of a text that is replaced, and of its replacement */

/* Those before TEXT_LOWERCASE are Unicode's forms. */
enum text_step_kind {
    TEXT_NFC,
    TEXT_NFD,
    TEXT_NFKC,
    TEXT_NFKD,
    TEXT_LOWERCASE,     /* each character by itself */
    TEXT_STRIP_ACCENTS, /* no marks */
    TEXT_SPACES,
    TEXT_REPLACE,
    TEXT_N_KINDS,
};

struct text_step {
    enum text_step_kind kind;
    struct unicode_form form;
    char from[TEXT_STEP_MAX_REPLACED]; /* (from_len), not empty; of TEXT_REPLACE */
    char to[TEXT_STEP_MAX_REPLACED];   /* (to_len) */
    size_t from_len, to_len;
};

/* The kind with this name, or TEXT_N_KINDS. */
enum text_step_kind text_step_find(const char *name, size_t len);

/* Of all but TEXT_REPLACE. 0, or -1 when out of memory; then s can be passed to
 * text_step_deinit too. */
int text_step_init(struct text_step *s, enum text_step_kind kind);
/* Both texts are copied; they have been checked. */
void text_step_init_replace(struct text_step *s, const struct gguf_str *from,
                            const struct gguf_str *to);
void text_step_deinit(struct text_step *s);

/* Whether one look at the text is enough to see that the step does not change it. */
bool text_step_keeps(const struct text_step *s, const char *text, size_t len);

/* At most so many bytes are made of a text that is not kept. SIZE_MAX where that is too many to
 * count. */
size_t text_step_bound(const struct text_step *s, const char *text, size_t len);

/* Appends to *out. 0, or -1 when out could not grow or memory ran out. */
int text_step_apply(const struct text_step *s, const char *text, size_t len, struct buf *out);
