/* pii_scan.h: scanners for kinds of personal data.
 *
 * A scanner looks at one place of a text and says whether what it knows begins there: no
 * (FINDER_NONE), yes and up to where (FINDER_MATCH), or that it depends on text that is not
 * there yet (FINDER_UNDECIDED). It reads forward a bounded number of bytes, and back over
 * fewer than PII_CONTEXT of them to see whether it stands inside something longer, or what the
 * words before it call it. Of several ends it takes the last that is valid.
 *
 * Only ASCII letters and digits count as part of a word: a number behind a Chinese character
 * is still a number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "filters/finder.h"

#define PII_CONTEXT 80u
#define PII_WORDS   64u /* bytes before an id in which a word for it may stand */

struct pii_scan {
    const char *text;
    size_t len;
    bool has_ended;           /* nothing follows text[len) */
    uint64_t phone_countries; /* pii_phone: of these only; 0: of all */
};

typedef enum finder_found (*pii_scanner)(const struct pii_scan *s, size_t at, size_t *to);

/* RFC 5322 addresses in their usual form (dot-atom of ASCII letters, digits and _%+-) at a
 * domain name (RFC 1035) of two labels or more. */
enum finder_found pii_email(const struct pii_scan *s, size_t at, size_t *to);
/* The first of them at `at` or behind it, as finder_rules.find has it. */
enum finder_found pii_find_email(const struct pii_scan *s, size_t at, size_t *from, size_t *to);
/* +CC or 00CC and 8 to 15 digits (ITU-T E.164); North American numbers of ten digits in
 * three groups; numbers with a leading 0 of 9 to 12 digits in groups; 8 to 15 digits behind a
 * word such as "phone". */
enum finder_found pii_phone(const struct pii_scan *s, size_t at, size_t *to);
/* A country that phone numbers may be of, by its ISO 3166 code in small letters, or 0. */
uint64_t pii_phone_country(const char *name);
/* Whether what was found can be a number of one of them, by code and number of digits. */
bool pii_phone_is_of(uint64_t countries, const char *text, size_t len);
/* 13 to 19 digits with single blanks or dashes, with the check digit of ISO/IEC 7812; those
 * that begin with 1 have 15. */
enum finder_found pii_card(const struct pii_scan *s, size_t at, size_t *to);
/* ISO 13616: length and structure of the country, check digits by ISO 7064 mod 97-10; written
 * together or in groups of four, with blanks or dashes. */
enum finder_found pii_iban(const struct pii_scan *s, size_t at, size_t *to);
enum finder_found pii_ipv4(const struct pii_scan *s, size_t at, size_t *to);
/* RFC 4291 2.2; with :: only if there is a decimal digit, or a::b in a program would be one. */
enum finder_found pii_ipv6(const struct pii_scan *s, size_t at, size_t *to);
/* Six pairs with : or -, or three groups of four with dots; not all zeros, nor all ones, which
 * is everybody's address. */
enum finder_found pii_mac(const struct pii_scan *s, size_t at, size_t *to);
/* Bitcoin: Base58Check of version 0 or 5, or Bech32(m) with prefix bc (BIP 173, BIP 350).
 * Ethereum: 0x and 40 hexadecimal digits. */
enum finder_found pii_crypto(const struct pii_scan *s, size_t at, size_t *to);

/* ---- ids with a fixed form ---- */

/* One form that an id may have. */
struct pii_form {
    /* d digit, A capital letter, a letter, X capital letter or digit, x letter or digit.
     * Anything else is a joint. */
    const char *shape;
    const char
        *first; /* it begins with one of these (capitals: either case); NULL: as in shape */
    const char *joints; /* one of these at each joint, always the same; NULL: those of shape */
    /* Whether the id, its joints left out and its letters in upper case, is a valid one; NULL
     * if any is. */
    bool (*is_valid)(const char *id, size_t len);
    /* One of these words (lower case, NULL at the end) must stand before it, as its digits
     * alone say too little; NULL: none is needed. */
    const char *const *words;
};

