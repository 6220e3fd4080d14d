/* pii_scan.h: scanners for kinds of personal data.
 *
 * A scanner looks at one place of a text and says whether what it knows begins there: no
 * (FINDER_NONE), yes and up to where (FINDER_MATCH), or that it depends on text that is not
 * there yet (FINDER_UNDECIDED). It reads forward a bounded number of bytes, and back over at
 * most PII_CONTEXT of them to see whether it stands inside something longer. Of several ends
 * it takes the last that is valid.
 *
 * Only ASCII letters and digits count as part of a word: a number behind a Chinese character
 * is still a number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "filters/finder.h"

#define PII_CONTEXT 16u

struct pii_scan {
    const char *text;
    size_t len;
    bool has_ended; /* nothing follows text[len) */
};

typedef enum finder_found (*pii_scanner)(const struct pii_scan *s, size_t at, size_t *to);

/* RFC 5322 addresses in their usual form (dot-atom of ASCII letters, digits and _%+-) at a
 * domain name (RFC 1035) of two labels or more. */
enum finder_found pii_email(const struct pii_scan *s, size_t at, size_t *to);
/* +CC or 00CC and 8 to 15 digits (ITU-T E.164); North American numbers of ten digits in
 * three groups; numbers with a leading 0 of 9 to 12 digits in groups. */
enum finder_found pii_phone(const struct pii_scan *s, size_t at, size_t *to);
/* 13 to 19 digits with single blanks or dashes, with the check digit of ISO/IEC 7812. */
enum finder_found pii_card(const struct pii_scan *s, size_t at, size_t *to);
/* ISO 13616: length and structure of the country, check digits by ISO 7064 mod 97-10; written
 * together or in groups of four. */
enum finder_found pii_iban(const struct pii_scan *s, size_t at, size_t *to);
/* US social security numbers, NNN-NN-NNNN, without those that are never given. */
enum finder_found pii_ssn(const struct pii_scan *s, size_t at, size_t *to);
enum finder_found pii_ipv4(const struct pii_scan *s, size_t at, size_t *to);
/* RFC 4291 2.2; with :: only if there is a decimal digit, or a::b in a program would be one. */
enum finder_found pii_ipv6(const struct pii_scan *s, size_t at, size_t *to);
/* Six pairs with : or -, or three groups of four with dots. */
enum finder_found pii_mac(const struct pii_scan *s, size_t at, size_t *to);
/* Bitcoin: Base58Check of version 0 or 5, or Bech32(m) with prefix bc (BIP 173, BIP 350).
 * Ethereum: 0x and 40 hexadecimal digits. */
enum finder_found pii_crypto(const struct pii_scan *s, size_t at, size_t *to);

/* ---- for scanners ---- */

#define PII_OPEN (-1) /* not known yet */
#define PII_END  (-2) /* the text has ended */

/* The byte at `at`, which is at most `len`, or one of the two above. */
static inline int pii_peek(const struct pii_scan *s, size_t at)
{
    if (at < s->len) {
        return (unsigned char)s->text[at];
    }
    return s->has_ended ? PII_END : PII_OPEN;
}

/* The byte `back` before `at`, or PII_END at the beginning of the text. */
static inline int pii_before(const struct pii_scan *s, size_t at, size_t back)
{
    return at >= back ? (unsigned char)s->text[at - back] : PII_END;
}

static inline bool pii_is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static inline bool pii_is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool pii_is_alnum(int c)
{
    return pii_is_digit(c) || pii_is_letter(c);
}

static inline bool pii_is_hex(int c)
{
    return pii_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static inline bool pii_is_one_of(int c, const char *set)
{
    return c > 0 && strchr(set, c) != NULL;
}

/* Whether something that begins at `at` is the rest of something longer: a letter or digit
 * stands before it, or one and then one of `joints`. */
static inline bool pii_is_inside(const struct pii_scan *s, size_t at, const char *joints)
{
    int c = pii_before(s, at, 1);
    return pii_is_alnum(c) || (pii_is_one_of(c, joints) && pii_is_alnum(pii_before(s, at, 2)));
}

/* FINDER_MATCH when what ended before `at` does not go on: with a letter or digit, or with one
 * of `joints` and then a letter or digit. */
static inline enum finder_found pii_ends(const struct pii_scan *s, size_t at,
                                         const char *joints)
{
    int c = pii_peek(s, at);
    if (pii_is_one_of(c, joints)) {
        c = pii_peek(s, at + 1);
    }
    if (c == PII_OPEN) {
        return FINDER_UNDECIDED;
    }
    return pii_is_alnum(c) ? FINDER_NONE : FINDER_MATCH;
}

/* Moves *at over exactly `count` bytes of a class. */
static inline enum finder_found pii_take(const struct pii_scan *s, size_t *at, size_t count,
                                         bool (*is_class)(int c))
{
    while (count-- > 0) {
        int c = pii_peek(s, *at);
        if (!is_class(c)) {
            return c == PII_OPEN ? FINDER_UNDECIDED : FINDER_NONE;
        }
        ++*at;
    }
    return FINDER_MATCH;
}
