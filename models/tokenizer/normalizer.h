/* normalizer.h: how SentencePiece makes a text even before it is cut into tokens (Kudo and
 * Richardson 2018, section 3.2).
 *
 * A model may carry a table, `tokenizer.ggml.precompiled_charsmap`, that says what some
 * sequences of bytes become: the longest that stands at a place is replaced. The table is a
 * 32-bit length, a double-array trie of so many bytes (Aoe 1989; units as the library
 * Darts-clone lays them out), and the replacements, each ended by a NUL, where the trie's
 * values point. It comes from outside: each place is checked before it is read. Bytes that are
 * not UTF-8 become U+FFFD.
 *
 * Threads: immutable after normalizer_init.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "models/format/gguf.h"
#include "runtime/base/buf.h"

#define NORMALIZER_MAX_MATCH 128 /* bytes; bounds the time a place takes */

struct normalizer {
    unsigned char *table;     /* a copy; NULL: nothing is replaced */
    size_t n_units;           /* of the trie, 4 bytes each, at table + 4 */
    const char *replacements; /* (n_replacements), inside table; ends with a NUL */
    size_t n_replacements;
    bool space_before; /* add_space_prefix */
    bool trims;        /* remove_extra_whitespaces: one space for several, none at the ends */
};

/* Reads the three keys. On failure n can be passed to normalizer_deinit too. */
int normalizer_init(struct normalizer *n, const struct gguf *g, struct err *e);
void normalizer_deinit(struct normalizer *n);

/* Appends to *out. 0, or -1 when out could not grow. */
int normalizer_apply(const struct normalizer *n, const char *text, size_t len, struct buf *out);
