/* Strings: lengths, patterns, formats. */
#include <stdio.h>
#include <string.h>

#include "runtime/grammar/grammar.h"
#include "runtime/grammar/schema.h"

/* What each format asks for, as a pattern. Stricter than the standard in places (a date has 28
 * days in February), never looser. */
#define MONTH_DAY                                                                   \
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|" \
    "02-(0[1-9]|1[0-9]|2[0-8]))"
#define DATE "[0-9]{4}-" MONTH_DAY
#define TIME                                                   \
    "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?" \
    "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define BYTE_DECIMAL "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define IPV4         BYTE_DECIMAL "(\\." BYTE_DECIMAL "){3}"
#define H16          "[0-9a-fA-F]{1,4}"
/* Never "--", so never a label in punycode either. */
#define LABEL "[a-zA-Z0-9]{1,12}(-[a-zA-Z0-9]{1,12}){0,2}"
#define DURATION_TIME \
    "T([0-9]{1,6}H([0-9]{1,6}M([0-9]{1,6}S)?)?|[0-9]{1,6}M([0-9]{1,6}S)?|[0-9]{1,6}S)"

static const struct format {
    const char *name;
    const char *pattern;
} formats[] = {
    {"date", "^" DATE "$"}, /* RFC 3339, full-date */
    {"time", "^" TIME "$"}, /* full-time, without leap seconds */
    {"date-time", "^" DATE "T" TIME "$"},
    {"duration", /* RFC 3339, appendix A */
     "^P([0-9]{1,6}W|[0-9]{1,6}Y([0-9]{1,6}M([0-9]{1,6}D)?)?(" DURATION_TIME ")?|"
     "[0-9]{1,6}M([0-9]{1,6}D)?(" DURATION_TIME ")?|[0-9]{1,6}D(" DURATION_TIME
     ")?|" DURATION_TIME ")$"},
    {"email", /* RFC 5321, dot-string at domain */
     "^[a-zA-Z0-9_+-]{1,30}(\\.[a-zA-Z0-9_+-]{1,30})?@" LABEL "(\\." LABEL
     "){0,3}\\.[a-zA-Z]{2,10}$"},
    {"hostname", "^" LABEL "(\\." LABEL "){0,4}$"}, /* RFC 1123 section 2.1 */
    {"ipv4", "^" IPV4 "$"},
    {"ipv6", /* RFC 4291 section 2.2, forms 1 and 2 */
     "^(" H16 "(:" H16 "){7}|(" H16 "(:" H16 "){0,2})?::(" H16 "(:" H16 "){0,3})?)$"},
    {"uuid", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"},
};

static const char *format_pattern(const char *name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, name) == 0) {
            return formats[i].pattern;
        }
    }
    return NULL;
}

int schema_pattern_set(struct schema *s, const cJSON *object, const char *keyword,
                       const char *pattern, struct text_dfa *d)
{
    if (text_dfa_from_regex(d, pattern, strlen(pattern), &s->budget, s->e) == 0) {
        return 0;
    }
    const struct err cause = *s->e;
    return schema_fail(s, cause.kind, object, keyword, cause.message);
}

/* Intersects *d, the texts so far, with one more set, which is taken. */
static int intersect(struct schema *s, struct text_dfa *d, bool *restricted,
                     struct text_dfa *more)
{
    struct text_dfa both;
    if (!*restricted) {
        *d = *more;
        *restricted = true;
        return 0;
    }
    const int rc = text_dfa_combine(&both, d, more, TEXT_DFA_AND, &s->budget, s->e);
    text_dfa_deinit(d);
    text_dfa_deinit(more);
    *d = both;
    return rc;
}

static int add_part(struct schema *s, const cJSON *part, struct text_dfa *d, bool *restricted)
{
    const cJSON *pattern = schema_get(part, "pattern"), *format = schema_get(part, "format");
    struct text_dfa more;
    if (pattern) {
        if (schema_pattern_set(s, part, "pattern", pattern->valuestring, &more) != 0 ||
            intersect(s, d, restricted, &more) != 0) {
            return -1;
        }
    }
    if (format) {
        const char *text = format_pattern(format->valuestring);
        if (!text) {
            return schema_unsupported(s, part, "format",
                                      "date, time, date-time, duration, email, hostname, ipv4, "
                                      "ipv6 and uuid can be enforced; leave others out");
        }
        if (schema_pattern_set(s, part, "format", text, &more) != 0 ||
            intersect(s, d, restricted, &more) != 0) {
            return -1;
        }
    }
    return 0;
}

int schema_string_set(struct schema *s, const struct shape *x, struct text_dfa *d,
                      bool *restricted)
{
    const uint32_t lo = shape_count(x, "minLength", true, 0);
    const uint32_t hi = shape_count(x, "maxLength", false, SYNTAX_UNBOUNDED);
    struct text_dfa length;
    int rc = 0;
    *d = (struct text_dfa){0};
    *restricted = false;
    for (size_t i = 0; i < x->parts.n && rc == 0; i++) {
        rc = add_part(s, x->parts.nodes[i], d, restricted);
    }
    if (rc == 0 && (lo > 0 || hi != SYNTAX_UNBOUNDED)) {
        rc = lo > hi ? text_dfa_from_texts(&length, NULL, 0, s->e)
                     : text_dfa_from_length(&length, lo, hi, s->e);
        rc = rc == 0 ? intersect(s, d, restricted, &length) : -1;
    }
    if (rc != 0) {
        text_dfa_deinit(d);
    }
    return rc;
}

static bool has_pattern(const struct shape *x)
{
    for (size_t i = 0; i < x->parts.n; i++) {
        if (schema_get(x->parts.nodes[i], "pattern") ||
            schema_get(x->parts.nodes[i], "format")) {
            return true;
        }
    }
    return false;
}

int schema_write_string(struct schema *s, const struct shape *x, struct buf *out)
{
    const uint32_t lo = shape_count(x, "minLength", true, 0);
    uint32_t hi = shape_count(x, "maxLength", false, SYNTAX_UNBOUNDED);
    struct text_dfa d;
    bool restricted;
    if (lo > GRAMMAR_REPEAT_MAX) {
        return err_set(s->e, ERR_LIMIT, "the schema is too complex: minLength is too large");
    }
    if (hi != SYNTAX_UNBOUNDED && hi > GRAMMAR_REPEAT_MAX) {
        hi = GRAMMAR_REPEAT_MAX;
    }
    if (has_pattern(x)) {
        char prefix[128];
        if (schema_string_set(s, x, &d, &restricted) != 0) {
            return -1;
        }
        (void)snprintf(prefix, sizeof(prefix), "%s-t%zu-", s->prefix, s->n_helpers++);
        buf_printf(out, "\"\\\"\" %s0 \"\\\"\"", prefix);
        (void)text_dfa_to_gbnf(&d, prefix, s->rules);
        text_dfa_deinit(&d);
    } else if (lo > hi) {
        buf_append_str(out, "[]");
    } else if (lo == 0 && hi == SYNTAX_UNBOUNDED) {
        buf_printf(out, "%s-s", s->prefix);
    } else if (hi == SYNTAX_UNBOUNDED) {
        buf_printf(out, "\"\\\"\" %s-c{%u,} \"\\\"\"", s->prefix, lo);
    } else {
        buf_printf(out, "\"\\\"\" %s-c{%u,%u} \"\\\"\"", s->prefix, lo, hi);
    }
    return 0;
}
