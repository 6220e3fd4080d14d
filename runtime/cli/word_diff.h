/* word_diff.h: what changed between two texts, word by word. Command-internal. */
#pragma once

#include <stddef.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

/* Of texts with more words than these together, beyond what they begin and end with alike, all
 * that differs is removed and added whole. */
#define WORD_DIFF_CELLS_MAX ((size_t)4 << 20) /* the product of their counts */

/* Appends b with what is new in it as {+...+} and what was there in a as [-...-]. Words are
 * runs of bytes other than white space; of white space only that of b is shown, and a
 * difference in it is none. A longest common part is kept. -1: no memory. */
int word_diff(const char *a, size_t a_len, const char *b, size_t b_len, struct buf *out,
              struct err *e);

size_t word_count(const char *text, size_t len);
