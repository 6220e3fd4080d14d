/* text_automaton.h: free text in which given words are met only where they may be, as
 * right-linear GBNF rules.
 *
 * The states are those of Aho and Corasick (1975): the longest end of the text so far that
 * begins a word. Words may be bound to the beginning of the text (white space before them not
 * counted); a state of the beginning is the whole text so far. When a word is complete its
 * target rule follows, which describes all the rest of the text; a word without a target cannot
 * be completed. No word begins another. Private to this folder. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/buf.h"

#define TEXT_WORDS_MAX 8

struct text_word {
    const char *text;   /* ASCII; a space stands for any white space or none */
    bool at_start;      /* met only at the beginning */
    const char *target; /* rule name, or NULL */
};

/* Appends rules NAME-a0 (where the text begins), NAME-a1, ..., NAME-f0, ... `may_end`: the text
 * may end anywhere outside of words' targets. Words that are not at_start have no spaces in
 * them. Failure is in out->failed. */
void text_automaton_write(const char *name, const struct text_word *words, size_t n,
                          bool may_end, struct buf *out);

/* "text" as a literal of GBNF. */
void gbnf_put_literal(const char *text, struct buf *out);
