/* Numbers of cards and bank accounts. */
#include "filters/pii_check.h"
#include "filters/pii_scan.h"

/* ---- cards ---- */

#define CARD_MIN  13u
#define CARD_MAX  19u
#define CARD_UATP 15u /* airlines' cards, which begin with 1 */

static bool is_card(const char *digits, size_t count)
{
    if (count < CARD_MIN) {
        return false;
    }
    return (digits[0] != '1' || count == CARD_UATP) && pii_has_luhn_check(digits, count);
}

enum finder_found pii_card(const struct pii_scan *s, size_t at, size_t *to)
{
    if (pii_is_inside(s, at, ".")) {
        return FINDER_NONE;
    }
    char digits[CARD_MAX];
    size_t count = 0;
    size_t end = 0;
    for (size_t i = at;; i++) {
        int c = pii_peek(s, i);
        if (pii_is_digit(c)) {
            if (count == CARD_MAX) {
                break;
            }
            digits[count++] = (char)c;
            continue;
        }
        if (c == PII_OPEN) {
            return FINDER_UNDECIDED;
        }
        if (s->text[i - 1] == ' ' || s->text[i - 1] == '-' || pii_is_letter(c)) {
            break;
        }
        if (is_card(digits, count)) {
            end = i;
        }
        if ((c != ' ' && c != '-') || count == CARD_MAX) {
            break;
        }
    }
    *to = end;
    return end ? FINDER_MATCH : FINDER_NONE;
}

/* ---- bank accounts ---- */

/* Structure behind the check digits, as the registry of ISO 13616 writes it: n digits, a upper
 * case letters, c either. In the order of the codes. */
static const struct iban_country {
    char code[3];
    const char *bban;
} iban_countries[] = {
    {"AD", "8n12c"},    {"AE", "19n"},      {"AL", "8n16c"},   {"AT", "16n"},
    {"AZ", "4a20c"},    {"BA", "16n"},      {"BE", "12n"},     {"BG", "4a6n8c"},
    {"BH", "4a14c"},    {"BR", "23n1a1c"},  {"BY", "4c4n16c"}, {"CH", "5n12c"},
    {"CR", "18n"},      {"CY", "8n16c"},    {"CZ", "20n"},     {"DE", "18n"},
    {"DK", "14n"},      {"DO", "4c20n"},    {"EE", "16n"},     {"EG", "25n"},
    {"ES", "20n"},      {"FI", "14n"},      {"FO", "14n"},     {"FR", "10n11c2n"},
    {"GB", "4a14n"},    {"GE", "2a16n"},    {"GI", "4a15c"},   {"GL", "14n"},
    {"GR", "7n16c"},    {"GT", "24c"},      {"HR", "17n"},     {"HU", "24n"},
    {"IE", "4a14n"},    {"IL", "19n"},      {"IQ", "4a15n"},   {"IS", "22n"},
    {"IT", "1a10n12c"}, {"JO", "4a4n18c"},  {"KW", "4a22c"},   {"KZ", "3n13c"},
    {"LB", "4n20c"},    {"LC", "4a24c"},    {"LI", "5n12c"},   {"LT", "16n"},
    {"LU", "3n13c"},    {"LV", "4a13c"},    {"LY", "21n"},     {"MC", "10n11c2n"},
    {"MD", "20c"},      {"ME", "18n"},      {"MK", "3n10c2n"}, {"MR", "23n"},
    {"MT", "4a5n18c"},  {"MU", "4a19n3a"},  {"NL", "4a10n"},   {"NO", "11n"},
    {"PK", "4a16c"},    {"PL", "24n"},      {"PS", "4a21c"},   {"PT", "21n"},
    {"QA", "4a21c"},    {"RO", "4a16c"},    {"RS", "18n"},     {"SA", "2n18c"},
    {"SC", "4a20n3a"},  {"SD", "14n"},      {"SE", "20n"},     {"SI", "15n"},
    {"SK", "20n"},      {"SM", "1a10n12c"}, {"ST", "21n"},     {"SV", "4a20n"},
    {"TL", "19n"},      {"TN", "20n"},      {"TR", "6n16c"},   {"UA", "6n19c"},
    {"VA", "18n"},      {"VG", "4a16n"},    {"XK", "16n"},
};

#define IBAN_MAX 34u

static bool has_iban_check(const char *iban, size_t len)
{
    unsigned rest = 0;
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)iban[(i + 4) % len];
        rest = pii_is_digit(c) ? (10 * rest + (unsigned)(c - '0')) % 97
                               : (100 * rest + (unsigned)(c - 'A' + 10)) % 97;
    }
    return rest == 1;
}

struct iban_scan {
    size_t at;
    char iban[IBAN_MAX];
    size_t len;
    int joint; /* blank or dash between groups, 0 until there was one */
};

/* Takes characters of one kind, and the blank or dash before each group of four. */
static enum finder_found take_iban(const struct pii_scan *s, struct iban_scan *n, size_t count,
                                   char kind)
{
    while (count-- > 0) {
        int c = pii_peek(s, n->at);
        if (n->len > 0 && n->len % 4 == 0 &&
            (n->joint ? c == n->joint : c == ' ' || c == '-')) {
            n->joint = c;
            c = pii_peek(s, ++n->at);
        }
        bool fits = (kind != 'a' && pii_is_digit(c)) || (kind != 'n' && pii_is_letter(c));
        if (!fits || n->len == IBAN_MAX) {
            return c == PII_OPEN ? FINDER_UNDECIDED : FINDER_NONE;
        }
        n->iban[n->len++] = (char)pii_upper(c);
        n->at++;
    }
    return FINDER_MATCH;
}

static int order_codes(const char *a, const char *b, size_t len)
{
    return a[0] != b[0] || len == 1 ? a[0] - b[0] : a[1] - b[1];
}

/* The structure of the country that two letters name, or NULL; *may_be says whether a first
 * letter alone is one of some country. */
static const char *find_bban(const char *code, size_t len, bool *may_be)
{
    size_t low = 0;
    for (size_t high = sizeof(iban_countries) / sizeof(iban_countries[0]) - 1; low < high;) {
        size_t middle = (low + high) / 2;
        if (order_codes(iban_countries[middle].code, code, len) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *may_be = order_codes(iban_countries[low].code, code, len) == 0;
    return *may_be ? iban_countries[low].bban : NULL;
}

enum finder_found pii_iban(const struct pii_scan *s, size_t at, size_t *to)
{
    if (pii_is_inside(s, at, "")) {
        return FINDER_NONE;
    }
    struct iban_scan n = {.at = at};
    enum finder_found found = take_iban(s, &n, 2, 'a');
    if (n.len == 0) {
        return found;
    }
    bool may_be;
    const char *bban = find_bban(n.iban, n.len, &may_be);
    if (!may_be || found != FINDER_MATCH) {
        return may_be ? found : FINDER_NONE;
    }
    found = take_iban(s, &n, 2, 'n');
    while (*bban && found == FINDER_MATCH) {
        size_t count = 0;
        for (; pii_is_digit(*bban); bban++) {
            count = 10 * count + (size_t)(*bban - '0');
        }
        found = take_iban(s, &n, count, *bban++);
    }
    if (found != FINDER_MATCH || !has_iban_check(n.iban, n.len)) {
        return found == FINDER_UNDECIDED ? found : FINDER_NONE;
    }
    *to = n.at;
    return pii_ends(s, n.at, "");
}
