#include "models/template/jinja_lexer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "models/template/jinja_string.h"
#include "runtime/base/utf8.h"

int jinja_lexer_init(struct jinja_lexer *l, const char *source, size_t len,
                     struct jinja_arena *arena, struct err *e)
{
    char *copy = jinja_arena_alloc(arena, len + 1, 1, e);
    if (!copy) {
        return -1;
    }
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (source[i] == '\r') {
            copy[n++] = '\n';
            i += i + 1 < len && source[i + 1] == '\n';
        } else {
            copy[n++] = source[i];
        }
    }
    if (n > 0 && copy[n - 1] == '\n') {
        n--;
    }
    *l = (struct jinja_lexer){.source = copy, .len = n, .line = 1, .mode = JINJA_MODE_TEXT};
    return 0;
}

static int fail(const struct jinja_lexer *l, struct err *e, const char *what)
{
    return err_set(e, ERR_FORMAT, "chat template: line %u: %s", l->line, what);
}

static bool looking_at(const struct jinja_lexer *l, size_t at, const char *text)
{
    size_t n = strlen(text);
    return l->len - at >= n && memcmp(l->source + at, text, n) == 0;
}

static void advance(struct jinja_lexer *l, size_t to)
{
    for (; l->at < to; l->at++) {
        l->line += l->source[l->at] == '\n';
    }
}

static size_t skip_space(const struct jinja_lexer *l, size_t at)
{
    while (at < l->len) {
        size_t n = jinja_char_len(l->source + at, l->len - at);
        if (!jinja_char_is_space(l->source + at, n)) {
            break;
        }
        at += n;
    }
    return at;
}

/* --- text and tags --- */

/* The position of the next "{{", "{%" or "{#", or the end. */
static size_t find_tag(const struct jinja_lexer *l)
{
    for (size_t i = l->at; i + 1 < l->len; i++) {
        char c = l->source[i + 1];
        if (l->source[i] == '{' && (c == '{' || c == '%' || c == '#')) {
            return i;
        }
    }
    return l->len;
}

/* Where the text from l->at ends that stands before the tag at `tag`: white space before it
 * goes away if the tag says so ("{%-") or, unless it prints, if there is nothing else before it
 * on its line. */
static size_t text_end(const struct jinja_lexer *l, size_t tag, char opener, char sign)
{
    struct jinja_string text = {.data = l->source + l->at, .len = tag - l->at};
    if (sign == '-') {
        return l->at + jinja_string_strip(&text, NULL, JINJA_RIGHT).len;
    }
    if (sign == '+' || opener == '{') {
        return tag;
    }
    size_t line = tag;
    while (line > l->at && l->source[line - 1] != '\n') {
        line--;
    }
    if (line == l->at && line > 0 && l->source[line - 1] != '\n') {
        return tag; /* something else on this line, before this text */
    }
    return skip_space(l, line) >= tag ? line : tag;
}

/* Behind a tag's end: `end` is just after "%}" or "#}", `sign` the character before that. */
static size_t after_tag(const struct jinja_lexer *l, size_t end, char sign)
{
    if (sign == '-') {
        return skip_space(l, end);
    }
    return sign != '+' && end < l->len && l->source[end] == '\n' ? end + 1 : end;
}

static char sign_at(const struct jinja_lexer *l, size_t at)
{
    char c = at < l->len ? l->source[at] : '\0';
    return c == '-' || c == '+' ? c : '\0';
}

static int skip_comment(struct jinja_lexer *l, struct err *e)
{
    size_t from = l->at + 2 + (sign_at(l, l->at + 2) != '\0');
    for (size_t i = from; i + 1 < l->len; i++) {
        if (l->source[i] == '#' && l->source[i + 1] == '}') {
            advance(l, after_tag(l, i + 2, i > from ? sign_at(l, i - 1) : '\0'));
            return 0;
        }
    }
    return fail(l, e, "the comment \"{#\" is never closed");
}

/* Whether a "{% NAME %}" begins at `at`; then *end is behind it (its "%}" with the sign in
 * *sign, not the white space that the sign takes away). */
