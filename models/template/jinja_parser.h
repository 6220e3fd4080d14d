/* jinja_parser.h: template source to a tree.
 *
 * Recursive descent over the grammar of Jinja 3.1 (jinja2/parser.py has the same functions
 * under the same names). Nesting is bounded, so is the length of chains such as `a - b - c` and
 * `x.y.z` that become deep trees: the C stack that compiling and rendering take is known.
 *
 * Threads: none.
 */
#pragma once

#include "models/template/jinja_ast.h"
#include "models/template/jinja_lexer.h"

/* Statements, parentheses and operators within one another. */
#define JINJA_MAX_PARSE_DEPTH 128

/* A name that the template defines or calls, to be compared at the end. */
struct jinja_mention {
    struct jinja_mention *next;
    const char *name;
    uint32_t line;
};

struct jinja_parser {
    struct jinja_lexer lexer;
    struct jinja_token token; /* the one being looked at */
    struct jinja_arena *arena;
    struct err *err;
    unsigned depth;
    unsigned loops; /* for statements around that break would leave */
    struct jinja_mention *macros;
    struct jinja_mention *calls;
};

/* The whole template. `*out` is its first statement, NULL when there is none. */
int jinja_parse(const char *source, size_t len, struct jinja_arena *arena,
                struct jinja_stmt **out, struct err *e);

/* --- shared by the files of the parser --- */

/* Sets the error, with the line of the token in front, and returns -1. */
int jinja_parser_fail(struct jinja_parser *p, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "expected WHAT, found TOKEN" */
int jinja_parser_expected(struct jinja_parser *p, const char *what);
int jinja_parser_advance(struct jinja_parser *p);
int jinja_parser_peek(struct jinja_parser *p, struct jinja_token *token); /* the one after */
int jinja_parser_expect(struct jinja_parser *p, enum jinja_token_kind kind);
bool jinja_parser_at(const struct jinja_parser *p, enum jinja_token_kind kind);
bool jinja_parser_at_word(const struct jinja_parser *p, const char *word);
/* One level deeper. The caller puts p->depth back when it is done; on failure it need not. */
int jinja_parser_deeper(struct jinja_parser *p);
/* A copy of the name that is the token, with its hash; advances. */
int jinja_parser_name(struct jinja_parser *p, struct jinja_name *out);
void *jinja_parser_alloc(struct jinja_parser *p, size_t size);
struct jinja_name jinja_name_of(const char *text);

/* Expressions; NULL on failure. jinja_parse_tuple takes `a, b` too; without a condition, `a if
 * b` ends before the `if`. */
struct jinja_expr *jinja_parse_expression(struct jinja_parser *p);
struct jinja_expr *jinja_parse_tuple(struct jinja_parser *p, bool with_condition);
/* Any `| filter` after an operand. */
struct jinja_expr *jinja_parse_filters(struct jinja_parser *p, struct jinja_expr *x);
struct jinja_expr *jinja_expr_new(struct jinja_parser *p, enum jinja_expr_kind kind);

/* Postfixes, calls and filters (jinja_parse_call.c). */
struct jinja_expr *jinja_parse_postfix(struct jinja_parser *p, struct jinja_expr *x);
struct jinja_expr *jinja_parse_filter_expr(struct jinja_parser *p, struct jinja_expr *x);
struct jinja_expr *jinja_parse_primary(struct jinja_parser *p);
