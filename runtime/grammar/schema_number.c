/* Numbers within bounds, as rules over their digits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/grammar/schema.h"

/* A double tells any two decimals of 15 digits apart and keeps their order (DBL_DIG), so where
 * numbers with bounds have no more, comparing digits says what comparing doubles would. */
#define BOUND_MAX       999999999999999LL /* 15 digits: what a bound may be */
#define INTEGER_MAX     9999999999999999  /* 16 digits, as where there are no bounds */
#define FRACTION_DIGITS 6
#define MULTIPLES_MAX   2000 /* written one by one */
#define MULTIPLE_OF_MAX 400  /* remainders that are states */
#define MULTIPLE_DIGITS 15

struct number_bounds shape_bounds(const struct shape *x)
{
    struct number_bounds b = {.lo = -INFINITY, .hi = INFINITY};
    for (size_t i = 0; i < x->parts.n; i++) {
        const cJSON *part = x->parts.nodes[i];
        for (int exclusive = 0; exclusive < 2; exclusive++) {
            const cJSON *lo = schema_get(part, exclusive ? "exclusiveMinimum" : "minimum");
            const cJSON *hi = schema_get(part, exclusive ? "exclusiveMaximum" : "maximum");
            if (lo && (lo->valuedouble > b.lo || (exclusive && lo->valuedouble == b.lo))) {
                b.lo = lo->valuedouble;
                b.lo_exclusive = exclusive;
            }
            if (hi && (hi->valuedouble < b.hi || (exclusive && hi->valuedouble == b.hi))) {
                b.hi = hi->valuedouble;
                b.hi_exclusive = exclusive;
            }
        }
    }
    return b;
}

/* The part of a shape that has a number keyword, to name it in a message. */
static int refuse(struct schema *s, const struct shape *x, const char *why)
{
    static const char *const names[] = {"multipleOf", "minimum", "maximum", "exclusiveMinimum",
                                        "exclusiveMaximum"};
    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        for (size_t i = 0; i < x->parts.n; i++) {
            if (schema_get(x->parts.nodes[i], names[n])) {
                return schema_unsupported(s, x->parts.nodes[i], names[n], why);
            }
        }
    }
    return schema_unsupported(s, x->parts.n > 0 ? x->parts.nodes[0] : s->root, "type", why);
}

/* Expressions are joined by "|"; the first has none before it. */
static void begin_alternative(struct buf *out, bool *any)
{
    buf_append_str(out, *any ? " | " : "");
    *any = true;
}

static void write_class(struct buf *out, char lo, char hi)
{
    if (lo == hi) {
        buf_printf(out, "\"%c\"", lo);
    } else {
        buf_printf(out, "[%c-%c]", lo, hi);
    }
}

/* Digit strings of one length n between lo and hi: each side is compared digit by digit until
 * it differs. At most two branches go on at each digit. */
static void write_same_length(struct buf *out, const char *lo, const char *hi, size_t n)
{
    bool any = false;
    if (n == 0) {
        buf_append_str(out, "\"\"");
        return;
    }
    if (strspn(lo, "0") >= n && strspn(hi, "9") >= n) {
        buf_printf(out, "[0-9]{%zu}", n);
        return;
    }
    if (lo[0] == hi[0]) {
        buf_printf(out, "\"%c\" (", lo[0]);
        write_same_length(out, lo + 1, hi + 1, n - 1);
        buf_append_char(out, ')');
        return;
    }
    const bool whole_lo = strspn(lo + 1, "0") >= n - 1, whole_hi = strspn(hi + 1, "9") >= n - 1;
    const char from = whole_lo ? lo[0] : (char)(lo[0] + 1);
    const char to = whole_hi ? hi[0] : (char)(hi[0] - 1);
    if (!whole_lo) {
        begin_alternative(out, &any);
        buf_printf(out, "\"%c\" (", lo[0]);
        write_same_length(out, lo + 1, "9999999999999999", n - 1);
        buf_append_char(out, ')');
    }
    if (from <= to) {
        begin_alternative(out, &any);
        write_class(out, from, to);
        buf_printf(out, " [0-9]{%zu}", n - 1);
    }
    if (!whole_hi) {
        begin_alternative(out, &any);
        buf_printf(out, "\"%c\" (", hi[0]);
        write_same_length(out, "0000000000000000", hi + 1, n - 1);
        buf_append_char(out, ')');
    }
}

