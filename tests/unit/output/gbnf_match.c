#include "tests/unit/output/gbnf_match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/utf8.h"

/* What has to match behind a part of the grammar. */
struct rest {
    bool (*match)(const struct rest *k, const char *s);
    const char *grammar;
    const char *at; /* seq: where it goes on; repeat: the item */
    long min, max;  /* repeat: how often still */
    const struct rest *next;
};

static bool match_alternatives(const char *grammar, const char *p, const char *s,
                               const struct rest *k);
static bool match_sequence(const char *grammar, const char *p, const char *s,
                           const struct rest *k);

static const char *skip_space(const char *p)
{
    while (*p == ' ') {
        p++;
    }
    return p;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-';
}

/* Behind a quoted part: a literal or a class. */
static const char *skip_quoted(const char *p, char close)
{
    for (p++; *p && *p != close; p++) {
        p += *p == '\\';
    }
    assert_true(*p == close);
    return p + 1;
}

static const char *item_end(const char *p)
{
    if (*p == '"' || *p == '[') {
        return skip_quoted(p, *p == '"' ? '"' : ']');
    }
    if (*p == '(') {
        for (p = skip_space(p + 1); *p != ')'; p = skip_space(p)) {
            assert_true(*p != '\0' && *p != '\n');
            p = *p == '"' || *p == '[' || *p == '(' ? item_end(p) : p + 1;
        }
        return p + 1;
    }
    if (*p == '.') {
        return p + 1;
    }
    assert_true(is_name_char(*p));
    while (is_name_char(*p)) {
        p++;
    }
    return p;
}

/* The body of a rule. */
static const char *rule(const char *grammar, const char *name, size_t len)
{
    for (const char *line = grammar; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) == 0 && strncmp(line + len, " ::= ", 5) == 0) {
            return line + len + 5;
        }
    }
    fail_msg("no rule %.*s", (int)len, name);
    return NULL;
}

/* One character of a literal or class; *p moves behind it. */
static uint32_t read_char(const char **p)
{
    uint32_t c;
    if (**p == '\\') {
        const char kind = (*p)[1];
        *p += 2;
        if (kind == 'x') {
            char hex[3] = {(*p)[0], (*p)[1], 0};
            *p += 2;
            return (uint32_t)strtoul(hex, NULL, 16);
        }
        return kind == 'n' ? '\n' : kind == 't' ? '\t' : (uint32_t)kind;
    }
    *p += utf8_decode(*p, strlen(*p), &c);
    return c;
}

static bool in_class(const char *p, uint32_t c)
{
    const bool negated = p[1] == '^';
    bool found = false;
    p += negated ? 2 : 1;
    while (*p != ']') {
        const uint32_t low = read_char(&p);
        uint32_t high = low;
        if (*p == '-') {
            p++;
            high = read_char(&p);
        }
        found = found || (c >= low && c <= high);
    }
    return found != negated;
}

static bool match_item(const char *grammar, const char *p, const char *s, const struct rest *k)
{
    const char *end = item_end(p);
    if (*p == '"') {
        for (p++; p < end - 1;) {
            if ((unsigned char)*s != read_char(&p)) {
                return false;
            }
            s++;
        }
        return k->match(k, s);
    }
    if (*p == '[' || *p == '.') {
        uint32_t c;
        const int n = *s ? utf8_decode(s, strlen(s), &c) : 0;
        return n > 0 && (*p == '.' || in_class(p, c)) && k->match(k, s + n);
    }
    return match_alternatives(grammar, *p == '(' ? p + 1 : rule(grammar, p, (size_t)(end - p)),
                              s, k);
}

static bool repeat(const struct rest *k, const char *s)
{
    if (k->max > 0) {
        const struct rest again = {repeat, k->grammar, k->at, k->min - 1, k->max - 1, k->next};
        if (match_item(k->grammar, k->at, s, &again)) {
            return true;
        }
    }
    return k->min <= 0 && k->next->match(k->next, s);
}

static bool go_on(const struct rest *k, const char *s)
{
    return match_sequence(k->grammar, k->at, s, k->next);
}

static bool match_sequence(const char *grammar, const char *p, const char *s,
                           const struct rest *k)
{
    p = skip_space(p);
    if (*p == '|' || *p == ')' || *p == '\n' || *p == '\0') {
        return k->match(k, s);
    }
    const char *end = item_end(p);
    struct rest behind = {go_on, grammar, end, 0, 0, k};
    if (*end != '?' && *end != '*' && *end != '{') {
        return match_item(grammar, p, s, &behind);
    }
    struct rest times = {repeat, grammar, p, 0, *end == '?' ? 1 : 1000, &behind};
    behind.at = end + 1;
    if (*end == '{') {
        char *stop;
        times.min = times.max = strtol(end + 1, &stop, 10);
        if (*stop == ',') {
            times.max = strtol(stop + 1, &stop, 10);
        }
        behind.at = stop + 1;
    }
    return repeat(&times, s);
}

static bool match_alternatives(const char *grammar, const char *p, const char *s,
                               const struct rest *k)
{
    for (;;) {
        if (match_sequence(grammar, p, s, k)) {
            return true;
        }
        for (p = skip_space(p); *p != '|'; p = skip_space(p)) {
            if (*p == ')' || *p == '\n' || *p == '\0') {
                return false;
            }
            p = item_end(p);
            if (*p == '{') {
                p = strchr(p, '}') + 1;
            }
            p += *p == '?' || *p == '*';
        }
        p++;
    }
}

static bool at_end(const struct rest *k, const char *s)
{
    (void)k;
    return *s == '\0';
}

bool gbnf_matches(const char *grammar, const char *text)
{
    const struct rest end = {.match = at_end};
    return match_alternatives(grammar, rule(grammar, "root", 4), text, &end);
}
