/* word_search.h: a set of words, searched for in text that comes one character after another.
 *
 * The result is what the words cover. Occurrences that share a character are one hit from the
 * first's beginning to the last's end, so that a hit never leaves a part of any occurrence
 * outside; occurrences that only touch are two hits. A hit's label is that of the occurrence
 * that begins first, and of those that begin together the shortest: the first one to be
 * complete.
 *
 * word_search_hold is the beginning of the longest end of the text that may still become an
 * occurrence. No future occurrence begins before it. A hit that begins at or before it is
 * therefore certain, though it may still grow at its end; a hit that ends at or before it is
 * final.
 *
 * Linear in the text: each character takes a constant number of automaton steps on average,
 * however many words there are, and each hit is made and merged away at most once.
 *
 * Threads: none. Ownership: word_search_init takes memory, word_search_deinit releases it; the
 * set is borrowed.
 */
#pragma once

#include "filters/word_set.h"

struct word_hit {
    uint64_t from, to; /* offsets in the text */
    uint32_t label;
    bool is_known; /* the caller's: it has acted on this hit; kept when hits merge */
};

struct word_search {
    const struct word_set *set;
    uint64_t at;  /* offset of the next character */
    bool in_word; /* the character before it is a word's */

    uint32_t node;         /* of the automaton */
    uint64_t symbols;      /* fed to the automaton so far */
    uint64_t *starts;      /* offset in the text of symbol i, for the last few, at i & mask */
    struct word_hit *hits; /* hit i is at (first_hit + i) & mask */
    uint64_t mask;
    uint64_t first_hit;
    size_t hit_count;
};

/* 0, or -1 when out of memory. */
int word_search_init(struct word_search *search, const struct word_set *set);
void word_search_deinit(struct word_search *search);

/* The next character, of `len` bytes. Hits that are final must have been dropped before. */
void word_search_feed(struct word_search *search, uint32_t code_point, size_t len);
/* Takes text in which nothing begins, as much of it as that is sure of. Returns how many bytes,
 * whole characters; 0 also while something may be going on. */
size_t word_search_skip(struct word_search *search, const char *text, size_t len);
/* There is no next character. */
void word_search_end(struct word_search *search);

uint64_t word_search_hold(const struct word_search *search);

/* Hits are in order and do not overlap. */
struct word_hit *word_search_hit(struct word_search *search, size_t i);
void word_search_drop_first(struct word_search *search);
