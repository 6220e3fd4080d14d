/* utf8_ranges.h: a range of characters as sequences of byte ranges (RFC 3629, section 4). */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct utf8_sequence {
    uint8_t lo[4], hi[4]; /* (n) byte i is lo[i] to hi[i] */
    int n;                /* 1..4 */
};

/* A range of characters needs at most so many. */
#define UTF8_SEQUENCES_MAX 32

/* Characters lo to hi without the surrogates, as disjoint sequences in order. Returns how many.
 */
size_t utf8_ranges(uint32_t lo, uint32_t hi, struct utf8_sequence out[UTF8_SEQUENCES_MAX]);
