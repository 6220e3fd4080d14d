/* gbnf_match.h: whether a text is in a grammar, by trying everything. For short texts and tests
 * only: it knows the part of GBNF that models/output writes, and backtracks. */
#pragma once

#include <stdbool.h>

/* Whether all of `text` matches `root`. A grammar that cannot be read fails the test. */
bool gbnf_matches(const char *grammar, const char *text);
