/* guard_words.h: a sentence as the classifier reads it: folded words, and hashes of them.
 *
 * Text is folded so that one way of writing stands for many: letter case, accents, look-alikes
 * of other scripts, characters without width, digits and signs for letters (k1ll, $ex), letters
 * drawn out (stuuupid) and words spelled with gaps (k.i.l.l). A run of markup (<|, ###, [/) is
 * a word of its own; other punctuation parts words and is gone. A character of a script that is
 * written without spaces is a word.
 *
 * Of each word there are hashes of itself, of it with the word before and with the one before
 * that, and of all runs of 3 to 5 of its letters, its ends included ("<ki", "kil", "ill>").
 *
 * The hashes are part of the model's file format: a change here makes another version of it.
 * Threads: a reader belongs to one thread. Ownership: the text is borrowed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUARD_WORD_BYTES 24 /* of a folded word; the rest of a longer one does not count */
#define GUARD_WORD_RUNS  (3 * GUARD_WORD_BYTES)

/* One word's hashes. */
struct guard_word {
    uint32_t words[3]; /* (n_words) itself, with the one before, with the one before that */
    uint32_t runs[GUARD_WORD_RUNS]; /* (n_runs) */
    size_t n_words, n_runs;
};

struct guard_reader {
    const char *at, *end;
    uint32_t before[2]; /* hashes of the last word and of the one before it; 0: none */
    char letters[GUARD_WORD_BYTES]; /* single letters that follow each other */
    size_t n_letters;
    char word[GUARD_WORD_BYTES]; /* read, but shown after the letters */
    size_t n_word;
    bool has_word;
};

void guard_reader_init(struct guard_reader *r, const char *text, size_t len);

/* The next word; false: there is none. Text that is not UTF-8 is read as far as it is. */
bool guard_reader_next(struct guard_reader *r, struct guard_word *word);
