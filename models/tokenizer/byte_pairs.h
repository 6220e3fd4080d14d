/* byte_pairs.h: which bytes stand side by side in some token of a vocabulary.
 *
 * A text can be cut where two bytes meet that are in no token so, and its parts encoded one by
 * one: no token of the whole reaches over such a place. Bytes inside a character always count
 * as side by side.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct byte_pairs {
    uint32_t rows[256][8]; /* bit b of row a: the bytes a, b */
};

static inline void byte_pairs_add(struct byte_pairs *p, const char *bytes, size_t len)
{
    for (size_t i = 1; i < len; i++) {
        unsigned char b = (unsigned char)bytes[i];
        p->rows[(unsigned char)bytes[i - 1]][b / 32] |= 1U << b % 32;
    }
}

static inline bool byte_pairs_has(const struct byte_pairs *p, char first, char second)
{
    unsigned char b = (unsigned char)second;
    return (b & 0xc0) == 0x80 || (p->rows[(unsigned char)first][b / 32] >> b % 32 & 1) != 0;
}

/* The end of the part that begins at `at` < len. */
static inline size_t byte_pairs_part_end(const struct byte_pairs *p, const char *text,
                                         size_t len, size_t at)
{
    while (++at < len && byte_pairs_has(p, text[at - 1], text[at])) {
    }
    return at;
}