/* Whole numbers lo to hi, 0 <= lo <= hi, without leading zeros. */
static void write_digits(struct buf *out, long long lo, long long hi)
{
    char a[24], b[24];
    bool any = false;
    (void)snprintf(b, sizeof(b), "%lld", hi);
    for (size_t n = 1; n <= strlen(b); n++) {
        long long first = 1;
        for (size_t i = 1; i < n; i++) {
            first *= 10;
        }
        const long long last = first * 10 - 1;
        first = n == 1 ? 0 : first;
        if (last < lo || first > hi) {
            continue;
        }
        char c[24];
        (void)snprintf(a, sizeof(a), "%lld", lo > first ? lo : first);
        (void)snprintf(c, sizeof(c), "%lld", hi < last ? hi : last);
        begin_alternative(out, &any);
        if (n > 1 && lo <= first && hi >= last) {
            buf_printf(out, "[1-9] [0-9]{%zu}", n - 1);
        } else {
            write_same_length(out, a, c, n);
        }
    }
}

/* Whole numbers lo to hi. */
static void write_integers(struct buf *out, long long lo, long long hi)
{
    bool any = false;
    if (lo > hi) {
        buf_append_str(out, "[]");
        return;
    }
    if (lo < 0) {
        begin_alternative(out, &any);
        buf_append_str(out, "\"-\" (");
        write_digits(out, hi < 0 ? -hi : 1, -lo);
        buf_append_char(out, ')');
    }
    if (hi >= 0) {
        begin_alternative(out, &any);
        write_digits(out, lo > 0 ? lo : 0, hi);
    }
}

/* Digits behind the point that make 0.DIGITS lie between 0.lo and 0.hi; NULL: that side is
 * free. At most `left` digits more. */
struct fraction {
    const char *lo, *hi; /* digits without trailing zeros, or NULL */
    bool lo_exclusive, hi_exclusive;
    int left;
};

static bool fraction_may_end(const struct fraction *f)
{
    return (!f->lo || (*f->lo == '\0' && !f->lo_exclusive)) &&
           (!f->hi || *f->hi != '\0' || !f->hi_exclusive);
}

static void write_fraction(struct buf *out, const struct fraction *f, bool may_end)
{
    bool any = false;
    if (!f->lo && !f->hi) {
        buf_printf(out, "[0-9]{%d,%d}", may_end ? 0 : 1, f->left);
        return;
    }
    if (may_end && fraction_may_end(f)) {
        begin_alternative(out, &any);
        buf_append_str(out, "\"\"");
    }
    const char l = f->lo && *f->lo ? *f->lo : '0', h = f->hi && *f->hi ? *f->hi : '0';
    const char from = f->lo ? l : '0', to = f->hi ? h : '9';
    if (f->left == 0 || from > to) {
        buf_append_str(out, any ? "" : "[]");
        return;
    }
    for (char d = from; d <= to; d++) {
        const bool on_lo = f->lo && d == l, on_hi = f->hi && d == h;
        const char last = on_lo || on_hi ? d : (char)(f->hi ? h - 1 : '9');
        const struct fraction rest = {.lo = on_lo ? f->lo + (*f->lo != '\0') : NULL,
                                      .hi = on_hi ? f->hi + (*f->hi != '\0') : NULL,
                                      .lo_exclusive = f->lo_exclusive,
                                      .hi_exclusive = f->hi_exclusive,
                                      .left = f->left - 1};
        begin_alternative(out, &any);
        write_class(out, d, last);
        buf_append_str(out, " (");
        write_fraction(out, &rest, true);
        buf_append_char(out, ')');
        d = last;
    }
}

/* A whole part and, behind a point, a fraction. */
static void write_decimal(struct buf *out, const struct fraction *f)
{
    buf_append_str(out, fraction_may_end(f) ? " (\".\" (" : " \".\" (");
    write_fraction(out, f, false);
    buf_append_str(out, fraction_may_end(f) ? "))?" : ")");
}

/* A bound as decimal digits. */
struct decimal {
    long long whole;
    char fraction[FRACTION_DIGITS + 1];
};

static int to_decimal(struct schema *s, const struct shape *x, double v, struct decimal *d)
{
    char text[64];
    *d = (struct decimal){.whole = 0};
    (void)snprintf(text, sizeof(text), "%.*f", FRACTION_DIGITS, v);
    if (v >= 1e9 || strtod(text, NULL) != v) {
        return refuse(s, x,
                      "bounds of numbers with a fraction may have 9 digits before the point "
                      "and 6 behind it");
    }
    char *end;
    d->whole = strtoll(text, &end, 10);
    size_t n = strlen(end + 1);
    while (n > 0 && end[n] == '0') {
        n--;
    }
    memcpy(d->fraction, end + 1, n);
    return 0;
}