static bool match_bare_tag(const struct jinja_lexer *l, size_t at, const char *name,
                           size_t *end, char *sign)
{
    size_t i = skip_space(l, at + 2 + (sign_at(l, at + 2) != '\0'));
    if (!looking_at(l, i, name)) {
        return false;
    }
    i = skip_space(l, i + strlen(name));
    *sign = sign_at(l, i);
    i += *sign != '\0';
    *end = i + 2;
    return i <= l->len && looking_at(l, i, "%}");
}

/* "{% raw %}TEXT{% endraw %}", with l->at at its beginning, is one TEXT. */
static int lex_raw(struct jinja_lexer *l, size_t body, struct jinja_token *token, struct err *e)
{
    size_t end;
    char sign;
    struct jinja_lexer inside = *l;
    advance(&inside, body);
    for (size_t tag = body; tag + 1 < l->len; tag++) {
        if (!looking_at(l, tag, "{%") || !match_bare_tag(l, tag, "endraw", &end, &sign)) {
            continue;
        }
        *token = (struct jinja_token){.kind = JINJA_TOKEN_TEXT, .line = inside.line};
        token->text = l->source + body;
        token->len = text_end(&inside, tag, '%', sign_at(l, tag + 2)) - body;
        advance(l, after_tag(l, end, sign));
        return 0;
    }
    return fail(l, e, "\"{% raw %}\" is never closed by \"{% endraw %}\"");
}

static int lex_text(struct jinja_lexer *l, struct jinja_token *token, struct err *e)
{
    while (l->at < l->len) {
        size_t tag = find_tag(l);
        char opener = tag < l->len ? l->source[tag + 1] : '\0';
        char sign = opener ? sign_at(l, tag + 2) : '\0';
        size_t end = opener ? text_end(l, tag, opener, sign) : tag;
        *token = (struct jinja_token){
            .line = l->line, .text = l->source + l->at, .len = end - l->at};
        advance(l, tag);
        if (token->len > 0) {
            token->kind = JINJA_TOKEN_TEXT;
            return 0;
        }
        size_t body;
        char raw_sign;
        if (opener == '#') {
            if (skip_comment(l, e) != 0) {
                return -1;
            }
        } else if (opener == '%' && match_bare_tag(l, tag, "raw", &body, &raw_sign)) {
            /* Jinja keeps the newline behind "{% raw %}". */
            return lex_raw(l, raw_sign == '-' ? skip_space(l, body) : body, token, e);
        } else if (opener) {
            token->kind = opener == '{' ? JINJA_TOKEN_PRINT_BEGIN : JINJA_TOKEN_BLOCK_BEGIN;
            token->line = l->line;
            l->mode = opener == '{' ? JINJA_MODE_PRINT : JINJA_MODE_BLOCK;
            l->brackets = 0;
            advance(l, tag + 2 + (sign != '\0'));
            return 0;
        }
    }
    *token = (struct jinja_token){.kind = JINJA_TOKEN_END, .line = l->line, .text = ""};
    return 0;
}

/* --- inside tags --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}

/* The end of the tag, if it is here: "}}", "-}}", "%}", "-%}" or "+%}". */
static bool lex_tag_end(struct jinja_lexer *l, struct jinja_token *token)
{
    bool print = l->mode == JINJA_MODE_PRINT;
    char sign = sign_at(l, l->at);
    size_t at = l->at + (sign != '\0');
    if (l->brackets > 0 || (print && sign == '+') || !looking_at(l, at, print ? "}}" : "%}")) {
        return false;
    }
    token->kind = print ? JINJA_TOKEN_PRINT_END : JINJA_TOKEN_BLOCK_END;
    token->len = at + 2 - l->at;
    if (print) {
        advance(l, sign == '-' ? skip_space(l, at + 2) : at + 2);
    } else {
        advance(l, after_tag(l, at + 2, sign));
    }
    l->mode = JINJA_MODE_TEXT;
    return true;
}

static int lex_name(struct jinja_lexer *l, struct jinja_token *token, struct err *e)
{
    size_t end = l->at;
    while (end < l->len && is_name_char(l->source[end])) {
        end++;
    }
    token->kind = JINJA_TOKEN_NAME;
    token->len = end - l->at;
    if (token->len > JINJA_MAX_NAME) {
        return fail(l, e, "a name of more than 128 characters");
    }
    l->at = end;
    return 0;
}

