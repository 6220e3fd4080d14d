/* wordlist.h: the filter type "wordlist", which finds listed words and stops, replaces, masks
 * or notes them.
 *
 * Settings are described by the keys of the type, in wordlist.c; docs/filters.md is the
 * reference. What counts as a word, as equal and as one match is defined in word_set.h,
 * letters.h and word_search.h.
 */
#pragma once

#include "filters/filter.h"

extern const struct filter_type filter_wordlist;
