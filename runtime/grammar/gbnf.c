#include "runtime/grammar/gbnf.h"

#include <string.h>

#include "runtime/base/hex.h"
#include "runtime/base/utf8.h"
#include "runtime/grammar/array.h"
#include "runtime/grammar/grammar.h"

#define QUANTIFIERS_MAX 8

/* Reads a grammar from left to right; each parse_* function stands at the first byte of its
 * thing and leaves `at` behind it. */
struct parser {
    const char *text;
    size_t len, at;
    uint32_t line;
    int depth; /* of groups */
    struct syntax *s;
    struct char_range *ranges; /* of the class that is being read */
    size_t n_ranges, cap_ranges;
    struct err *e;
};

static uint32_t parse_alternatives(struct parser *p);

static uint32_t fail(const struct parser *p, const char *what)
{
    err_set(p->e, ERR_INVALID, "grammar, line %u: %s", p->line, what);
    return SYNTAX_NONE;
}

static int peek(const struct parser *p)
{
    return p->at < p->len ? (unsigned char)p->text[p->at] : -1;
}

static bool looking_at(const struct parser *p, const char *s)
{
    const size_t n = strlen(s);
    return p->len - p->at >= n && memcmp(p->text + p->at, s, n) == 0;
}

/* Blanks and comments; line ends only where `lines`. */
static void skip_space(struct parser *p, bool lines)
{
    for (;;) {
        const int c = peek(p);
        if (c == '#') {
            const char *end = memchr(p->text + p->at, '\n', p->len - p->at);
            p->at = end ? (size_t)(end - p->text) : p->len;
        } else if (c == ' ' || c == '\t') {
            p->at++;
        } else if (lines && (c == '\n' || c == '\r')) {
            p->line += c == '\n';
            p->at++;
        } else {
            return;
        }
    }
}

static bool is_name_char(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '_';
}

static size_t name_length(const struct parser *p)
{
    size_t n = 0;
    while (p->at + n < p->len && is_name_char((unsigned char)p->text[p->at + n])) {
        n++;
    }
    return n;
}

static uint32_t parse_hex(struct parser *p, int n)
{
    uint32_t value = 0;
    for (int i = 0; i < n; i++, p->at++) {
        const int digit = hex_value(peek(p));
        if (digit < 0) {
            return fail(p, "\\x is followed by 2 hexadecimal digits, \\u by 4 and \\U by 8");
        }
        value = value << 4 | (uint32_t)digit;
    }
    if (value > CODE_POINT_MAX || (value >= 0xD800 && value <= 0xDFFF)) {
        return fail(p, "the escape is not a Unicode character");
    }
    return value;
}

static uint32_t parse_escape(struct parser *p)
{
    const int c = peek(p);
    p->at++;
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'x':
        return parse_hex(p, 2);
    case 'u':
        return parse_hex(p, 4);
    case 'U':
        return parse_hex(p, 8);
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-':
    case '^':
        return (uint32_t)c;
    default:
        return fail(p, "unknown escape; \\n \\r \\t \\\\ \\\" \\[ \\] \\xNN \\uNNNN and "
                       "\\UNNNNNNNN are known");
    }
}

/* One character of a literal or class, SYNTAX_NONE when there is none. */
static uint32_t parse_char(struct parser *p)
{
    uint32_t c;
    if (peek(p) == '\\') {
        p->at++;
        return parse_escape(p);
    }
    if (peek(p) == '\n') {
        return fail(p, "the line ends inside a literal or class; write \\n");
    }
    const int n = utf8_decode(p->text + p->at, p->len - p->at, &c);
    if (n <= 0) {
        return fail(p, p->at < p->len ? "invalid UTF-8" : "the grammar ends too early");
    }
    p->at += (size_t)n;
    return c;
}

static uint32_t parse_literal(struct parser *p)
{
    struct buf *bytes = &p->s->bytes;
    const size_t begin = bytes->len;
    p->at++;
    while (peek(p) != '"') {
        const uint32_t c = parse_char(p);
        char utf8[4];
        if (c == SYNTAX_NONE) {
            return SYNTAX_NONE;
        }
        if (buf_append(bytes, utf8, (size_t)utf8_encode(c, utf8)) != 0) {
            err_nomem(p->e);
            return SYNTAX_NONE;
        }
    }
    p->at++;
    return syntax_expr(p->s,
                       (struct expr){.kind = EXPR_LITERAL,
                                     .a = (uint32_t)begin,
                                     .b = (uint32_t)(bytes->len - begin)},
                       p->e);
}