static size_t skip_digits(const struct jinja_lexer *l, size_t at)
{
    while (at < l->len && is_digit(l->source[at])) {
        at++;
    }
    return at;
}

static int lex_number(struct jinja_lexer *l, struct jinja_token *token, struct err *e)
{
    size_t end = skip_digits(l, l->at);
    bool real = false;
    bool after_dot = l->at > 0 && l->source[l->at - 1] == '.'; /* the 0 and 1 of a.0.1 */
    if (!after_dot && end + 1 < l->len && l->source[end] == '.' &&
        is_digit(l->source[end + 1])) {
        real = true;
        end = skip_digits(l, end + 1);
    }
    if (!after_dot && end < l->len && (l->source[end] == 'e' || l->source[end] == 'E')) {
        size_t exponent = end + 1 + (sign_at(l, end + 1) != '\0');
        if (exponent < l->len && is_digit(l->source[exponent])) {
            real = true;
            end = skip_digits(l, exponent);
        }
    }
    token->len = end - l->at;
    if (token->len > 64 || (end < l->len && is_name_char(l->source[end]))) {
        return fail(l, e, "a malformed number");
    }
    char digits[65] = {0};
    memcpy(digits, token->text, token->len);
    errno = 0;
    if (real) {
        token->kind = JINJA_TOKEN_FLOAT;
        token->real = strtod(digits, NULL);
    } else {
        token->kind = JINJA_TOKEN_INT;
        token->integer = strtoll(digits, NULL, 10);
        if (errno == ERANGE) {
            return fail(l, e, "an integer of more than 64 bits");
        }
    }
    l->at = end;
    return 0;
}

static int lex_string(struct jinja_lexer *l, struct jinja_token *token, struct err *e)
{
    char quote = l->source[l->at];
    for (size_t i = l->at + 1; i < l->len; i++) {
        if (l->source[i] == '\\') {
            i++;
        } else if (l->source[i] == quote) {
            token->kind = JINJA_TOKEN_STRING;
            token->text = l->source + l->at + 1;
            token->len = i - l->at - 1;
            advance(l, i + 1);
            return 0;
        }
    }
    return fail(l, e, "a string without its closing quote");
}

static const struct {
    const char *text;
    enum jinja_token_kind kind;
} operators[] = {
    /* A longer one comes before its beginnings. */
    {"//", JINJA_TOKEN_FLOOR_DIVIDE}, {"**", JINJA_TOKEN_POWER},   {"==", JINJA_TOKEN_EQ},
    {"!=", JINJA_TOKEN_NE},           {">=", JINJA_TOKEN_GE},      {"<=", JINJA_TOKEN_LE},
    {"+", JINJA_TOKEN_ADD},           {"-", JINJA_TOKEN_SUBTRACT}, {"*", JINJA_TOKEN_MULTIPLY},
    {"/", JINJA_TOKEN_DIVIDE},        {"%", JINJA_TOKEN_MODULO},   {"~", JINJA_TOKEN_TILDE},
    {"|", JINJA_TOKEN_PIPE},          {"<", JINJA_TOKEN_LT},       {">", JINJA_TOKEN_GT},
    {"=", JINJA_TOKEN_ASSIGN},        {".", JINJA_TOKEN_DOT},      {",", JINJA_TOKEN_COMMA},
    {":", JINJA_TOKEN_COLON},         {"(", JINJA_TOKEN_LPAREN},   {")", JINJA_TOKEN_RPAREN},
    {"[", JINJA_TOKEN_LBRACKET},      {"]", JINJA_TOKEN_RBRACKET}, {"{", JINJA_TOKEN_LBRACE},
    {"}", JINJA_TOKEN_RBRACE},
};

#define N_OPERATORS (sizeof(operators) / sizeof(operators[0]))

static int lex_operator(struct jinja_lexer *l, struct jinja_token *token, struct err *e)
{
    for (size_t i = 0; i < N_OPERATORS; i++) {
        if (!looking_at(l, l->at, operators[i].text)) {
            continue;
        }
        token->kind = operators[i].kind;
        token->len = strlen(operators[i].text);
        l->at += token->len;
        if (strchr("([{", operators[i].text[0])) {
            l->brackets++;
        } else if (strchr(")]}", operators[i].text[0]) && l->brackets > 0) {
            l->brackets--;
        }
        return 0;
    }
    size_t n = jinja_char_len(token->text, l->len - l->at);
    return err_set(e, ERR_FORMAT, "chat template: line %u: unexpected character \"%.*s\"",
                   l->line, (int)n, token->text);
}

