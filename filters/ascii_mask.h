/* ascii_mask.h: which of 64 bytes are what, as bits, so that text can be walked through word by
 * word rather than byte by byte.
 *
 * One implementation for each kind of processor, and one in plain C that the others are tested
 * against.
 *
 * Threads: none, no state.
 */
#pragma once

#include <stdint.h>

#define ASCII_MASK_BYTES 64

/* Bit i is about byte i. */
struct ascii_mask {
    uint64_t word; /* an ASCII letter, a digit or the underscore */
    uint64_t high; /* part of a character beyond ASCII */
};

/* Of text[0, 64). */
struct ascii_mask ascii_mask_of(const char *text);
struct ascii_mask ascii_mask_of_plain(const char *text);
