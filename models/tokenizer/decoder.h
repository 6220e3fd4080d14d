/* decoder.h: a stream of token ids to a stream of whole UTF-8 characters.
 *
 * A token may end inside a character. The decoder holds such bytes back until the character is
 * whole, so that every piece it gives out is valid UTF-8. Bytes that can not become a character
 * are replaced by U+FFFD, one for each maximal ill-formed subpart (Unicode 15, section 3.9,
 * "U+FFFD Substitution").
 *
 * Ownership: the tokenizer is borrowed. Threads: none; one decoder for one stream.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/base/buf.h"

struct decoder {
    const struct tokenizer *tokenizer; /* borrowed */
    char held[4];                      /* beginning of a character */
    size_t n_held;                     /* 0..3 */
};

void decoder_init(struct decoder *d, const struct tokenizer *t);

/* Appends to *out the characters that this token completes; control tokens give none. 0, or -1
 * when out could not grow. */
int decoder_feed(struct decoder *d, int32_t id, struct buf *out);

/* The end of the stream: an incomplete character becomes U+FFFD. The decoder can then be used
 * again. */
int decoder_flush(struct decoder *d, struct buf *out);

/* Appends all of a text whose tokens are there already. 0, or -1 when out could not grow. */
int decoder_text(const struct tokenizer *t, const struct token_list *tokens, struct buf *out);
