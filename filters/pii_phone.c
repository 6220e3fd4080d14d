/* Phone numbers. */
#include "filters/pii_scan.h"

#define E164_MIN     8u
#define E164_MAX     15u
#define E164_MIN_00  10u /* without a plus, shorter ones are too often something else */
#define NATIONAL_MIN 9u
#define NATIONAL_MAX 12u

/* Digits with at most two of " -./()" between them, up to the last end of a group at which
 * their number is right. */
static enum finder_found scan_international(const struct pii_scan *s, size_t at, size_t min,
                                            size_t *to)
{
    if (pii_peek(s, at) == '0') {
        return FINDER_NONE; /* no country code begins with it */
    }
    size_t count = 0;
    size_t end = 0;
    size_t joints = 0;
    for (size_t i = at;; i++) {
        int c = pii_peek(s, i);
        if (c == PII_OPEN) {
            return FINDER_UNDECIDED;
        }
        if (pii_is_digit(c)) {
            if (count == E164_MAX) {
                break;
            }
            count++;
            joints = 0;
            continue;
        }
        bool is_joint = pii_is_one_of(c, " -./()");
        if (joints == 0 && count >= min && !pii_is_letter(c)) {
            end = i;
        }
        if (!is_joint || ++joints > 2 || count == 0 || count == E164_MAX) {
            break;
        }
    }
    *to = end;
    return end ? FINDER_MATCH : FINDER_NONE;
}

/* 212-555-0123, 212.555.0123, 212 555 0123, (212) 555-0123, each with 1 before it or not.
 * Area and exchange codes begin with 2 to 9. */
static enum finder_found scan_north_american(const struct pii_scan *s, size_t at, size_t *to)
{
    size_t i = at;
    int c = pii_peek(s, i);
    if (c == '1') {
        c = pii_peek(s, ++i);
        if (!pii_is_one_of(c, "-. ")) {
            return c == PII_OPEN ? FINDER_UNDECIDED : FINDER_NONE;
        }
        c = pii_peek(s, ++i);
    }
    bool has_parenthesis = c == '(';
    i += has_parenthesis;
    int joint = 0;
    static const size_t lengths[] = {3, 3, 4};
    for (int part = 0; part < 3; part++) {
        c = pii_peek(s, i);
        if (c == PII_OPEN) {
            return FINDER_UNDECIDED;
        }
        if (part < 2 && (c < '2' || c > '9')) {
            return FINDER_NONE;
        }
        enum finder_found found = pii_take(s, &i, lengths[part], pii_is_digit);
        if (found != FINDER_MATCH) {
            return found;
        }
        if (part == 2) {
            break;
        }
        c = pii_peek(s, i);
        if (c == PII_OPEN) {
            return FINDER_UNDECIDED;
        }
        if (part == 0 && has_parenthesis) {
            if (c != ')') {
                return FINDER_NONE;
            }
            c = pii_peek(s, ++i);
            i += c == ' ' || c == '-';
            continue;
        }
        if (!pii_is_one_of(c, "-. ") || (joint && c != joint)) {
            return FINDER_NONE;
        }
        joint = c;
        i++;
    }
    *to = i;
    return pii_ends(s, i, "-.");
}

/* The groups of a number that begins with 0. */
struct groups {
    size_t count, digits;
    size_t first;    /* length of the first */
    size_t min_rest; /* shortest of the others */
    size_t max_rest; /* longest of them */
    int joint;       /* behind the first */
};

/* Two digits, then four more pairs or longer groups; or three digits and more. Dates and
 * times are neither. Five digits, a dash and four are the postal code of an American place. */
static bool is_national(const struct groups *g)
{
    if (g->count < 2 || g->digits < NATIONAL_MIN || g->digits > NATIONAL_MAX) {
        return false;
    }
    if (g->count == 2 && g->first == 5 && g->joint == '-' && g->max_rest == 4) {
        return false;
    }
    return g->first > 2 || g->min_rest > 2 || (g->count == 5 && g->max_rest == 2);
}

/* The joint between groups at *at, which moves behind it. The first may be ) with a blank, /,
 * or like the others, which are all alike; dots only if all are. Returns whether there is. */