/* Numbers without sign between lo and hi, 0 <= lo <= hi; hi may be infinite. */
static int write_magnitudes(struct schema *s, const struct shape *x, struct buf *out,
                            const struct number_bounds *b)
{
    struct decimal lo, hi = {.whole = 1000000000};
    struct fraction f = {.left = FRACTION_DIGITS};
    bool any = false;
    const bool bounded = isfinite(b->hi);
    if (to_decimal(s, x, b->lo, &lo) != 0 || (bounded && to_decimal(s, x, b->hi, &hi) != 0)) {
        return -1;
    }
    f.lo = lo.fraction;
    f.lo_exclusive = b->lo_exclusive;
    f.hi_exclusive = b->hi_exclusive;
    if (bounded && lo.whole == hi.whole) {
        f.hi = hi.fraction;
        buf_printf(out, "\"%lld\"", lo.whole);
        write_decimal(out, &f);
        return 0;
    }
    begin_alternative(out, &any);
    buf_printf(out, "\"%lld\"", lo.whole);
    write_decimal(out, &f);
    if (lo.whole + 1 <= hi.whole - 1) {
        begin_alternative(out, &any);
        buf_append_char(out, '(');
        write_digits(out, lo.whole + 1, hi.whole - 1);
        buf_printf(out, ") (\".\" [0-9]{1,%d})?", FRACTION_DIGITS);
    }
    if (bounded) {
        f = (struct fraction){
            .hi = hi.fraction, .hi_exclusive = b->hi_exclusive, .left = FRACTION_DIGITS};
        if (hi.fraction[0] != '\0' || !b->hi_exclusive) {
            begin_alternative(out, &any);
            buf_printf(out, "\"%lld\"", hi.whole);
            write_decimal(out, &f);
        }
    }
    return 0;
}

/* Numbers with bounds: the negative ones by their magnitude, and 0 without sign. */
static int write_bounded(struct schema *s, const struct shape *x, struct buf *out,
                         const struct number_bounds *b)
{
    bool any = false;
    if (b->lo < 0) {
        struct number_bounds m = {.lo = -b->hi,
                                  .hi = -b->lo,
                                  .lo_exclusive = b->hi_exclusive,
                                  .hi_exclusive = b->lo_exclusive};
        if (b->hi >= 0) {
            m.lo = 0;
            m.lo_exclusive = true;
        }
        begin_alternative(out, &any);
        buf_append_str(out, "\"-\" (");
        if (write_magnitudes(s, x, out, &m) != 0) {
            return -1;
        }
        buf_append_char(out, ')');
    }
    if (b->hi > 0 || (b->hi == 0 && !b->hi_exclusive)) {
        struct number_bounds m = *b;
        if (b->lo < 0) {
            m.lo = 0;
            m.lo_exclusive = false;
        }
        begin_alternative(out, &any);
        return write_magnitudes(s, x, out, &m);
    }
    return 0;
}

/* Rules PREFIX0 ... : digits that make the number a multiple of k, given the remainder so far
 * and how many digits there were. */
static void write_remainders(struct schema *s, struct buf *out, int k)
{
    const size_t id = s->n_helpers++;
    buf_printf(out, "\"0\" | \"-\"? %s-r%zu-0-0", s->prefix, id);
    for (int n = 0; n < MULTIPLE_DIGITS; n++) {
        for (int r = 0; r < (n == 0 ? 1 : k); r++) {
            buf_printf(s->rules, "%s-r%zu-%d-%d ::= %s", s->prefix, id, n, r,
                       n > 0 && r == 0 ? "\"\"" : "[]");
            for (int d = n == 0; d < 10; d++) {
                buf_printf(s->rules, " | \"%d\" %s-r%zu-%d-%d", d, s->prefix, id, n + 1,
                           (10 * r + d) % k);
            }
            buf_append_char(s->rules, '\n');
        }
    }
    for (int r = 0; r < k; r++) {
        buf_printf(s->rules, "%s-r%zu-%d-%d ::= %s\n", s->prefix, id, MULTIPLE_DIGITS, r,
                   r == 0 ? "\"\"" : "[]");
    }
}

