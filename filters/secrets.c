#include "filters/secrets.h"

#include <stdio.h>
#include <string.h>

#include "filters/finder.h"
#include "filters/pii_scan.h"
#include "filters/setting_checks.h"
#include "runtime/base/mem.h"

#define MAX_TOKEN  4096u  /* bytes; what is longer is not a token */
#define MAX_HEADER 32u    /* bytes of what stands between BEGIN and PRIVATE KEY */
#define MAX_KEY    16384u /* bytes of a private key; what is longer is found up to there */

#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define ALNUM  UPPER LOWER DIGITS
#define WORDS  ALNUM "_-"

/* Tokens are a prefix and a run of a class. Forms are those that the issuers document. */
static const struct token {
    const char *rule; /* the code of verdicts */
    const char *prefix;
    const char *run; /* bytes that may follow */
    size_t min, max; /* how many of them */
} tokens[] = {
    {"aws", "AKIA", UPPER DIGITS, 16, 16},    {"aws", "ASIA", UPPER DIGITS, 16, 16},
    {"github", "ghp_", ALNUM, 36, 255},       {"github", "gho_", ALNUM, 36, 255},
    {"github", "ghu_", ALNUM, 36, 255},       {"github", "ghs_", ALNUM, 36, 255},
    {"github", "ghr_", ALNUM, 36, 255},       {"github", "github_pat_", ALNUM "_", 82, 255},
    {"gitlab", "glpat-", WORDS ".", 20, 255}, {"slack", "xoxb-", ALNUM "-", 10, 255},
    {"slack", "xoxa-", ALNUM "-", 10, 255},   {"slack", "xoxp-", ALNUM "-", 10, 255},
    {"slack", "xoxr-", ALNUM "-", 10, 255},   {"slack", "xoxs-", ALNUM "-", 10, 255},
    {"google", "AIza", WORDS, 35, 35},
};
#define TOKENS (sizeof(tokens) / sizeof(tokens[0]))

enum { RULE_PRIVATE_KEY = TOKENS, RULE_JWT, RULES };

/* Moves *at over a text. */
static enum finder_found take_text(const struct pii_scan *s, size_t *at, const char *text)
{
    for (; *text; text++, ++*at) {
        int c = pii_peek(s, *at);
        if (c != (unsigned char)*text) {
            return c == PII_OPEN ? FINDER_UNDECIDED : FINDER_NONE;
        }
    }
    return FINDER_MATCH;
}

/* Moves *at over a run that has min to max bytes of a class and ends there. */
static enum finder_found take_run(const struct pii_scan *s, size_t *at, const char *run,
                                  size_t min, size_t max)
{
    size_t begin = *at;
    while (pii_is_one_of(pii_peek(s, *at), run)) {
        if (++*at - begin > max) {
            return FINDER_NONE;
        }
    }
    if (pii_peek(s, *at) == PII_OPEN) {
        return FINDER_UNDECIDED;
    }
    return *at - begin >= min ? FINDER_MATCH : FINDER_NONE;
}

static enum finder_found scan_token(const struct pii_scan *s, const struct token *token,
                                    size_t at, size_t *to)
{
    *to = at;
    enum finder_found found = take_text(s, to, token->prefix);
    if (found != FINDER_MATCH) {
        return found;
    }
    found = take_run(s, to, token->run, token->min, token->max);
    /* A full stop or dash behind a token ends a sentence. */
    while (found == FINDER_MATCH && pii_is_one_of((unsigned char)s->text[*to - 1], ".-") &&
           *to - at > strlen(token->prefix) + token->min) {
        --*to;
    }
    return found == FINDER_MATCH && pii_is_alnum(pii_peek(s, *to)) ? FINDER_NONE : found;
}

/* RFC 7519 in the compact form of RFC 7515 7.1: two JSON objects and a signature, each in
 * base64url. An object's first bytes, {", become eyJ or the like. */
static enum finder_found scan_jwt(const struct pii_scan *s, size_t at, size_t *to)
{
    static const char *const parts[] = {"ey", ".ey", "."};
    *to = at;
    for (size_t i = 0; i < 3; i++) {
        enum finder_found found = take_text(s, to, parts[i]);
        if (found == FINDER_MATCH) {
            found = take_run(s, to, WORDS, i < 2 ? 4 : 16, MAX_TOKEN);
        }
        if (found != FINDER_MATCH) {
            return found;
        }
    }
    return FINDER_MATCH;
}

/* RFC 7468: from the line that begins a private key to the one that ends it, or to the first
 * byte that no key has. */