static uint32_t parse_class(struct parser *p)
{
    p->at++;
    const bool negated = peek(p) == '^';
    p->at += negated;
    p->n_ranges = 0;
    while (peek(p) != ']') {
        struct char_range r;
        r.lo = r.hi = parse_char(p);
        if (r.lo != SYNTAX_NONE && peek(p) == '-' && p->at + 1 < p->len &&
            p->text[p->at + 1] != ']') {
            p->at++;
            r.hi = parse_char(p);
        }
        if (r.lo == SYNTAX_NONE || r.hi == SYNTAX_NONE) {
            return SYNTAX_NONE;
        }
        if (r.lo > r.hi) {
            return fail(p, "a range of characters is the wrong way round");
        }
        if (ARRAY_RESERVE(p->ranges, p->cap_ranges, p->n_ranges + 1) != 0) {
            err_nomem(p->e);
            return SYNTAX_NONE;
        }
        p->ranges[p->n_ranges++] = r;
    }
    p->at++;
    return syntax_chars(p->s, p->ranges, p->n_ranges, negated, p->e);
}

static uint32_t parse_group(struct parser *p)
{
    if (++p->depth > SYNTAX_DEPTH_MAX) {
        err_set(p->e, ERR_LIMIT, "grammar, line %u: groups are nested deeper than %d", p->line,
                SYNTAX_DEPTH_MAX);
        return SYNTAX_NONE;
    }
    p->at++;
    skip_space(p, true);
    const uint32_t expr = parse_alternatives(p);
    if (expr == SYNTAX_NONE) {
        return SYNTAX_NONE;
    }
    skip_space(p, true);
    if (peek(p) != ')') {
        return fail(p, "')' was expected");
    }
    p->at++;
    p->depth--;
    return expr;
}

static uint32_t parse_reference(struct parser *p)
{
    const size_t n = name_length(p);
    const uint32_t rule = syntax_find_rule(p->s, p->text + p->at, n, p->line, p->e);
    p->at += n;
    return rule == SYNTAX_NONE
               ? SYNTAX_NONE
               : syntax_expr(p->s, (struct expr){.kind = EXPR_CALL, .a = rule}, p->e);
}

static int parse_number(struct parser *p, uint32_t *value)
{
    uint32_t v = 0;
    if (peek(p) < '0' || peek(p) > '9') {
        fail(p, "a number was expected");
        return -1;
    }
    for (; peek(p) >= '0' && peek(p) <= '9'; p->at++) {
        v = v * 10 + (uint32_t)(peek(p) - '0');
        if (v > GRAMMAR_REPEAT_MAX) {
            return err_set(p->e, ERR_LIMIT,
                           "grammar, line %u: the repetition is too large, at most %d", p->line,
                           GRAMMAR_REPEAT_MAX);
        }
    }
    *value = v;
    return 0;
}

/* {m}, {m,}, {m,n} or {,n} behind an item. */
static int parse_bounds(struct parser *p, uint32_t *lo, uint32_t *hi)
{
    p->at++;
    skip_space(p, true);
    *lo = 0;
    if (peek(p) != ',' && parse_number(p, lo) != 0) {
        return -1;
    }
    *hi = *lo;
    skip_space(p, true);
    if (peek(p) == ',') {
        p->at++;
        skip_space(p, true);
        *hi = SYNTAX_UNBOUNDED;
        if (peek(p) != '}' && parse_number(p, hi) != 0) {
            return -1;
        }
        skip_space(p, true);
    }
    if (peek(p) != '}') {
        fail(p, "'}' was expected");
        return -1;
    }
    p->at++;
    if (*lo > *hi) {
        fail(p, "the bounds of a repetition are the wrong way round");
        return -1;
    }
    return 0;
}

static uint32_t parse_repetitions(struct parser *p, uint32_t item)
{
    for (int n = 0; item != SYNTAX_NONE; n++) {
        uint32_t lo = 0, hi = SYNTAX_UNBOUNDED;
        skip_space(p, p->depth > 0);
        const int c = peek(p);
        if (c == '{') {
            if (parse_bounds(p, &lo, &hi) != 0) {
                return SYNTAX_NONE;
            }
        } else if (c == '*' || c == '+' || c == '?') {
            p->at++;
            lo = c == '+';
            hi = c == '?' ? 1 : SYNTAX_UNBOUNDED;
        } else {
            return item;
        }
        if (n >= QUANTIFIERS_MAX) {
            err_set(p->e, ERR_LIMIT, "grammar, line %u: more than %d quantifiers in a row",
                    p->line, QUANTIFIERS_MAX);
            return SYNTAX_NONE;
        }
        item = syntax_repeat(p->s, item, lo, hi, p->e);
    }
    return item;
}

