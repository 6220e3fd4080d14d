/* E-mail and network addresses. */
#include <arpa/inet.h>

#include "filters/pii_scan.h"

#define MAX_LOCAL  64u /* RFC 5321 4.5.3.1 */
#define MAX_DOMAIN 255u
#define MAX_LABEL  63u
#define MAX_IPV6   45u /* INET6_ADDRSTRLEN without its NUL */

static bool is_atom(int c)
{
    return pii_is_alnum(c) || pii_is_one_of(c, "_%+-");
}

static bool is_label(int c)
{
    return pii_is_alnum(c) || c == '-';
}

/* The last label: letters, or the coded form of a name in another script. */
static bool is_top_level(const char *label, size_t len)
{
    if (len > 4 && (label[0] | 0x20) == 'x' && (label[1] | 0x20) == 'n' && label[2] == '-') {
        return true;
    }
    for (size_t i = 0; i < len; i++) {
        if (!pii_is_letter((unsigned char)label[i])) {
            return false;
        }
    }
    return len >= 2;
}

/* The longest domain name at `at`. */
static enum finder_found scan_domain(const struct pii_scan *s, size_t at, size_t *to)
{
    size_t end = 0;
    bool is_first = true;
    for (size_t begin = at;; is_first = false) {
        size_t i = begin;
        while (is_label(pii_peek(s, i)) && i - begin <= MAX_LABEL && i - at <= MAX_DOMAIN) {
            i++;
        }
        int c = pii_peek(s, i);
        if (c == PII_OPEN && i - begin <= MAX_LABEL && i - at <= MAX_DOMAIN &&
            (i == begin || s->text[begin] != '-')) {
            return FINDER_UNDECIDED;
        }
        size_t label_end = i;
        while (label_end > begin && s->text[label_end - 1] == '-') {
            label_end--;
        }
        if (label_end == begin || s->text[begin] == '-' || i - begin > MAX_LABEL ||
            i - at > MAX_DOMAIN) {
            break;
        }
        if (!is_first && is_top_level(s->text + begin, label_end - begin)) {
            end = label_end;
        }
        if (c != '.' || label_end < i) {
            break;
        }
        begin = i + 1;
    }
    *to = end;
    return end ? FINDER_MATCH : FINDER_NONE;
}

enum finder_found pii_email(const struct pii_scan *s, size_t at, size_t *to)
{
    int before = pii_before(s, at, 1);
    if (is_atom(before) || (before == '.' && is_atom(pii_before(s, at, 2)))) {
        return FINDER_NONE;
    }
    for (size_t i = at;; i++) {
        int c = pii_peek(s, i);
        if (i - at > MAX_LOCAL) {
            return FINDER_NONE;
        }
        if (c == PII_OPEN) {
            return FINDER_UNDECIDED;
        }
        bool is_after_atom = i > at && s->text[i - 1] != '.';
        if (c == '@') {
            return is_after_atom ? scan_domain(s, i + 1, to) : FINDER_NONE;
        }
        if (!is_atom(c) && !(c == '.' && is_after_atom)) {
            return FINDER_NONE;
        }
    }
}

/* Where the atoms with single dots between them begin that end before `end`, or `end`. */
static size_t local_begin(const struct pii_scan *s, size_t end)
{
    size_t begin = end;
    while (begin > 0 && end - begin <= MAX_LOCAL) {
        int before = pii_before(s, begin, 1);
        if (!is_atom(before) && !(before == '.' && is_atom(pii_before(s, begin, 2)))) {
            break;
        }
        begin--;
    }
    return begin;
}

enum finder_found pii_find_email(const struct pii_scan *s, size_t at, size_t *from, size_t *to)
{
    enum finder_found found = FINDER_NONE;
    const char *sign;
    for (size_t i = at; found == FINDER_NONE && i < s->len; i = (size_t)(sign - s->text) + 1) {
        sign = memchr(s->text + i, '@', s->len - i);
        *from = local_begin(s, sign ? (size_t)(sign - s->text) : s->len);
        if (*from >= at && *from < s->len) {
            found = pii_email(s, *from, to);
        }
        if (!sign) {
            break;
        }
    }
    return found;
}

enum finder_found pii_ipv4(const struct pii_scan *s, size_t at, size_t *to)
{
    if (pii_is_inside(s, at, ".")) {
        return FINDER_NONE;
    }
    size_t i = at;
    for (int octet = 0; octet < 4; octet++) {
        if (octet > 0) {
            int c = pii_peek(s, i);
            if (c != '.') {
                return c == PII_OPEN ? FINDER_UNDECIDED : FINDER_NONE;
            }
            i++;
        }
        int value = -1;
        size_t begin = i;
        for (; i - begin < 3 && pii_is_digit(pii_peek(s, i)); i++) {
            value = (value < 0 ? 0 : 10 * value) + (s->text[i] - '0');
        }
        if (value < 0 || value > 255) {
            return value < 0 && pii_peek(s, i) == PII_OPEN ? FINDER_UNDECIDED : FINDER_NONE;
        }
    }
    *to = i;
    return pii_ends(s, i, ".");
}

