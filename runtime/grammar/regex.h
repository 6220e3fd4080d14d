/* regex.h: a regular expression to a syntax (syntax.h).
 *
 * The common part of ECMA-262 (with the u flag) and PCRE: characters, `.`, classes, \d \w \s
 * and their negations, \n \r \t \f \v \0 \cX \xNN \uNNNN \u{N}, groups (also named and
 * non-capturing), |, * + ? {m,n} (lazy ones too: which texts match does not depend on it), ^
 * and $. \d and \w are ASCII, \s is ECMA-262's white space. Refused by name: back-references,
 * lookaround, word boundaries, possessive quantifiers, atomic groups, inline flags, and classes
 * by Unicode property.
 *
 * Threads: any. */
#pragma once

#include "runtime/grammar/syntax.h"

/* Appends the expression to s. ^ and $ are EXPR_BEGIN and EXPR_END in it. */
int regex_parse(const char *pattern, size_t len, struct syntax *s, uint32_t *expr,
                struct err *e);

/* Takes away ^ at the beginning and $ at the end, where the whole answer must match anyway.
 * ERR_UNSUPPORTED when there is one elsewhere. */
int regex_anchor(struct syntax *s, uint32_t *expr, struct err *e);
