/* toy_filters.h: filters that do what tests need, written against filters/filter.h and
 * nothing else. */
#pragma once

#include "filters/filter.h"

/* Puts `with` in place of each occurrence of the one character `what`, and stops at
 * `stop_at` if set. */
extern const struct filter_type toy_swap;
/* Fails in the way that `how` says when it meets the character "!" (or at the end for
 * "finish"). */
extern const struct filter_type toy_fail;
/* Decides in ways that hang on nothing but the text so far and `seed`, but look random. */
extern const struct filter_type toy_chaos;
/* Replaces the last character of every span it is given: a filter that minds how text is
 * cut. */
extern const struct filter_type toy_span;
/* Types that do not follow the ABI. */
extern const struct filter_type toy_other_abi;
extern const struct filter_type toy_input_only;

/* All of them, NULL-terminated, and the built-in types. */
extern const struct filter_type *const toy_types[];
