/* Values that are given to passwords, keys and tokens. */
#include "filters/secret_scan.h"

#define MAX_GAP    32u /* bytes between a name's sign and the value */
#define MAX_NAME   64u /* bytes of a name that are looked at */
#define MAX_BEHIND 24u /* of them behind the word that tells */
#define MIN_VALUE  10u
#define MAX_VALUE  512u

/* ---- what stands before a value ---- */

static bool is_sign(int c)
{
    return pii_is_one_of(c, "=:>");
}

static bool is_quote_or_blank(int c)
{
    return pii_is_one_of(c, "\"'`\\ \t\r\n");
}

static bool is_gap(int c)
{
    return is_sign(c) || c == ',' || is_quote_or_blank(c);
}

static bool is_value_byte(int c)
{
    return pii_is_alnum(c) || pii_is_one_of(c, "_-.=/+~");
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The signs and all that is around them between a name and a value. */
struct gap {
    size_t begin;    /* the end of the name */
    bool has_sign;   /* one of "=:>" */
    bool has_comma;  /* between strings */
    bool has_scheme; /* of RFC 9110 11.1, as in "Authorization: Basic" */
};

/* The bytes of a scheme and its blank before `at`. */
static size_t scheme_length(const struct pii_scan *s, size_t at)
{
    static const char *const schemes[] = {"basic ", "bearer ", "token "};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i]);
        size_t n = 0;
        while (n < len && n < at && lower(s->text[at - 1 - n]) == schemes[i][len - 1 - n]) {
            n++;
        }
        if (n == len) {
            return len;
        }
    }
    return 0;
}

static struct gap gap_before(const struct pii_scan *s, size_t at)
{
    size_t scheme = scheme_length(s, at);
    struct gap gap = {.begin = at - scheme, .has_scheme = scheme > 0};
    bool has_quote = false;
    for (; gap.begin > 0 && at - gap.begin < MAX_GAP; gap.begin--) {
        int c = pii_before(s, gap.begin, 1);
        if (!is_gap(c) && !(gap.has_sign && pii_is_one_of(c, "?|.+"))) {
            break;
        }
        gap.has_sign |= is_sign(c);
        gap.has_comma |= c == ',' && has_quote;
        has_quote |= pii_is_one_of(c, "\"'`");
    }
    return gap;
}

bool secret_is_value(const struct pii_scan *s, size_t at)
{
    if (!is_value_byte((unsigned char)s->text[at]) || is_gap((unsigned char)s->text[at])) {
        return false;
    }
    struct gap gap = gap_before(s, at);
    return gap.has_sign || gap.has_comma;
}

size_t secret_value_begin(const struct pii_scan *s, size_t at)
{
    size_t i = at;
    while (i < s->len && i - at <= MAX_GAP && is_gap((unsigned char)s->text[i])) {
        i++;
    }
    return i < s->len && i - at <= MAX_GAP ? i : SIZE_MAX;
}

/* ---- names ---- */

static const char *const telling[] = {"passw", "passphrase", "pwd",   "secret", "token", "key",
                                      "auth",  "credential", "creds", "access", NULL};

/* Names that have such a word in them and are no secrets: that of a public key, the name or
 * length of a key, an author. */
static const char *const harmless[] = {
    "author",       "public",        "pubkey",        "keyword",
    "keyboard",     "monkey",        "turkey",        "key_id",
    "key-id",       "keyid",         "key_name",      "key-name",
    "keyname",      "key_size",      "keysize",       "key_length",
    "keylength",    "key_pair",      "keypair",       "keyring",
    "key_file",     "keyfile",       "key_vault",     "keyvault",
    "key_alias",    "key_down",      "keydown",       "keypress",
    "keyframe",     "keystore",      "keychars",      "keyhash",
    "hashkey",      "tokeniz",       "csrf",          "primary",
    "foreign",      "schema",        "sequence",      "bucket_key",
    "bucketkey",    "accessib",      "accessor",      "access_id",
    "accessid",     "api_version",   "apiversion",    "api_name",
    "apiname",      "api_url",       "apiurl",        "secret_name",
    "secretname",   "secretsid",     "secret_length", "secretsize",
    "credentialid", "credential_id", "credentialsid", "credentials_id",
    "capital",      "checksum",      "selector",      NULL};

