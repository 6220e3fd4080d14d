/* words.h: a text as the curator compares it: words, without letter case, spacing and
 * punctuation.
 *
 * A word is a run of letters and digits of any script; a character of a script that is written
 * without spaces (Han, kana, Thai ...) is a word, and so is a sign that carries meaning by
 * itself (+ - * / = < > % $ and Unicode's symbols). Other punctuation parts words and is gone.
 * So "Hello, World!" and "hello world" are the same, "2 + 3" and "2 - 3" are not.
 *
 * Words are hashes of 64 bits; that two differing words share one is not guarded against.
 *
 * Threads: none of this is shared. Text is borrowed, valid UTF-8.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"

struct words {
    uint64_t *items; /* (count) */
    size_t count, cap;
};

void words_deinit(struct words *w);

/* Appends the words of a text. 0, or -1 when out of memory. */
int words_add(struct words *w, const char *text, size_t len, struct err *e);

/* Appends any hash, as a mark between parts. */
int words_push(struct words *w, uint64_t hash, struct err *e);

/* A good mix of 64 bits (splitmix64's finish). */
static inline uint64_t words_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

struct words_digest {
    uint64_t a, b;
};

/* 128 bits that stand for the sequence. */
struct words_digest words_digest(const uint64_t *items, size_t count);

/* ---- n-grams: every run of n words, by a rolling hash ---- */

struct ngrams {
    const uint64_t *items;
    size_t count, n, at;
    uint64_t hash, top; /* top: the base to the power n - 1 */
};

void ngrams_init(struct ngrams *g, const uint64_t *items, size_t count, size_t n);
/* 1 with the next hash, 0 at the end. */
int ngrams_next(struct ngrams *g, uint64_t *hash);
