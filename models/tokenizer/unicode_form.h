/* unicode_form.h: text in one of Unicode's normalization forms (Unicode Standard Annex 15), by
 * the tables of utf8proc.
 *
 * A letter and its accents may stand together as one code point or apart, and in forms with K
 * what only looks different, as a ligature, is its letters. Bytes that are not UTF-8 stay as
 * they are, and nothing joins over them.
 *
 * Time is linear in the text's length whatever the text is. Beside the result it takes memory
 * for one character with all marks behind it, eight bytes a code point.
 *
 * Private to the tokenizer. Threads: a form is immutable after unicode_form_init. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/buf.h"

#define UNICODE_FORM_GROWTH \
    11 /* times the bytes of the text, at most: U+FDFA in forms with K */

enum unicode_form_kind { UNICODE_NFC, UNICODE_NFD, UNICODE_NFKC, UNICODE_NFKD };

struct unicode_form {
    enum unicode_form_kind kind;
    unsigned char *alone; /* a bit for each of the first 65,536 code points: it is in this form
                             already and nothing before it joins it */
};

/* 0, or -1 when out of memory; then f can be passed to unicode_form_deinit too. */
int unicode_form_init(struct unicode_form *f, enum unicode_form_kind kind);
void unicode_form_deinit(struct unicode_form *f);

/* Whether one look at the text is enough to see that it is in this form already. */
bool unicode_form_keeps(const struct unicode_form *f, const char *text, size_t len);

/* Appends to *out. 0, or -1 when out could not grow or memory ran out. */
int unicode_form_apply(const struct unicode_form *f, const char *text, size_t len,
                       struct buf *out);
