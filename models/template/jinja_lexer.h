/* jinja_lexer.h: template source to tokens, with Jinja's rules for white space.
 *
 * The settings are those of the transformers library, which all published chat templates are
 * written for: trim_blocks (a newline right after a block or comment goes away) and
 * lstrip_blocks (so do blanks before one that is first on its line), one newline at the end of
 * the source dropped. `{%-`, `-%}`,
 * `{%+` and `+%}` override them.
 *
 * Source: Jinja 3.1, "Template Designer Documentation", "Whitespace Control".
 */
#pragma once

#include <stdint.h>

#include "models/template/jinja_arena.h"

/* Longer names are refused, which bounds what comparing two costs. */
#define JINJA_MAX_NAME 128

enum jinja_token_kind {
    JINJA_TOKEN_END, /* of the source */
    JINJA_TOKEN_TEXT,
    JINJA_TOKEN_PRINT_BEGIN,
    JINJA_TOKEN_PRINT_END,
    JINJA_TOKEN_BLOCK_BEGIN,
    JINJA_TOKEN_BLOCK_END,
    JINJA_TOKEN_NAME,
    JINJA_TOKEN_STRING,
    JINJA_TOKEN_INT,
    JINJA_TOKEN_FLOAT,
    JINJA_TOKEN_ADD,
    JINJA_TOKEN_SUBTRACT,
    JINJA_TOKEN_MULTIPLY,
    JINJA_TOKEN_DIVIDE,
    JINJA_TOKEN_FLOOR_DIVIDE,
    JINJA_TOKEN_MODULO,
    JINJA_TOKEN_POWER,
    JINJA_TOKEN_TILDE,
    JINJA_TOKEN_PIPE,
    JINJA_TOKEN_EQ,
    JINJA_TOKEN_NE,
    JINJA_TOKEN_LT,
    JINJA_TOKEN_LE,
    JINJA_TOKEN_GT,
    JINJA_TOKEN_GE,
    JINJA_TOKEN_ASSIGN,
    JINJA_TOKEN_DOT,
    JINJA_TOKEN_COMMA,
    JINJA_TOKEN_COLON,
    JINJA_TOKEN_LPAREN,
    JINJA_TOKEN_RPAREN,
    JINJA_TOKEN_LBRACKET,
    JINJA_TOKEN_RBRACKET,
    JINJA_TOKEN_LBRACE,
    JINJA_TOKEN_RBRACE,
};

struct jinja_token {
    enum jinja_token_kind kind;
    uint32_t line;
    const char *text; /* of the source; of a STRING without its quotes, escapes as written */
    size_t len;
    int64_t integer; /* INT */
    double real;     /* FLOAT */
};

enum jinja_lexer_mode { JINJA_MODE_TEXT, JINJA_MODE_PRINT, JINJA_MODE_BLOCK };

/* A plain value: a copy of it looks ahead. */
struct jinja_lexer {
    const char *source; /* newlines are "\n" only */
    size_t len;
    size_t at;
    uint32_t line;
    unsigned brackets; /* open ones; inside them "}}" and "%}" end nothing */
    enum jinja_lexer_mode mode;
};

/* Copies the source into the arena with its newlines as "\n" and the last one dropped. */
int jinja_lexer_init(struct jinja_lexer *l, const char *source, size_t len,
                     struct jinja_arena *arena, struct err *e);

int jinja_lexer_next(struct jinja_lexer *l, struct jinja_token *token, struct err *e);

/* The bytes that a STRING token stands for, escapes decoded as in Python's literals, appended
 * at `out`, which has room for token->len bytes. Returns how many, or SIZE_MAX with an error.
 */
size_t jinja_token_unescape(const struct jinja_token *token, char *out, struct err *e);

/* How a token is called in messages: its text, or "end of template". */
const char *jinja_token_name(enum jinja_token_kind kind);
