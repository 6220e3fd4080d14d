/* syntax.h: rules as trees of expressions, between the parsers (gbnf.h, regex.h) and the
 * compiler (program.h).
 *
 * Trees live in one array and name each other by index, so that a syntax is released at once.
 *
 * Ownership: syntax_init takes nothing; syntax_deinit releases. Threads: none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

#define SYNTAX_NONE      UINT32_MAX
#define SYNTAX_UNBOUNDED UINT32_MAX /* hi of {m,} */
#define SYNTAX_DEPTH_MAX 200        /* groups inside each other */
#define CODE_POINT_MAX   0x10FFFFU

enum expr_kind {
    EXPR_LITERAL, /* the bytes [a, a + b) of `bytes`; with b == 0 the empty text */
    EXPR_CHARS,   /* one character of the ranges [a, a + b); with b == 0 nothing matches */
    EXPR_CALL,    /* rule a */
    EXPR_SEQ,     /* children, the first is a */
    EXPR_ALT,     /* one of the children, the first is a; without any nothing matches */
    EXPR_REPEAT,  /* child a, lo to hi times */
    EXPR_BEGIN,   /* `^` of a regular expression: the text begins here */
    EXPR_END,     /* `$`: the text ends here */
};

struct expr {
    enum expr_kind kind;
    uint32_t a, b;
    uint32_t lo, hi; /* EXPR_REPEAT */
    uint32_t next;   /* next child of the same parent, or SYNTAX_NONE */
};

/* Characters lo to hi, both included. */
struct char_range {
    uint32_t lo, hi;
};

struct syntax_rule {
    uint32_t name, name_len; /* in `bytes` */
    uint32_t body;           /* expression, SYNTAX_NONE: used and not defined yet */
    uint32_t line;           /* where it was defined, or used first; 1-based */
};

struct syntax {
    struct expr *exprs;
    size_t n_exprs, cap_exprs;
    struct char_range *ranges;
    size_t n_ranges, cap_ranges;
    struct syntax_rule *rules;
    size_t n_rules, cap_rules;
    uint32_t *slots; /* (n_slots) rules by hash of the name, rule + 1 or 0 */
    size_t n_slots;
    struct buf bytes;
    uint32_t root; /* rule that the answer matches */
};

void syntax_init(struct syntax *s);
void syntax_deinit(struct syntax *s);

/* All return an index, or SYNTAX_NONE with *e set when memory or a bound ran out. */
uint32_t syntax_expr(struct syntax *s, struct expr expr, struct err *e);
uint32_t syntax_literal(struct syntax *s, const char *bytes, size_t len, struct err *e);
/* The ranges are sorted and joined first, in place. */
uint32_t syntax_chars(struct syntax *s, struct char_range *ranges, size_t n, bool negated,
                      struct err *e);
uint32_t syntax_repeat(struct syntax *s, uint32_t child, uint32_t lo, uint32_t hi,
                       struct err *e);
/* The rule of this name, made (without body) when it is new. */
uint32_t syntax_find_rule(struct syntax *s, const char *name, size_t len, uint32_t line,
                          struct err *e);

/* A list of children while it is built. */
struct expr_list {
    uint32_t first, last;
    size_t n;
};

#define EXPR_LIST_EMPTY             \
    (struct expr_list)              \
    {                               \
        SYNTAX_NONE, SYNTAX_NONE, 0 \
    }

void expr_list_add(struct syntax *s, struct expr_list *list, uint32_t child);
/* The one child itself when there is only one. */
uint32_t syntax_seq(struct syntax *s, const struct expr_list *list, struct err *e);
uint32_t syntax_alt(struct syntax *s, const struct expr_list *list, struct err *e);

/* Sorts ranges and joins those that touch; returns how many are left. */
size_t char_ranges_normalize(struct char_range *ranges, size_t n);
/* Writes the characters that are not in the n normalized ranges to out, room for n + 1. */
size_t char_ranges_negate(const struct char_range *ranges, size_t n, struct char_range *out);