static bool take_joint(const struct pii_scan *s, size_t *at, size_t group, bool has_parenthesis,
                       int *joint)
{
    int c = pii_peek(s, *at);
    ++*at;
    if (group == 1) {
        if (has_parenthesis) {
            *at += c == ')' && pii_peek(s, *at) == ' ';
            return c == ')';
        }
        *joint = c == '.' ? '.' : 0;
        return pii_is_one_of(c, " -/.");
    }
    bool fits = *joint ? c == *joint : c == ' ' || c == '-';
    *joint = c;
    return fits;
}

/* 030 1234567, 0171/123 45 67, (020) 7946 0958, 01 23 45 67 89. */
static enum finder_found scan_national(const struct pii_scan *s, size_t at, size_t *to)
{
    struct groups g = {.min_rest = SIZE_MAX};
    bool has_parenthesis = pii_peek(s, at) == '(';
    size_t end = 0;
    int joint = 0;
    for (size_t i = at + has_parenthesis;;) {
        size_t begin = i;
        while (pii_is_digit(pii_peek(s, i)) && g.digits + (i - begin) <= NATIONAL_MAX) {
            i++;
        }
        int c = pii_peek(s, i);
        size_t len = i - begin;
        g.digits += len;
        if (g.digits > NATIONAL_MAX || (g.count == 0 && len > 6)) {
            break;
        }
        if (c == PII_OPEN) {
            return FINDER_UNDECIDED;
        }
        if (len < 2 || pii_is_letter(c)) {
            break;
        }
        if (g.count++ == 0) {
            g.first = len;
            g.joint = c;
        } else {
            g.min_rest = len < g.min_rest ? len : g.min_rest;
            g.max_rest = len > g.max_rest ? len : g.max_rest;
        }
        end = is_national(&g) ? i : end;
        if (!take_joint(s, &i, g.count, has_parenthesis, &joint)) {
            break;
        }
    }
    *to = end;
    return end ? FINDER_MATCH : FINDER_NONE;
}

static const char *const phone_words[] = {
    "phone", "telephone", "tel",   "telefon", "mobile",       "mobil",    "cell", "cellphone",
    "fax",   "whatsapp",  "handy", "celular", "m\xC3\xB3vil", "portable", "call", NULL};

/* Digits only, where a word says what they are. */
static enum finder_found scan_named(const struct pii_scan *s, size_t at, size_t *to)
{
    size_t i = at;
    while (i - at <= E164_MAX && pii_is_digit(pii_peek(s, i))) {
        i++;
    }
    int c = pii_peek(s, i);
    if (i - at > E164_MAX || (i - at < E164_MIN && c != PII_OPEN) ||
        !pii_has_word_before(s, at, phone_words)) {
        return FINDER_NONE;
    }
    *to = i;
    return c == PII_OPEN ? FINDER_UNDECIDED : pii_ends(s, i, "-.");
}

static enum finder_found scan_numbers(const struct pii_scan *s, size_t at, size_t *to)
{
    if (s->text[at] == '+') {
        return scan_international(s, at + 1, E164_MIN, to);
    }
    size_t digit = at + (s->text[at] == '(');
    int first = pii_peek(s, digit);
    if (first == PII_OPEN) {
        return FINDER_UNDECIDED;
    }
    if (first != '0') {
        return scan_north_american(s, at, to);
    }
    int second = pii_peek(s, digit + 1);
    if (second == PII_OPEN) {
        return FINDER_UNDECIDED;
    }
    if (second == '0' && digit == at) {
        return scan_international(s, at + 2, E164_MIN_00, to);
    }
    return pii_is_digit(second) && second != '0' ? scan_national(s, at, to) : FINDER_NONE;
}

enum finder_found pii_phone(const struct pii_scan *s, size_t at, size_t *to)
{
    int before = pii_before(s, at, 1);
    bool is_time = before == ':' && pii_is_digit(pii_before(s, at, 2));
    if (pii_is_inside(s, at, ".,-/_+") || before == '+' || is_time) {
        return FINDER_NONE;
    }
    enum finder_found found = scan_numbers(s, at, to);
    if (found == FINDER_NONE && pii_is_digit(s->text[at])) {
        found = scan_named(s, at, to);
    }
    bool is_other = found == FINDER_MATCH && s->phone_countries &&
                    !pii_phone_is_of(s->phone_countries, s->text + at, *to - at);
    return is_other ? FINDER_NONE : found;
}