int jinja_lexer_next(struct jinja_lexer *l, struct jinja_token *token, struct err *e)
{
    if (l->mode == JINJA_MODE_TEXT) {
        return lex_text(l, token, e);
    }
    advance(l, skip_space(l, l->at));
    *token = (struct jinja_token){.line = l->line, .text = l->source + l->at};
    if (l->at == l->len) {
        return fail(l, e,
                    l->mode == JINJA_MODE_PRINT ? "\"{{\" is never closed"
                                                : "\"{%\" is never closed");
    }
    if (lex_tag_end(l, token)) {
        return 0;
    }
    char c = l->source[l->at];
    if (is_digit(c)) {
        return lex_number(l, token, e);
    }
    if (is_name_char(c)) {
        return lex_name(l, token, e);
    }
    return c == '"' || c == '\'' ? lex_string(l, token, e) : lex_operator(l, token, e);
}

/* --- strings --- */

/* The number that up to `max` digits from *i spell, moving *i behind them. */
static bool read_digits(const struct jinja_token *t, size_t *i, size_t max, unsigned base,
                        uint32_t *out)
{
    size_t n = 0;
    *out = 0;
    for (; n < max && *i < t->len; n++, (*i)++) {
        char c = t->text[*i];
        unsigned digit = is_digit(c)            ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : base;
        if (digit >= base) {
            break;
        }
        *out = *out * base + digit;
    }
    return base == 8 ? n > 0 : n == max;
}

/* "\x41", "\u20ac", "\U0001F600" and "\101", with *i behind the backslash. */
static bool read_code_point(const struct jinja_token *t, size_t *i, uint32_t *out)
{
    char kind = t->text[*i];
    if (kind >= '0' && kind <= '7') {
        return read_digits(t, i, 3, 8, out);
    }
    size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
    (*i)++;
    return read_digits(t, i, digits, 16, out) && *out <= 0x10FFFF &&
           (*out < 0xD800 || *out > 0xDFFF);
}

size_t jinja_token_unescape(const struct jinja_token *t, char *out, struct err *e)
{
    static const char letters[] = "\\\\''\"\"n\nr\rt\ta\ab\bf\fv\v";
    size_t n = 0;
    for (size_t i = 0; i < t->len;) {
        char c = t->text[i++];
        if (c != '\\' || i == t->len) {
            out[n++] = c;
            continue;
        }
        c = t->text[i];
        const char *plain = NULL;
        for (const char *p = letters; *p && !plain; p += 2) {
            plain = *p == c ? p + 1 : NULL;
        }
        uint32_t code_point;
        if (plain) {
            out[n++] = *plain;
            i++;
        } else if (c == '\n') {
            i++; /* a line continued */
        } else if (c == '\0' || !strchr("xuU01234567", c)) {
            out[n++] = '\\'; /* not an escape: Python keeps the backslash */
        } else if (read_code_point(t, &i, &code_point)) {
            n += (size_t)utf8_encode(code_point, out + n);
        } else {
            err_set(e, ERR_FORMAT, "chat template: line %u: a malformed \"\\%c\" escape",
                    t->line, c);
            return SIZE_MAX;
        }
    }
    return n;
}

const char *jinja_token_name(enum jinja_token_kind kind)
{
    static const char *const names[] = {
        [JINJA_TOKEN_END] = "end of template", [JINJA_TOKEN_TEXT] = "text",
        [JINJA_TOKEN_PRINT_BEGIN] = "{{",      [JINJA_TOKEN_PRINT_END] = "}}",
        [JINJA_TOKEN_BLOCK_BEGIN] = "{%",      [JINJA_TOKEN_BLOCK_END] = "%}",
        [JINJA_TOKEN_NAME] = "name",           [JINJA_TOKEN_STRING] = "string",
        [JINJA_TOKEN_INT] = "integer",         [JINJA_TOKEN_FLOAT] = "float",
    };
    for (size_t i = 0; i < N_OPERATORS; i++) {
        if (operators[i].kind == kind) {
            return operators[i].text;
        }
    }
    return names[kind];
}
