/* repetition.h: the filter type "repetition", which notices a model that has run into a loop.
 *
 * Three kinds of loops: some words again and again, a line again and again, a run of one
 * character. Words are runs of word characters (letters.h) without regard to case; every other
 * character that is not blank is a word of its own, so that scripts without spaces are judged
 * as well. Words and lines without a letter (digits, punctuation, symbols) do not make a loop:
 * tables, rules and arrays of numbers are full of them.
 *
 * It holds nothing. A loop is known when one copy too many is complete, and what came before
 * has left by then; a filter that kept that copy back would make all text wait for a case that
 * hardly ever comes. Words and lines are compared by 64-bit hashes, so that the state has a
 * fixed size (under 4 KiB), and each word costs REPETITION_MAX_WORDS steps at most. */
#pragma once

#include "filters/filter.h"

#define REPETITION_MAX_WORDS 32 /* words in what is repeated */

extern const struct filter_type filter_repetition;