/* What a run of hexadecimal digits, colons and dots has shown so far. */
struct ipv6_run {
    size_t group; /* length of the last group */
    int colons, doubles;
    bool has_dots, has_digit;
};

/* Whether an address may still begin with the run and this byte. */
static bool ipv6_goes_on(struct ipv6_run *run, const struct pii_scan *s, size_t at, size_t i)
{
    char c = s->text[i];
    if (c == '.') {
        run->has_dots = true;
        bool may_be = run->colons >= 2 && run->group > 0 && run->group <= 3;
        run->group = 0;
        return may_be;
    }
    if (c == ':') {
        bool is_double = i > at && s->text[i - 1] == ':';
        run->doubles += is_double;
        run->group = 0;
        return ++run->colons <= 8 && run->doubles <= 1 && !run->has_dots;
    }
    run->has_digit |= pii_is_digit(c);
    /* A single colon in front is no beginning. */
    return ++run->group <= 4 && !(run->colons == 1 && s->text[at] == ':');
}

static bool is_ipv6(const char *text, size_t len)
{
    char address[MAX_IPV6 + 1];
    struct in6_addr parsed;
    if (len > MAX_IPV6) {
        return false;
    }
    memcpy(address, text, len);
    address[len] = '\0';
    return inet_pton(AF_INET6, address, &parsed) == 1;
}

/* It does not go on, not even behind two marks. */
static enum finder_found ipv6_ends(const struct pii_scan *s, size_t at)
{
    for (size_t i = at; i < at + 3; i++) {
        int c = pii_peek(s, i);
        if (c == PII_OPEN || pii_is_alnum(c)) {
            return c == PII_OPEN ? FINDER_UNDECIDED : FINDER_NONE;
        }
        if (c != ':' && c != '.') {
            break;
        }
    }
    return FINDER_MATCH;
}

enum finder_found pii_ipv6(const struct pii_scan *s, size_t at, size_t *to)
{
    if (pii_is_inside(s, at, ".:") || pii_before(s, at, 1) == ':') {
        return FINDER_NONE;
    }
    struct ipv6_run run = {0};
    size_t i = at;
    int c = pii_peek(s, i);
    while (pii_is_hex(c) || c == ':' || c == '.') {
        if (i - at == MAX_IPV6 + 1 || !ipv6_goes_on(&run, s, at, i)) {
            break;
        }
        c = pii_peek(s, ++i);
    }
    if (c == PII_OPEN) {
        return FINDER_UNDECIDED;
    }
    if (run.colons < 2 || (run.doubles > 0 && !run.has_digit)) {
        return FINDER_NONE;
    }
    /* The marks at the end of a sentence are not part of it. */
    while (i > at && pii_is_one_of(s->text[i - 1], ".:") && !is_ipv6(s->text + at, i - at)) {
        i--;
    }
    *to = i;
    return is_ipv6(s->text + at, i - at) ? ipv6_ends(s, i) : FINDER_NONE;
}

static enum finder_found scan_groups(const struct pii_scan *s, size_t at, size_t count,
                                     size_t len, size_t *to)
{
    size_t i = at;
    char joint = '\0';
    for (size_t group = 0; group < count; group++) {
        if (group > 0) {
            int c = pii_peek(s, i);
            if (c == PII_OPEN) {
                return FINDER_UNDECIDED;
            }
            if (group == 1) {
                joint = pii_is_one_of(c, len == 2 ? ":-" : ".") ? (char)c : '\0';
            }
            if (!joint || c != joint) {
                return FINDER_NONE;
            }
            i++;
        }
        enum finder_found found = pii_take(s, &i, len, pii_is_hex);
        if (found != FINDER_MATCH) {
            return found;
        }
    }
    *to = i;
    char joints[2] = {joint, '\0'};
    return pii_ends(s, i, joints);
}

/* Nobody's address, all zeros, or everybody's, all ones. */
static bool is_no_device(const char *text, size_t len)
{
    char digit = text[0];
    for (size_t i = 0; i < len; i++) {
        if (pii_is_hex(text[i]) && pii_upper(text[i]) != pii_upper(digit)) {
            return false;
        }
    }
    return digit == '0' || digit == 'f' || digit == 'F';
}

enum finder_found pii_mac(const struct pii_scan *s, size_t at, size_t *to)
{
    if (pii_is_inside(s, at, ":-.")) {
        return FINDER_NONE;
    }
    enum finder_found found = scan_groups(s, at, 6, 2, to);
    if (found == FINDER_NONE) {
        found = scan_groups(s, at, 3, 4, to);
    }
    return found == FINDER_MATCH && is_no_device(s->text + at, *to - at) ? FINDER_NONE : found;
}
