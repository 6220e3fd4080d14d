/* word_skip.h: how far a text can be skipped because no word of a list begins there.
 *
 * Most words of a text are not on the list. Where words count only as whole words, each word of
 * the list begins with one that is complete, and a word of the text is looked up by its first
 * eight bytes and its length in a bitmap; where the list has only phrases that begin with it,
 * the next word is too. Where parts of words count, the first few bytes are, at each place. Now
 * and then one is taken for another: then the search finds that nothing is there.
 *
 * Characters beyond ASCII are never skipped.
 *
 * Threads: read-only once made. Ownership: word_skip_init takes memory, word_skip_deinit
 * releases it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct word_skip {
    bool ignores_case;
    bool whole_words;
    bool has_starts; /* any in `starts` */
    unsigned char
        starts[128]; /* ASCII characters that are no word's and begin one of the list */
    size_t reach;    /* parts of words: so many bytes are looked up, 1 to 4 */
    unsigned shift;  /* 64 - log2 of a bitmap's bits */

    /* Bitmaps; the first one has the memory of all. */
    uint64_t *firsts;  /* words, or parts, that something on the list begins with */
    uint64_t *singles; /* words that something begins with that has no second one */
    uint64_t *pairs;   /* first and second word */
};

/* For `count` words, the shortest of which has so many symbols (see word_set.h). 0, or -1 when
 * out of memory. */
int word_skip_init(struct word_skip *skip, bool ignores_case, bool whole_words, size_t count,
                   size_t shortest);
void word_skip_deinit(struct word_skip *skip);
void word_skip_add(struct word_skip *skip, const unsigned char *symbols, size_t len);

/* The offset in text[0, len) before which no word of the list begins that does not end before
 * it too: where the search has to go on, or len. `in_word` says whether a word's character
 * stands before the text, and what text before it may still become is none of a word of the
 * list. Before the offset all is ASCII. */
size_t word_skip_over(const struct word_skip *skip, const char *text, size_t len, bool in_word);
