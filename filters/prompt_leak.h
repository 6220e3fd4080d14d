/* prompt_leak.h: the filter type "prompt_leak", which finds text that repeats listed prompts
 * by more than so many words.
 *
 * Prompt and answer are compared as rows of words, without regard to case and to what stands
 * between words (blanks, line breaks, punctuation, markup). Characters of scripts that are
 * written without spaces are words of their own. Every run of one word too many in a prompt is
 * a pattern of a word_search, which holds what may still become one. */
#pragma once

#include "filters/filter.h"

extern const struct filter_type filter_prompt_leak;