static uint32_t parse_item(struct parser *p)
{
    struct char_range any = {0, CODE_POINT_MAX};
    const int c = peek(p);
    uint32_t item;
    if (c == '"') {
        item = parse_literal(p);
    } else if (c == '[') {
        item = parse_class(p);
    } else if (c == '(') {
        item = parse_group(p);
    } else if (c == '.') {
        p->at++;
        item = syntax_chars(p->s, &any, 1, false, p->e);
    } else if (is_name_char(c)) {
        item = parse_reference(p);
    } else {
        return fail(p, "a literal, class, group or rule name was expected");
    }
    return parse_repetitions(p, item);
}

/* A rule goes on over line ends inside a group and behind '|' alone, so a name at the beginning
 * of a line is always the next rule. */
static bool sequence_ends(const struct parser *p)
{
    const int c = peek(p);
    return c < 0 || c == '|' || c == ')' || c == '\n' || c == '\r';
}

static uint32_t parse_sequence(struct parser *p)
{
    struct expr_list list = EXPR_LIST_EMPTY;
    skip_space(p, p->depth > 0);
    while (!sequence_ends(p)) {
        const uint32_t item = parse_item(p);
        if (item == SYNTAX_NONE) {
            return SYNTAX_NONE;
        }
        expr_list_add(p->s, &list, item);
        skip_space(p, p->depth > 0);
    }
    return syntax_seq(p->s, &list, p->e);
}

/* Whether '|' comes next, maybe at the beginning of a following line. */
static bool another_alternative(struct parser *p)
{
    const struct parser before = *p;
    skip_space(p, true);
    if (peek(p) == '|') {
        p->at++;
        skip_space(p, true);
        return true;
    }
    p->at = before.at;
    p->line = before.line;
    return false;
}

static uint32_t parse_alternatives(struct parser *p)
{
    struct expr_list list = EXPR_LIST_EMPTY;
    do {
        const uint32_t sequence = parse_sequence(p);
        if (sequence == SYNTAX_NONE) {
            return SYNTAX_NONE;
        }
        expr_list_add(p->s, &list, sequence);
    } while (another_alternative(p));
    return syntax_alt(p->s, &list, p->e);
}

static int parse_rule(struct parser *p)
{
    const uint32_t line = p->line;
    const size_t n = name_length(p);
    if (n == 0) {
        fail(p, "a rule was expected: name ::= ...");
        return -1;
    }
    const char *name = p->text + p->at;
    const uint32_t rule = syntax_find_rule(p->s, name, n, line, p->e);
    if (rule == SYNTAX_NONE) {
        return -1;
    }
    if (p->s->rules[rule].body != SYNTAX_NONE) {
        return err_set(p->e, ERR_INVALID, "grammar, line %u: rule \"%.*s\" is defined twice",
                       line, (int)(n < 80 ? n : 80), name);
    }
    p->at += n;
    skip_space(p, false);
    if (!looking_at(p, "::=")) {
        fail(p, "\"::=\" was expected behind the name of a rule");
        return -1;
    }
    p->at += 3;
    skip_space(p, true);
    const uint32_t body = parse_alternatives(p);
    if (body == SYNTAX_NONE) {
        return -1;
    }
    p->s->rules[rule].body = body;
    p->s->rules[rule].line = line;
    skip_space(p, false);
    if (p->at < p->len && peek(p) != '\n' && peek(p) != '\r') {
        fail(p, peek(p) == ')' ? "')' has no '('" : "the end of the line was expected");
        return -1;
    }
    skip_space(p, true);
    return 0;
}

static int check_names(struct parser *p)
{
    const struct syntax *s = p->s;
    for (size_t i = 0; i < s->n_rules; i++) {
        const struct syntax_rule *rule = &s->rules[i];
        if (rule->body == SYNTAX_NONE) {
            return err_set(p->e, ERR_INVALID,
                           "grammar, line %u: rule \"%.*s\" is used but not defined",
                           rule->line, (int)(rule->name_len < 80 ? rule->name_len : 80),
                           s->bytes.data + rule->name);
        }
    }
    return 0;
}

int gbnf_parse(const char *text, size_t len, struct syntax *s, struct err *e)
{
    struct parser p = {.text = text, .len = len, .line = 1, .s = s, .e = e};
    int rc = 0;
    if (len > GRAMMAR_TEXT_MAX) {
        return err_set(e, ERR_LIMIT, "the grammar has %zu bytes, at most %zu are allowed", len,
                       GRAMMAR_TEXT_MAX);
    }
    skip_space(&p, true);
    while (rc == 0 && p.at < len) {
        rc = parse_rule(&p);
    }
    mem_free(p.ranges);
    if (rc != 0) {
        return -1;
    }
    const size_t n_rules = s->n_rules;
    s->root = syntax_find_rule(s, "root", 4, p.line, e);
    if (s->root == SYNTAX_NONE) {
        return -1;
    }
    if (s->n_rules > n_rules) {
        return err_set(e, ERR_INVALID, "the grammar has no rule \"root\"");
    }
    return check_names(&p);
}
