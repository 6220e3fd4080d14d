#include "runtime/grammar/regex.h"

#include <string.h>

#include "runtime/base/hex.h"
#include "runtime/base/utf8.h"
#include "runtime/grammar/array.h"
#include "runtime/grammar/grammar.h"

#define CLASS_RANGES_MAX 10000

struct parser {
    const char *text;
    size_t len, at;
    int depth;
    struct syntax *s;
    struct char_range *ranges; /* of the class that is being read */
    size_t n_ranges, cap_ranges;
    struct err *e;
};

static const struct char_range digits[] = {{'0', '9'}};
static const struct char_range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
/* ECMA-262 section 22.2.2.9, CharacterClassEscape :: s */
static const struct char_range spaces[] = {
    {0x09, 0x0D},     {0x20, 0x20},     {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
    {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
static const struct char_range line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

static uint32_t parse_alternatives(struct parser *p);

static uint32_t fail(const struct parser *p, const char *what)
{
    err_set(p->e, ERR_INVALID, "regular expression, position %zu: %s", p->at + 1, what);
    return SYNTAX_NONE;
}

static uint32_t unsupported(const struct parser *p, const char *what)
{
    err_set(p->e, ERR_UNSUPPORTED,
            "regular expression, position %zu: %s can not be enforced; leave it out", p->at + 1,
            what);
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

static bool skip(struct parser *p, const char *s)
{
    if (!looking_at(p, s)) {
        return false;
    }
    p->at += strlen(s);
    return true;
}

static uint32_t parse_hex(struct parser *p, int n)
{
    uint32_t value = 0;
    for (int i = 0; i < n; i++, p->at++) {
        const int digit = hex_value(peek(p));
        if (digit < 0) {
            return fail(p, "a hexadecimal digit was expected");
        }
        value = value << 4 | (uint32_t)digit;
    }
    return value;
}

/* Behind \u: four digits, maybe a surrogate pair of two such, or {digits}. */
static uint32_t parse_unicode(struct parser *p)
{
    if (skip(p, "{")) {
        uint32_t value = 0;
        do {
            const uint32_t digit = parse_hex(p, 1);
            if (digit == SYNTAX_NONE) {
                return SYNTAX_NONE;
            }
            value = value << 4 | digit;
            if (value > CODE_POINT_MAX) {
                return fail(p, "the escape is not a Unicode character");
            }
        } while (!skip(p, "}"));
        return value;
    }
    const uint32_t high = parse_hex(p, 4);
    if (high == SYNTAX_NONE || high < 0xD800 || high > 0xDBFF || !looking_at(p, "\\u")) {
        return high;
    }
    const size_t before = p->at;
    p->at += 2;
    const uint32_t low = parse_hex(p, 4);
    if (low == SYNTAX_NONE) {
        return SYNTAX_NONE;
    }
    if (low < 0xDC00 || low > 0xDFFF) {
        p->at = before;
        return high;
    }
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

/* An escape that stands for one character; `at` is behind the backslash. */
static uint32_t parse_char_escape(struct parser *p, bool in_class)
{
    const int c = peek(p);
    if (c < 0) {
        return fail(p, "the expression ends behind a backslash");
    }
    p->at++;
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'f':
        return '\f';
    case 'v':
        return '\v';
    case '0':
        return peek(p) >= '0' && peek(p) <= '9' ? fail(p, "octal escapes are not known") : 0;
    case 'x':
        return parse_hex(p, 2);
    case 'u':
        return parse_unicode(p);
    case 'c': {
        const int letter = peek(p) | 0x20;
        if (letter < 'a' || letter > 'z') {
            return fail(p, "\\c is followed by a letter");
        }
        p->at++;
        return (uint32_t)(letter - 'a' + 1);
    }
    case 'b':
        return in_class ? '\b' : unsupported(p, "a word boundary \\b");
    case 'B':
        return unsupported(p, "a word boundary \\B");
    case 'k':
        return unsupported(p, "a back-reference");
    case 'p':
    case 'P':
        return unsupported(p, "a class by Unicode property");
    default:
        break;
    }
    if (c >= '1' && c <= '9') {
        return unsupported(p, "a back-reference");
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80) {
        return fail(p, "unknown escape");
    }
    return (uint32_t)c;
}

static int add_ranges(struct parser *p, const struct char_range *ranges, size_t n, bool negated)
{
    if (p->n_ranges > CLASS_RANGES_MAX) {
        return err_set(p->e, ERR_LIMIT, "regular expression: a class has too many ranges");
    }
    if (ARRAY_RESERVE(p->ranges, p->cap_ranges, p->n_ranges + n + 1) != 0) {
        return err_nomem(p->e);
    }
    if (negated) {
        n = char_ranges_negate(ranges, n, p->ranges + p->n_ranges);
    } else {
        memcpy(p->ranges + p->n_ranges, ranges, n * sizeof(*ranges));
    }
    p->n_ranges += n;
    return 0;
}

#define RANGES(table) table, sizeof(table) / sizeof((table)[0])

/* \d \w \s \D \W \S, with `at` behind the backslash: 1 when it was one, 0 when not, -1 on
 * failure.
 */
static int add_class_escape(struct parser *p)
{
    int rc;
    switch (peek(p)) {
    case 'd':
    case 'D':
        rc = add_ranges(p, RANGES(digits), peek(p) == 'D');
        break;
    case 'w':
    case 'W':
        rc = add_ranges(p, RANGES(words), peek(p) == 'W');
        break;
    case 's':
    case 'S':
        rc = add_ranges(p, RANGES(spaces), peek(p) == 'S');
        break;
    default:
        return 0;
    }
    p->at++;
    return rc == 0 ? 1 : -1;
}

static uint32_t plain_char(struct parser *p)
{
    uint32_t c;
    const int n = utf8_decode(p->text + p->at, p->len - p->at, &c);
    if (n <= 0) {
        return fail(p, p->at < p->len ? "invalid UTF-8" : "the expression ends too early");
    }
    p->at += (size_t)n;
    return c;
}

static uint32_t class_char(struct parser *p)
{
    return skip(p, "\\") ? parse_char_escape(p, true) : plain_char(p);
}

/* One character, range or escape of a class. */
static int parse_class_item(struct parser *p)
{
    struct char_range r;
    if (looking_at(p, "[:")) {
        unsupported(p, "a POSIX class");
        return -1;
    }
    if (peek(p) == '\\') {
        p->at++;
        const int rc = add_class_escape(p);
        if (rc != 0) {
            return rc < 0 ? -1 : 0;
        }
        p->at--;
    }
    r.lo = r.hi = class_char(p);
    if (r.lo == SYNTAX_NONE) {
        return -1;
    }
    if (peek(p) == '-' && p->at + 1 < p->len && p->text[p->at + 1] != ']') {
        p->at++;
        if (peek(p) == '\\' && p->at + 1 < p->len && strchr("dDwWsS", p->text[p->at + 1])) {
            fail(p, "a range can not end with a class");
            return -1;
        }
        r.hi = class_char(p);
        if (r.hi == SYNTAX_NONE) {
            return -1;
        }
    }
    if (r.lo > r.hi) {
        fail(p, "a range of characters is the wrong way round");
        return -1;
    }
    return add_ranges(p, &r, 1, false);
}

static uint32_t parse_class(struct parser *p)
{
    p->at++;
    const bool negated = skip(p, "^");
    p->n_ranges = 0;
    while (peek(p) != ']') {
        if (peek(p) < 0) {
            return fail(p, "']' was expected");
        }
        if (parse_class_item(p) != 0) {
            return SYNTAX_NONE;
        }
    }
    p->at++;
    return syntax_chars(p->s, p->ranges, p->n_ranges, negated, p->e);
}

/* Behind "(?": what kind of group it is, for those that can not be enforced. */
static const char *refused_group(const struct parser *p)
{
    static const struct {
        const char *begin, *what;
    } kinds[] = {{"=", "a lookahead (?=...)"},     {"!", "a negative lookahead (?!...)"},
                 {"<=", "a lookbehind (?<=...)"},  {"<!", "a negative lookbehind (?<!...)"},
                 {">", "an atomic group (?>...)"}, {"(", "a conditional group"},
                 {"P=", "a back-reference"},       {"P>", "a recursive group"},
                 {"R", "a recursive group"},       {"&", "a recursive group"}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (looking_at(p, kinds[i].begin)) {
            return kinds[i].what;
        }
    }
    return NULL;
}

/* The rest of "(?", up to the group's content. */
static int skip_group_kind(struct parser *p)
{
    const char *refused = refused_group(p);
    if (refused) {
        unsupported(p, refused);
        return -1;
    }
    if (skip(p, ":")) {
        return 0;
    }
    if (skip(p, "P<") || skip(p, "<")) {
        const char *end = memchr(p->text + p->at, '>', p->len - p->at);
        if (!end) {
            fail(p, "'>' was expected behind the name of a group");
            return -1;
        }
        p->at = (size_t)(end - p->text) + 1;
        return 0;
    }
    unsupported(p, "an inline flag");
    return -1;
}

static uint32_t parse_group(struct parser *p)
{
    p->at++;
    if (++p->depth > SYNTAX_DEPTH_MAX) {
        err_set(p->e, ERR_LIMIT, "regular expression: groups are nested deeper than %d",
                SYNTAX_DEPTH_MAX);
        return SYNTAX_NONE;
    }
    if (skip(p, "?") && skip_group_kind(p) != 0) {
        return SYNTAX_NONE;
    }
    const uint32_t expr = parse_alternatives(p);
    if (expr == SYNTAX_NONE) {
        return SYNTAX_NONE;
    }
    if (!skip(p, ")")) {
        return fail(p, "')' was expected");
    }
    p->depth--;
    return expr;
}

static uint32_t one_char(struct parser *p, uint32_t c)
{
    struct char_range r = {c, c};
    return c == SYNTAX_NONE ? SYNTAX_NONE : syntax_chars(p->s, &r, 1, false, p->e);
}

static uint32_t anchor(struct parser *p, enum expr_kind kind)
{
    return syntax_expr(p->s, (struct expr){.kind = kind}, p->e);
}

static uint32_t parse_escape(struct parser *p)
{
    p->at++;
    p->n_ranges = 0;
    const int rc = add_class_escape(p);
    if (rc != 0) {
        return rc < 0 ? SYNTAX_NONE : syntax_chars(p->s, p->ranges, p->n_ranges, false, p->e);
    }
    if (skip(p, "A")) {
        return anchor(p, EXPR_BEGIN);
    }
    if (skip(p, "Z") || skip(p, "z")) {
        return anchor(p, EXPR_END);
    }
    return one_char(p, parse_char_escape(p, false));
}

static uint32_t parse_atom(struct parser *p)
{
    struct char_range ends[sizeof(line_ends) / sizeof(line_ends[0])];
    const int c = peek(p);
    switch (c) {
    case '(':
        return parse_group(p);
    case '[':
        return parse_class(p);
    case '\\':
        return parse_escape(p);
    case '.':
        p->at++;
        memcpy(ends, line_ends, sizeof(ends));
        return syntax_chars(p->s, RANGES(ends), true, p->e);
    case '^':
        p->at++;
        return anchor(p, EXPR_BEGIN);
    case '$':
        p->at++;
        return anchor(p, EXPR_END);
    case '*':
    case '+':
    case '?':
        return fail(p, "nothing stands before the quantifier");
    default:
        return one_char(p, plain_char(p));
    }
}

static bool parse_count(struct parser *p, uint32_t *value)
{
    uint64_t v = 0;
    if (peek(p) < '0' || peek(p) > '9') {
        return false;
    }
    for (; peek(p) >= '0' && peek(p) <= '9'; p->at++) {
        v = v > GRAMMAR_REPEAT_MAX ? v : v * 10 + (uint64_t)(peek(p) - '0');
    }
    *value = (uint32_t)v;
    return true;
}

/* {m}, {m,} or {m,n}. What only looks like it is plain characters, and `at` stays. */
static bool parse_bounds(struct parser *p, uint32_t *lo, uint32_t *hi)
{
    const size_t before = p->at;
    p->at++;
    if (parse_count(p, lo)) {
        *hi = *lo;
        if (skip(p, ",")) {
            *hi = SYNTAX_UNBOUNDED;
            (void)parse_count(p, hi);
        }
        if (skip(p, "}")) {
            return true;
        }
    }
    p->at = before;
    return false;
}

static bool parse_quantifier(struct parser *p, uint32_t *lo, uint32_t *hi)
{
    const int c = peek(p);
    if (c == '{') {
        return parse_bounds(p, lo, hi);
    }
    if (c != '*' && c != '+' && c != '?') {
        return false;
    }
    p->at++;
    *lo = c == '+';
    *hi = c == '?' ? 1 : SYNTAX_UNBOUNDED;
    return true;
}

static uint32_t parse_item(struct parser *p)
{
    uint32_t lo, hi;
    const uint32_t atom = parse_atom(p);
    if (atom == SYNTAX_NONE || !parse_quantifier(p, &lo, &hi)) {
        return atom;
    }
    if (lo > GRAMMAR_REPEAT_MAX || (hi > GRAMMAR_REPEAT_MAX && hi != SYNTAX_UNBOUNDED)) {
        err_set(p->e, ERR_LIMIT,
                "regular expression, position %zu: the repetition is too large, at most %d",
                p->at, GRAMMAR_REPEAT_MAX);
        return SYNTAX_NONE;
    }
    if (lo > hi) {
        return fail(p, "the bounds of a repetition are the wrong way round");
    }
    if (peek(p) == '+') {
        return unsupported(p, "a possessive quantifier");
    }
    (void)skip(p, "?");
    if (peek(p) == '*' || peek(p) == '+' || peek(p) == '?') {
        return fail(p, "a quantifier stands behind another");
    }
    return syntax_repeat(p->s, atom, lo, hi, p->e);
}

static uint32_t parse_sequence(struct parser *p)
{
    struct expr_list list = EXPR_LIST_EMPTY;
    while (peek(p) >= 0 && peek(p) != '|' && peek(p) != ')') {
        const uint32_t item = parse_item(p);
        if (item == SYNTAX_NONE) {
            return SYNTAX_NONE;
        }
        expr_list_add(p->s, &list, item);
    }
    return syntax_seq(p->s, &list, p->e);
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
    } while (skip(p, "|"));
    return syntax_alt(p->s, &list, p->e);
}

int regex_parse(const char *pattern, size_t len, struct syntax *s, uint32_t *expr,
                struct err *e)
{
    struct parser p = {.text = pattern, .len = len, .s = s, .e = e};
    if (len > GRAMMAR_TEXT_MAX) {
        return err_set(e, ERR_LIMIT, "the regular expression has %zu bytes, at most %zu", len,
                       GRAMMAR_TEXT_MAX);
    }
    *expr = parse_alternatives(&p);
    if (*expr != SYNTAX_NONE && p.at < len) {
        *expr = fail(&p, "')' has no '('");
    }
    mem_free(p.ranges);
    return *expr == SYNTAX_NONE ? -1 : 0;
}

/* Which ends of the text an expression touches, whatever it matches. */
struct ends {
    bool begin, end;
};

static int anchor_expr(struct syntax *s, uint32_t expr, struct ends at, struct err *e);

static bool reads_nothing(const struct syntax *s, uint32_t expr)
{
    const struct expr *x = &s->exprs[expr];
    return x->kind == EXPR_BEGIN || x->kind == EXPR_END ||
           (x->kind == EXPR_LITERAL && x->b == 0);
}

static int anchor_seq(struct syntax *s, uint32_t first, struct ends at, struct err *e)
{
    bool begin = at.begin;
    for (uint32_t k = first; k != SYNTAX_NONE; k = s->exprs[k].next) {
        bool end = at.end;
        for (uint32_t after = s->exprs[k].next; after != SYNTAX_NONE && end;
             after = s->exprs[after].next) {
            end = reads_nothing(s, after);
        }
        const bool nothing = reads_nothing(s, k);
        if (anchor_expr(s, k, (struct ends){begin, end}, e) != 0) {
            return -1;
        }
        begin = begin && nothing;
    }
    return 0;
}

static int anchor_expr(struct syntax *s, uint32_t expr, struct ends at, struct err *e)
{
    struct expr *x = &s->exprs[expr];
    switch (x->kind) {
    case EXPR_SEQ:
        return anchor_seq(s, x->a, at, e);
    case EXPR_ALT:
        for (uint32_t k = x->a; k != SYNTAX_NONE; k = s->exprs[k].next) {
            if (anchor_expr(s, k, at, e) != 0) {
                return -1;
            }
        }
        return 0;
    case EXPR_REPEAT:
        return anchor_expr(s, x->a, x->hi == 1 ? at : (struct ends){false, false}, e);
    case EXPR_BEGIN:
    case EXPR_END:
        if (x->kind == EXPR_BEGIN ? !at.begin : !at.end) {
            return err_set(e, ERR_UNSUPPORTED,
                           "regular expression: \"%s\" inside the expression can not be "
                           "enforced; the whole answer is matched anyway",
                           x->kind == EXPR_BEGIN ? "^" : "$");
        }
        *x = (struct expr){.kind = EXPR_LITERAL, .next = x->next};
        return 0;
    default:
        return 0;
    }
}

int regex_anchor(struct syntax *s, uint32_t *expr, struct err *e)
{
    return anchor_expr(s, *expr, (struct ends){true, true}, e);
}
