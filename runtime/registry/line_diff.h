/* line_diff.h: what changed between two texts, line by line, as `diff -u` writes it.
 *
 * A shortest list of changes by Myers' greedy algorithm (An O(ND) Difference Algorithm and Its
 * Variations, 1986), with three lines of context. */
#pragma once

#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

/* More changed lines than these are not searched for: what lies between the first and the last
 * difference is then removed and added whole. */
#define LINE_DIFF_CHANGES_MAX 1000

/* Appends the hunks; nothing where the texts are the same. Whether the last line ends with a
 * line break is a difference and said as diff(1) says it. Both are NUL-terminated. -1: no
 * memory, or more than the buffer's maximum. */
int line_diff(const char *a, const char *b, struct buf *out, struct err *e);

struct line_diff_name {
    const char *name; /* "support" */
    uint64_t version;
};

/* The same below two lines that say "support@3" of each text. */
int line_diff_versions(const char *a, const struct line_diff_name *a_name, const char *b,
                       const struct line_diff_name *b_name, struct buf *out, struct err *e);