/* Whether one of the words stands within PII_WORDS bytes before `at`. */
bool pii_has_word_before(const struct pii_scan *s, size_t at, const char *const *words);

#define PII_MAX_ID 24u /* bytes of an id without its joints */

/* The first form that fits; the last has the shape NULL. */
enum finder_found pii_scan_forms(const struct pii_scan *s, const struct pii_form *forms,
                                 size_t at, size_t *to);

/* ---- kinds ---- */

/* The lengths, from..to, as bits. */
#define PII_LENGTHS(from, to) ((uint32_t)((2ull << (to)) - (1ull << (from))))
#define PII_LONGEST           31u

/* What a kind may begin with, so that few places have to be looked at. All kinds but e-mail
 * and some MAC addresses have a digit or a colon near their beginning. */
struct pii_lead {
    const char *first; /* its first byte */
    /* It begins with a run of so many digits (31 stands for more), or letters. */
    uint32_t digits, letters;
    uint32_t whole;   /* so many digits may be all of it */
    const char *next; /* what may follow the digits otherwise */
};

struct pii_kind {
    const char *name; /* in settings, and the code of verdicts */
    pii_scanner scan; /* or NULL, and */
    const struct pii_form *forms;
    struct pii_lead lead; /* with `scan` */
};

/* In the order in which they name what several of them find in one place. The first is
 * e-mail. */
extern const struct pii_kind pii_kinds[];
extern const size_t pii_kind_count;

/* Kinds that have forms only. */
extern const struct pii_form pii_ssn[];
/* clang-format off */
#define PII_NATIONAL(X)                                                                     \
    X(passport) X(us_itin) X(us_mbi) X(us_npi) X(us_routing) X(uk_nhs) X(uk_nino)                       \
    X(uk_driving_licence) X(ca_sin) X(mx_curp) X(br_cpf) X(br_cnpj) X(de_tax_id)            \
    X(de_social_security) X(fr_nir) X(es_nif) X(es_nie) X(it_fiscal_code) X(it_vat)         \
    X(nl_bsn) X(be_nrn) X(ch_ahv) X(ie_pps) X(dk_cpr) X(no_fnr) X(se_personnummer)          \
    X(fi_hetu) X(pl_pesel) X(tr_tckn) X(za_id) X(in_aadhaar) X(in_pan) X(cn_id) X(kr_rrn)   \
    X(kr_frn) X(th_id) X(sg_nric) X(au_tfn) X(au_abn) X(au_acn) X(au_medicare)
/* clang-format on */
#define PII_DECLARE(name) extern const struct pii_form pii_##name[];
PII_NATIONAL(PII_DECLARE)
#undef PII_DECLARE

/* ---- places ---- */

/* Which of a choice of kinds may begin where. Sets of kinds: bit n is the nth that was added.
 */
struct pii_places {
    uint64_t first[UINT8_MAX + 1];
    uint64_t digits[PII_LONGEST + 1];
    uint64_t more_digits[PII_LONGEST + 1]; /* this many, and perhaps more to come */
    uint64_t whole[PII_LONGEST + 1];
    uint64_t next[UINT8_MAX + 1];
    uint64_t letters[PII_LONGEST + 1];
    uint64_t more_letters[PII_LONGEST + 1];
};

void pii_places_add(struct pii_places *places, size_t index, const struct pii_kind *kind);

/* finder_rules.spot for them. */
bool pii_places_spot(const struct pii_places *places, const struct pii_scan *s, size_t at,
                     size_t end, struct finder_spot *spot);

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

static inline int pii_upper(int c)
{
    return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
}

/* Sets are short: a call of strchr would cost more than it finds. */
static inline bool pii_is_one_of(int c, const char *set)
{
    while (*set && (unsigned char)*set != c) {
        set++;
    }
    return *set != '\0';
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

/* The digits `count` of `id` from `at` on, as a number. */
static inline unsigned pii_number(const char *id, size_t at, size_t count)
{
    unsigned number = 0;
    for (size_t i = at; i < at + count; i++) {
        number = 10 * number + (unsigned)(id[i] - '0');
    }
    return number;
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