static enum finder_found scan_private_key(const struct pii_scan *s, size_t at, size_t *to)
{
    static const char last[] = "PRIVATE KEY-----";
    static const char end[] = "-----END ";
    *to = at;
    enum finder_found found = take_text(s, to, "-----BEGIN ");
    if (found != FINDER_MATCH) {
        return found;
    }
    size_t label = *to;
    for (size_t i = label;; i++) { /* other words may stand before PRIVATE */
        *to = i;
        found = take_text(s, to, last);
        if (found != FINDER_NONE) {
            break;
        }
        if (i - label == MAX_HEADER || !pii_is_one_of(pii_peek(s, i), UPPER DIGITS " ")) {
            return FINDER_NONE;
        }
    }
    bool is_end_line = false;
    while (found == FINDER_MATCH && *to - at < MAX_KEY) {
        int c = pii_peek(s, *to);
        if (c == PII_OPEN) {
            return FINDER_UNDECIDED;
        }
        if (!pii_is_one_of(c, ALNUM "+/=:,-\\ \t\r\n")) {
            break;
        }
        ++*to;
        size_t len = *to - at;
        is_end_line |= len >= sizeof(end) - 1 &&
                       memcmp(s->text + *to - (sizeof(end) - 1), end, sizeof(end) - 1) == 0;
        if (is_end_line && memcmp(s->text + *to - 8, "KEY-----", 8) == 0) {
            break;
        }
    }
    return found;
}

static enum finder_found scan(const struct pii_scan *s, size_t rule, size_t at, size_t *to)
{
    if (rule == RULE_PRIVATE_KEY) {
        return scan_private_key(s, at, to);
    }
    int before = pii_before(s, at, 1);
    if (pii_is_alnum(before) || before == '_') {
        return FINDER_NONE;
    }
    if (rule == RULE_JWT) { /* not behind a dash: runs are long and may have many of them */
        return before == '-' ? FINDER_NONE : scan_jwt(s, at, to);
    }
    return scan_token(s, &tokens[rule], at, to);
}

static char first_of(size_t rule)
{
    return rule == RULE_PRIVATE_KEY ? '-' : rule == RULE_JWT ? 'e' : tokens[rule].prefix[0];
}

static enum finder_found find(const void *config, void *scratch, size_t rule, const char *text,
                              size_t len, size_t at, bool has_ended,
                              struct finder_result *result)
{
    (void)config;
    (void)scratch;
    struct pii_scan s = {.text = text, .len = len, .has_ended = has_ended};
    const char *next;
    for (; at < len && (next = memchr(text + at, first_of(rule), len - at)) != NULL; at++) {
        at = (size_t)(next - text);
        enum finder_found found = scan(&s, rule, at, &result->to);
        if (found != FINDER_NONE) {
            result->from = at;
            return found;
        }
    }
    return FINDER_NONE;
}

static void describe(const void *config, size_t rule, struct filter_reason *why, char *message,
                     const char **replacement, size_t *replacement_len)
{
    (void)config;
    (void)message;
    (void)replacement;
    (void)replacement_len;
    why->code = rule == RULE_PRIVATE_KEY ? "private_key"
                : rule == RULE_JWT       ? "jwt"
                                         : tokens[rule].rule;
}

enum { KEY_ACTION, KEY_REPLACEMENT, KEY_MASK };
static const struct filter_key keys[] = {
    [KEY_ACTION] = {.name = "action",
                    .kind = FILTER_KEY_CHOICE,
                    .fallback = "replace",
                    .choices = finder_action_names,
                    .help = "what happens where a secret is found"},
    [KEY_REPLACEMENT] = {.name = "replacement",
                         .kind = FILTER_KEY_STRING,
                         .fallback = "[secret]",
                         .help = "action replace: what stands in place of a secret"},
    [KEY_MASK] = {.name = "mask",
                  .kind = FILTER_KEY_STRING,
                  .fallback = "*",
                  .help = "action mask: the character in place of each character of a secret"},
    {.name = NULL},
};

static int secrets_configure(void **config, const struct filter_value *values,
                             struct filter_error *error)
{
    struct finder_rules *rules = mem_zalloc(sizeof(*rules));
    if (!rules) {
        return setting_refuse(error, "", "out of memory");
    }
    if (finder_policy_read(&rules->policy, &values[KEY_ACTION], &values[KEY_REPLACEMENT],
                           &values[KEY_MASK], error) != 0) {
        mem_free(rules);
        return -1;
    }
    rules->count = RULES;
    rules->context = PII_CONTEXT;
    rules->find = find;
    rules->describe = describe;
    *config = rules;
    return 0;
}

static int secrets_open(void **state, const void *config, const struct filter_text *text)
{
    (void)text;
    return finder_create(state, config);
}

const struct filter_type filter_secrets = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "secrets",
    .summary = "finds keys and tokens and replaces, masks, stops or notes them",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .flags = FILTER_ANY_CUT,
    .keys = keys,
    .configure = secrets_configure,
    .release = mem_free,
    .open = secrets_open,
    .feed = finder_feed,
    .finish = finder_finish,
    .close = finder_destroy,
};