/* The least common multiple of all multipleOf; 0 when there is none. */
static int find_multiple(struct schema *s, const struct shape *x, long long *multiple)
{
    *multiple = 0;
    for (size_t i = 0; i < x->parts.n; i++) {
        const cJSON *m = schema_get(x->parts.nodes[i], "multipleOf");
        if (!m) {
            continue;
        }
        if (m->valuedouble <= 0) {
            return schema_fail(s, ERR_INVALID, x->parts.nodes[i], "multipleOf",
                               "the value must be greater than 0");
        }
        if (m->valuedouble != floor(m->valuedouble) || m->valuedouble > 1e6) {
            return refuse(s, x, "only whole numbers up to 1000000 can be enforced");
        }
        const long long k = (long long)m->valuedouble;
        long long a = *multiple > 0 ? *multiple : k, b = k;
        while (b != 0) {
            const long long rest = a % b;
            a = b;
            b = rest;
        }
        *multiple = *multiple > 0 ? *multiple / a * k : k;
        if (*multiple > 1000000) {
            return refuse(s, x, "the common multiple is greater than 1000000");
        }
    }
    return 0;
}

static int write_multiples(struct schema *s, const struct shape *x, struct buf *out,
                           long long k, long long lo, long long hi, bool bounded)
{
    if (!bounded) {
        if (k > MULTIPLE_OF_MAX) {
            return refuse(s, x, "above 400 it can be enforced within bounds alone");
        }
        write_remainders(s, out, (int)k);
        return 0;
    }
    const long long first = lo / k + (lo > 0 && lo % k != 0);
    const long long last = hi / k - (hi < 0 && hi % k != 0);
    if (last - first >= MULTIPLES_MAX) {
        return refuse(s, x, "within bounds it can be enforced for 2000 values at most");
    }
    buf_append_str(out, "[]");
    for (long long i = first; i <= last; i++) {
        buf_printf(out, " | \"%lld\"", i * k);
    }
    return 0;
}

/* Bounds of whole numbers. */
static int integer_bounds(struct schema *s, const struct shape *x,
                          const struct number_bounds *b, long long *lo, long long *hi)
{
    *lo = -INTEGER_MAX;
    *hi = INTEGER_MAX;
    /* Bounds that are as good as none, such as those of exact integers in JavaScript, are drawn
     * in to numbers of 15 digits: what is allowed stays valid. */
    bool wide_lo = isfinite(b->lo) && b->lo < -(double)BOUND_MAX;
    bool wide_hi = isfinite(b->hi) && b->hi > (double)BOUND_MAX;
    if ((isfinite(b->lo) && b->lo > (double)BOUND_MAX) ||
        (isfinite(b->hi) && b->hi < -(double)BOUND_MAX)) {
        return refuse(s, x, "bounds of whole numbers may have 15 digits");
    }
    if (wide_lo) {
        *lo = -BOUND_MAX;
    } else if (isfinite(b->lo)) {
        *lo = (long long)ceil(b->lo);
        *lo += b->lo_exclusive && (double)*lo == b->lo;
    }
    if (wide_hi) {
        *hi = BOUND_MAX;
    } else if (isfinite(b->hi)) {
        *hi = (long long)floor(b->hi);
        *hi -= b->hi_exclusive && (double)*hi == b->hi;
    }
    return 0;
}

static int write_whole(struct schema *s, const struct shape *x, struct buf *out,
                       const struct number_bounds *b, long long multiple)
{
    long long lo, hi;
    const bool bounded = isfinite(b->lo) || isfinite(b->hi);
    if (multiple <= 1 && !bounded) {
        return buf_printf(out, "%s-i", s->prefix);
    }
    if (integer_bounds(s, x, b, &lo, &hi) != 0) {
        return -1;
    }
    if (multiple > 1) {
        return write_multiples(s, x, out, multiple, lo, hi, bounded);
    }
    write_integers(out, lo, hi);
    return 0;
}

int schema_write_number(struct schema *s, const struct shape *x, struct buf *out)
{
    const struct number_bounds b = shape_bounds(x);
    const bool bounded = isfinite(b.lo) || isfinite(b.hi);
    long long multiple;
    if (find_multiple(s, x, &multiple) != 0) {
        return -1;
    }
    if (b.lo > b.hi || (b.lo == b.hi && (b.lo_exclusive || b.hi_exclusive))) {
        return buf_append_str(out, "[]");
    }
    if ((x->types & TYPE_NUMBER) == TYPE_INTEGER ||
        (multiple > 0 && (x->types & TYPE_INTEGER))) {
        return write_whole(s, x, out, &b, multiple);
    }
    if (multiple > 0) {
        return buf_append_str(out, "[]"); /* multiples are whole */
    }
    if (!(x->types & TYPE_INTEGER)) {
        return bounded
                   ? refuse(s, x, "bounds can not be enforced where whole numbers are excluded")
                   : buf_printf(out,
                                "\"-\"? (\"0\" | [1-9] [0-9]{0,8}) \".\" [0-9]{0,5} [1-9]");
    }
    return bounded ? write_bounded(s, x, out, &b) : buf_printf(out, "%s-n", s->prefix);
}
