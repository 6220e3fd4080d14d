/* word_set.h: a list of words, made ready for searching.
 *
 * Words are bytes for an automaton: case folded by letter_fold where case does not matter, in
 * UTF-8. Where words count only as whole words, a symbol that no UTF-8 text has marks every
 * place where a word begins or ends (one side is a word's character, the other is not), in the
 * list as in the text. "foo bar" becomes |foo| |bar| and is then an ordinary string: "foo bars"
 * has no mark where it needs one. Whatever an automaton can say about strings, such as what may
 * still become a match, then holds for whole words too.
 *
 * A word that begins or ends with other characters than letters ("#tag", "c++") has no mark on
 * that side and is found next to anything.
 *
 * Threads: read-only once built. Ownership: word_set_init takes nothing, word_set_deinit
 * releases.
 */
#pragma once

#include <stdbool.h>

#include "filters/aho_corasick.h"
#include "filters/word_skip.h"
#include "runtime/base/buf.h"

#define WORD_SET_MAX_WORDS 100000
#define WORD_SET_MAX_WORD  256   /* bytes of one word, as written */
#define WORD_MARK          0xFFu /* never a byte of UTF-8 */

struct word_entry {
    size_t start; /* in symbols */
    size_t len;
    uint32_t label;
};

struct word_set {
    bool ignores_case;
    bool whole_words;
    struct aho_corasick *ac; /* NULL until built */
    struct word_skip skip;

    /* While words are being added. */
    struct buf symbols;
    struct word_entry *entries;
    size_t entry_count;
    size_t entry_cap;
};

void word_set_init(struct word_set *set, bool ignores_case, bool whole_words);
void word_set_deinit(struct word_set *set);

/* The label is what a match of this word will be known by. Of equal words the smallest label
 * counts. */
int word_set_add(struct word_set *set, const char *word, size_t len, uint32_t label,
                 struct err *e);
int word_set_build(struct word_set *set, struct err *e);

/* The character as the automaton knows it. */
uint32_t word_set_letter(const struct word_set *set, uint32_t code_point);