static bool is_name_byte(int c)
{
    return pii_is_alnum(c) || pii_is_one_of(c, "_-. \t");
}

/* Copies the end of the name before `end` in lower case. Returns its length. */
static size_t copy_name(const struct pii_scan *s, size_t end, char name[MAX_NAME + 1])
{
    size_t begin = end;
    while (begin > 0 && end - begin < MAX_NAME && is_name_byte(pii_before(s, begin, 1))) {
        begin--;
    }
    for (size_t i = begin; i < end; i++) {
        name[i - begin] = lower(s->text[i]);
    }
    name[end - begin] = '\0';
    char *word = strstr(name, "authoriz");
    if (word) {
        word[4] = '_'; /* which is no author */
    }
    return end - begin;
}

static bool has_one_of(const char *name, const char *const *words)
{
    while (*words && !strstr(name, *words)) {
        words++;
    }
    return *words != NULL;
}

static bool is_telling(const char *name, size_t len)
{
    const char *near = name + (len > MAX_BEHIND ? len - MAX_BEHIND : 0);
    return has_one_of(near, telling) && !has_one_of(name, harmless);
}

static bool has_telling_name(const struct pii_scan *s, size_t end)
{
    char name[MAX_NAME + 1];
    return is_telling(name, copy_name(s, end, name));
}

/* ---- the value ---- */

/* How a value is written. */
struct looks {
    bool has_digit, has_hex_letter;
    bool is_hex;      /* hexadecimal digits and dashes only */
    bool is_readable; /* words, numbers, and words with a number behind them, joined by signs */
    bool is_sequence; /* a row such as "abcdefghij" */
};

#define MAX_SEQUENCE 9u /* steps */

static struct looks look_at(const char *value, size_t len)
{
    struct looks l = {.is_hex = true, .is_readable = true};
    size_t pieces = 1;
    size_t rising = 0;
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)value[i];
        int before = i > 0 ? (unsigned char)value[i - 1] : 0;
        l.has_digit |= pii_is_digit(c);
        l.has_hex_letter |= pii_is_letter(c) && pii_is_hex(c);
        l.is_hex &= pii_is_hex(c) || c == '-';
        l.is_readable &= !(pii_is_letter(c) && pii_is_digit(before));
        pieces += !pii_is_alnum(c);
        rising = c == before + 1 ? rising + 1 : 0;
        l.is_sequence |= rising == MAX_SEQUENCE;
    }
    l.is_readable &= pieces > 1;
    return l;
}

#define LONG_NUMBER 20u /* digits; shorter ones may count or name something */

/* Chance made it: it has a digit, does not read like a name, and has so much variety; of
 * hexadecimal digits, which are sixteen at most, four fifths of that are enough. */
static bool is_secret(const char *value, size_t len, uint32_t least_entropy)
{
    struct looks l = look_at(value, len);
    if (l.is_hex && (l.has_hex_letter || len >= LONG_NUMBER)) {
        least_entropy -= least_entropy / 5;
    }
    return l.has_digit && !l.is_readable && !l.is_sequence &&
           secret_entropy(value, len) >= least_entropy;
}

enum finder_found secret_scan_value(const struct pii_scan *s, uint32_t least_entropy, size_t at,
                                    size_t *to)
{
    size_t i = at;
    while (i - at <= MAX_VALUE && is_value_byte(pii_peek(s, i))) {
        i++;
    }
    int c = pii_peek(s, i);
    struct gap gap = gap_before(s, at);
    /* Shorter values are looked at only directly behind a sign. */
    size_t min = gap.has_sign && !gap.has_scheme ? MIN_VALUE : SECRET_MIN_TOKEN;
    if ((c != PII_OPEN && i - at < min) || i - at > MAX_VALUE || !secret_is_value(s, at) ||
        !has_telling_name(s, gap.begin)) {
        return FINDER_NONE;
    }
    if (c == PII_OPEN) {
        return FINDER_UNDECIDED;
    }
    if (c != PII_END && !pii_is_one_of(c, "\"'`\\ \t\r\n;,<)}]&")) {
        return FINDER_NONE;
    }
    while (pii_is_one_of((unsigned char)s->text[i - 1], ".-")) {
        i--;
    }
    *to = i;
    return i - at >= min && is_secret(s->text + at, i - at, least_entropy) ? FINDER_MATCH
                                                                           : FINDER_NONE;
}
