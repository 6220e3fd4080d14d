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

/* The signs and all that is around them between a name and a value. */
struct gap {
    size_t begin;   /* the end of the name */
    bool has_sign;  /* one of "=:>" */
    bool has_comma; /* between strings */
};

static struct gap gap_before(const struct pii_scan *s, size_t at)
{
    struct gap gap = {.begin = at};
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
    if (!pii_is_alnum((unsigned char)s->text[at])) {
        return false;
    }
    struct gap gap = gap_before(s, at);
    return gap.has_sign || gap.has_comma;
}

size_t secret_value_begin(const struct pii_scan *s, size_t at)
{
    size_t i = at;
    while (i < s->len && i - at < MAX_GAP && is_gap((unsigned char)s->text[i])) {
        i++;
    }
    return i < s->len && i - at < MAX_GAP ? i : SIZE_MAX;
}

/* ---- names ---- */

static const char *const telling[] = {"passw", "passphrase", "pwd",    "secret",
                                      "token", "key",        "api",    "auth",
                                      "creds", "credential", "access", NULL};

/* Names that have such a word in them and are no secrets: that of a public key, the name or
 * length of a key, an author. */
static const char *const harmless[] = {"author",
                                       "public",
                                       "pubkey",
                                       "keyword",
                                       "keyboard",
                                       "monkey",
                                       "turkey",
                                       "keyid",
                                       "key_id",
                                       "key-id",
                                       "keyname",
                                       "key_name",
                                       "key-name",
                                       "keysize",
                                       "key_size",
                                       "keylength",
                                       "key_length",
                                       "keypair",
                                       "key_pair",
                                       "keyring",
                                       "keyfile",
                                       "key_file",
                                       "keyvault",
                                       "key_vault",
                                       "tokenizer",
                                       "tokenize",
                                       "csrf",
                                       "primary",
                                       "foreign",
                                       "schema",
                                       "sequence",
                                       "bucket",
                                       "accessib",
                                       "accessor",
                                       "access_id",
                                       "accessid",
                                       "apiversion",
                                       "api_version",
                                       "apiname",
                                       "api_name",
                                       "api_url",
                                       "apiurl",
                                       "secret_name",
                                       "secretname",
                                       "credentialid",
                                       "credentialsid",
                                       "credential_id",
                                       "credentials_id",
                                       "hashkey",
                                       "keyhash",
                                       "keystore",
                                       "key_alias",
                                       "rapid",
                                       "capital",
                                       "md5",
                                       "checksum",
                                       "key_down",
                                       "keydown",
                                       "keypress",
                                       "selector",
                                       "api-name",
                                       "secretsid",
                                       "keyframe",
                                       "keyvaultto",
                                       "secret_length",
                                       "secretsize",
                                       NULL};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

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

static bool is_value_byte(int c)
{
    return pii_is_alnum(c) || pii_is_one_of(c, "_-.=/+~");
}

/* A value is no word: it has a digit, and letters or so many digits that chance made them. */
static bool is_secret(const char *value, size_t len, uint32_t least_entropy)
{
    bool has_digit = false;
    for (size_t i = 0; i < len; i++) {
        has_digit |= pii_is_digit(value[i]);
    }
    return has_digit && secret_entropy(value, len) >= least_entropy;
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
    size_t min = gap.has_sign ? MIN_VALUE : SECRET_MIN_TOKEN;
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
