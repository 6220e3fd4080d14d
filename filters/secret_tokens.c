/* Tokens that are known by a prefix, and private keys. */
#include "filters/secret_scan.h"

/* Classes of bytes, as bits. */
#define LOWER   0x001u
#define A_TO_F  0x002u /* of LOWER */
#define UPPER   0x004u
#define CAP_AF  0x008u /* of UPPER */
#define DIGITS  0x010u
#define DASH    0x020u
#define UNDER   0x040u
#define DOT     0x080u
#define SLASH   0x100u
#define PLUS    0x200u
#define EQUAL   0x400u
#define BLANK   0x800u /* and line breaks, escaped too */
#define PERCENT 0x1000u

#define HEX    (DIGITS | A_TO_F)
#define ANYHEX (HEX | CAP_AF)
#define CAPS   (UPPER | DIGITS)
#define ALPHA  (UPPER | LOWER)
#define ALNUM  (ALPHA | DIGITS)
#define WORDS  (ALNUM | UNDER | DASH)
#define BASE64 (ALNUM | PLUS | SLASH)
#define PAD    EQUAL

#define ANY        4096u  /* bytes; what is longer is not a token */
#define MAX_HEADER 100u   /* bytes of what stands between BEGIN and PRIVATE KEY */
#define MAX_KEY    16384u /* bytes of a private key; what is longer is found up to there */
#define MIN_BODY   32u    /* bytes of it that are no marks */

/* The least variety of a token, in bits a byte, and the longest row of one letter: XXXXXXXX and
 * 00000000 stand for tokens. A prefix of so many bytes says enough without. */
#define LEAST_ENTROPY (2 * SECRET_BIT)
#define MAX_ROW       7u
#define LONG_PREFIX   12u

/* clang-format off */
#define RULES_OF(X)                                                                         \
    X(ADOBE, "adobe") X(AGE, "age") X(ALIBABA, "alibaba") X(ANTHROPIC, "anthropic")         \
    X(ARTIFACTORY, "artifactory") X(ATLASSIAN, "atlassian") X(AWS, "aws")                   \
    X(CLOJARS, "clojars") X(CLOUDFLARE, "cloudflare") X(DATABRICKS, "databricks")           \
    X(DIGITALOCEAN, "digitalocean") X(DISCORD, "discord") X(DOPPLER, "doppler")             \
    X(DYNATRACE, "dynatrace") X(FACEBOOK, "facebook") X(FIGMA, "figma") X(FLYIO, "flyio")   \
    X(GITHUB, "github") X(GITLAB, "gitlab") X(GOOGLE, "google") X(GRAFANA, "grafana")       \
    X(GROQ, "groq") X(HEROKU, "heroku") X(HUGGINGFACE, "huggingface") X(JWT, "jwt")         \
    X(LINEAR, "linear") X(MAILGUN, "mailgun") X(NEWRELIC, "newrelic") X(NOTION, "notion")   \
    X(NPM, "npm") X(ONEPASSWORD, "1password") X(OPENAI, "openai")                           \
    X(OPENSHIFT, "openshift") X(PERPLEXITY, "perplexity") X(PLANETSCALE, "planetscale")     \
    X(POSTMAN, "postman") X(PULUMI, "pulumi") X(PYPI, "pypi") X(RUBYGEMS, "rubygems")       \
    X(SENDGRID, "sendgrid") X(SENDINBLUE, "sendinblue") X(SENTRY, "sentry")                 \
    X(SERVICE, "service") X(SHOPIFY, "shopify") X(SLACK, "slack")                           \
    X(SOURCEGRAPH, "sourcegraph") X(SQUARE, "square") X(STRIPE, "stripe")                   \
    X(TELEGRAM, "telegram") X(TWILIO, "twilio") X(TWITTER, "twitter") X(VAULT, "vault")     \
    X(XAI, "xai") X(PRIVATE_KEY, "private_key") X(ASSIGNMENT, "assignment")
/* clang-format on */

#define RULE_NUMBER(rule, name) rule,
#define RULE_NAME(rule, name)   name,
enum rule { RULES_OF(RULE_NUMBER) RULES };
const char *const secret_rules[] = {RULES_OF(RULE_NAME)};
const size_t secret_rule_count = RULES;
_Static_assert(RULES <= FINDER_MAX_RULES, "sets of rules are 64 bits");

size_t secret_rule_private_key(void)
{
    return PRIVATE_KEY;
}

size_t secret_rule_assignment(void)
{
    return ASSIGNMENT;
}

/* ---- the table ---- */

/* A token is a row of parts, each a text and a run of min to max bytes of a class. A run takes
 * all it can; the last one ends where the class does. Forms are those that the issuers document
 * or write. In the order of the first bytes. */
#define PARTS 4
static const struct token {
    uint8_t rule;
    struct part {
        const char *text;
        unsigned run;
        uint16_t min, max;
    } parts[PARTS];
} tokens[] = {
    {TELEGRAM, {{"", DIGITS, 5, 16}, {":A", WORDS, 34, 34}}},
    {ONEPASSWORD, {{"A3-", CAPS, 6, 6}, {"-", CAPS | DASH, 24, 40}}},
    {TWITTER, {{"AAAAAAAAAAAAAAAAAAAAAA", ALNUM | PERCENT, 58, 120}}},
    {AWS, {{"ABIA", CAPS, 16, 16}}},
    {AWS, {{"ABSK", BASE64, 109, 271}, {"", PAD, 0, 2}}},
    {AWS, {{"ACCA", CAPS, 16, 16}}},
    {AGE, {{"AGE-SECRET-KEY-1", CAPS, 58, 58}}},
    {GOOGLE, {{"AIza", WORDS, 35, 35}}},
    {ARTIFACTORY, {{"AKCp", ALNUM, 69, 69}}},
    {AWS, {{"AKIA", CAPS, 16, 16}}},
    {SERVICE, {{"API-", CAPS, 26, 26}}},
    {AWS, {{"ASIA", CAPS, 16, 16}}},
    {ATLASSIAN, {{"ATATT3", WORDS | PAD, 186, 186}}},
    {ATLASSIAN, {{"ATBB", ALNUM, 32, 32}}},
    {ATLASSIAN, {{"ATCTT3", WORDS | PAD, 186, 186}}},
    {CLOJARS, {{"CLOJARS_", ALNUM, 60, 60}}},
    {FACEBOOK, {{"EAAC", ALNUM, 100, ANY}}},
    {FACEBOOK, {{"EAAM", ALNUM, 100, ANY}}},
    {SQUARE, {{"EAAA", WORDS | BASE64 | PAD, 22, 60}}},
    {SERVICE, {{"EZAK", ALNUM, 54, 54}}},
    {SERVICE, {{"EZTK", ALNUM, 54, 54}}},
    {SERVICE, {{"FLWPUBK_TEST-", ALNUM, 32, 32}, {"-X", 0, 0, 0}}},
    {SERVICE, {{"FLWSECK-", ALNUM, 32, 32}, {"-X", 0, 0, 0}}},
    {SERVICE, {{"FLWSECK_TEST-", ALNUM, 32, 32}, {"-X", 0, 0, 0}}},
    {SERVICE, {{"FLWSECK_TEST-", ALNUM, 12, 12}}},
    {GOOGLE, {{"GOCSPX-", WORDS, 28, 28}}},
    {GITLAB, {{"GR1348941", WORDS, 20, 22}}},
    {HEROKU, {{"HRKU-AA", WORDS, 58, 58}}},
    {ALIBABA, {{"LTAI", ALNUM, 20, 20}}},
    {DISCORD, {{"M", WORDS, 23, 25}, {".", WORDS, 6, 6}, {".", WORDS, 27, 38}}},
    {DISCORD, {{"N", WORDS, 23, 25}, {".", WORDS, 6, 6}, {".", WORDS, 27, 38}}},
    {NEWRELIC, {{"NRAA-", ALNUM, 27, 27}}},
    {NEWRELIC, {{"NRAK-", ALNUM, 27, 27}}},
    {NEWRELIC, {{"NRII-", WORDS, 32, 32}}},
    {NEWRELIC, {{"NRJS-", ALNUM, 19, 19}}},
    {POSTMAN, {{"PMAK-", ANYHEX, 24, 24}, {"-", ANYHEX, 34, 34}}},
    {SENDGRID, {{"SG.", WORDS | PAD, 16, 32}, {".", WORDS | PAD, 30, 64}}},
    {SENDGRID, {{"SG.", WORDS | PAD, 66, 66}}},
    {TWILIO, {{"SK", ANYHEX, 32, 32}}},
    {GITLAB, {{"_gitlab_session=", LOWER | DIGITS, 32, 32}}},
    {HUGGINGFACE, {{"api_org_", ALPHA, 34, 34}}},
    {AWS, {{"bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t", BASE64 | PAD, 0, ANY}}},
    {ARTIFACTORY, {{"cmVmd", ALNUM, 59, 59}}},
    {DATABRICKS, {{"dapi", HEX, 32, 32}, {"-", DIGITS, 1, 1}}},
    {DATABRICKS, {{"dapi", HEX, 32, 32}}},
    {DISCORD, {{"discord.com/api/webhooks/", DIGITS, 17, 20}, {"/", WORDS, 60, 80}}},
    {DISCORD, {{"discordapp.com/api/webhooks/", DIGITS, 17, 20}, {"/", WORDS, 60, 80}}},
    {SERVICE, {{"dnkey-", WORDS | PAD, 79, 79}}},
    {DIGITALOCEAN, {{"doo_v1_", HEX, 64, 64}}},
    {DIGITALOCEAN, {{"dop_v1_", HEX, 64, 64}}},
    {DIGITALOCEAN, {{"dor_v1_", ANYHEX, 64, 64}}},
    {DOPPLER, {{"dp.pt.", ALNUM, 43, 43}}},
    {DYNATRACE, {{"dt0c01.", ALNUM, 24, 24}, {".", ALNUM, 64, 64}}},
    {SERVICE, {{"duffel_live_", WORDS | PAD, 43, 43}}},
    {SERVICE, {{"duffel_test_", WORDS | PAD, 43, 43}}},
    {JWT, {{"ey", WORDS, 4, ANY}, {".ey", WORDS, 4, ANY}, {".", WORDS, 16, ANY}}},
    {GRAFANA, {{"eyJrIjoi", ALNUM, 70, 400}, {"", PAD, 0, 3}}},
    {FIGMA, {{"figd_", WORDS, 40, 64}}},
    {SERVICE, {{"fio-u-", WORDS | PAD, 64, 64}}},
    {FLYIO, {{"fm1a_", BASE64, 100, ANY}, {"", PAD, 0, 3}}},
    {FLYIO, {{"fm1r_", BASE64, 100, ANY}, {"", PAD, 0, 3}}},
    {FLYIO, {{"fm2_", BASE64, 100, ANY}, {"", PAD, 0, 3}}},
    {FLYIO, {{"fo1_", WORDS, 43, 43}}},
    {GITHUB, {{"gho_", ALNUM, 36, 255}}},
    {GITHUB, {{"ghp_", ALNUM, 36, 255}}},
    {GITHUB, {{"ghr_", ALNUM, 36, 255}}},
    {GITHUB, {{"ghs_", ALNUM, 36, 255}}},
    {GITHUB, {{"ghu_", ALNUM, 36, 255}}},
    {GITHUB, {{"github_pat_", ALNUM | UNDER, 82, 255}}},
    {GITLAB, {{"glagent-", WORDS, 50, 64}}},
    {GRAFANA, {{"glc_", BASE64, 32, 400}, {"", PAD, 0, 3}}},
    {GITLAB, {{"glcbt-", ALNUM, 1, 5}, {"_", WORDS, 20, 20}}},
    {GITLAB, {{"gldt-", WORDS, 20, 64}}},
    {GITLAB, {{"glffct-", WORDS, 20, 64}}},
    {GITLAB, {{"glft-", WORDS, 20, 64}}},
    {GITLAB, {{"glimt-", WORDS, 25, 64}}},
    {GITLAB, {{"gloas-", WORDS, 64, 64}}},
    {GITLAB, {{"glpat-", WORDS | DOT, 20, 320}}},
    {GITLAB, {{"glptt-", HEX, 40, 40}}},
    {GITLAB, {{"glrt-", WORDS | DOT, 20, 320}}},
    {GRAFANA, {{"glsa_", ALNUM, 32, 32}, {"_", ANYHEX, 8, 8}}},
    {GITLAB, {{"glsoat-", WORDS, 20, 64}}},
    {GROQ, {{"gsk_", ALNUM, 40, 64}}},
    {HUGGINGFACE, {{"hf_", ALNUM, 34, 34}}},
    {SLACK, {{"hooks.slack.com/services/", BASE64, 40, 60}}},
    {SLACK, {{"hooks.slack.com/triggers/", BASE64, 40, 80}}},
    {SLACK, {{"hooks.slack.com/workflows/", BASE64, 40, 80}}},
    {VAULT, {{"hvb.", WORDS, 90, 300}}},
    {VAULT, {{"hvs.", WORDS, 24, 200}}},
    {SERVICE, {{"ico-", ALNUM, 32, 32}}},
    {MAILGUN, {{"key-", HEX, 32, 32}}},
    {LINEAR, {{"lin_api_", ALNUM, 40, 40}}},
    {LINEAR, {{"lin_oauth_", ALNUM, 40, 64}}},
    {NPM, {{"npm_", ALNUM, 36, 36}}},
    {NOTION, {{"ntn_", ALNUM, 46, 46}}},
    {ONEPASSWORD, {{"ops_eyJ", BASE64, 250, ANY}, {"", PAD, 0, 3}}},
    {ADOBE, {{"p8e-", ALNUM, 32, 32}}},
    {SERVICE, {{"pat.", WORDS, 22, 22}, {".", ALNUM, 24, 24}, {".", ALNUM, 20, 20}}},
    {SERVICE, {{"pat", ALNUM, 14, 14}, {".", HEX, 64, 64}}},
    {SERVICE, {{"pnu_", ALNUM, 36, 36}}},
    {PERPLEXITY, {{"pplx-", ALNUM, 40, 64}}},
    {PLANETSCALE, {{"pscale_oauth_", WORDS | PAD | DOT, 32, 64}}},
    {PLANETSCALE, {{"pscale_pw_", WORDS | PAD | DOT, 32, 64}}},
    {PLANETSCALE, {{"pscale_tkn_", WORDS | PAD | DOT, 32, 64}}},
    {PULUMI, {{"pul-", HEX, 40, 40}}},
    {PYPI, {{"pypi-AgEIcHlwaS5vcmc", WORDS, 50, 1000}}},
    {PYPI, {{"pypi-AgENdGVzdC5weXBpLm9yZw", WORDS, 50, 1000}}},
    {SERVICE, {{"rdme_", LOWER | DIGITS, 70, 70}}},
    {STRIPE, {{"rk_live_", ALNUM, 10, 247}}},
    {STRIPE, {{"rk_prod_", ALNUM, 10, 247}}},
    {STRIPE, {{"rk_test_", ALNUM, 10, 247}}},
    {RUBYGEMS, {{"rubygems_", HEX, 48, 48}}},
    {VAULT, {{"s.", ALNUM, 24, 24}}},
    {SERVICE, {{"s-s4t2af-", HEX, 64, 64}}},
    {SERVICE, {{"s-s4t2ud-", HEX, 64, 64}}},
    {SERVICE, {{"sat.", WORDS, 22, 22}, {".", ALNUM, 24, 24}, {".", ALNUM, 20, 20}}},
    {SOURCEGRAPH, {{"sgp_", ANYHEX, 16, 16}, {"_", ANYHEX, 40, 40}}},
    {SOURCEGRAPH, {{"sgp_local_", ANYHEX, 40, 40}}},
    {SOURCEGRAPH, {{"sgp_", ANYHEX, 40, 40}}},
    {OPENSHIFT, {{"sha256~", WORDS, 43, 43}}},
    {SERVICE, {{"shippo_live_", HEX, 40, 40}}},
    {SERVICE, {{"shippo_test_", HEX, 40, 40}}},
    {SHOPIFY, {{"shpat_", ANYHEX, 32, 32}}},
    {SHOPIFY, {{"shpca_", ANYHEX, 32, 32}}},
    {SHOPIFY, {{"shppa_", ANYHEX, 32, 32}}},
    {SHOPIFY, {{"shpss_", ANYHEX, 32, 32}}},
    {ANTHROPIC, {{"sk-ant-", WORDS, 80, 120}}},
    {OPENAI, {{"sk-admin-", WORDS, 60, 200}}},
    {OPENAI, {{"sk-proj-", WORDS, 60, 200}}},
    {OPENAI, {{"sk-svcacct-", WORDS, 60, 200}}},
    {SERVICE, {{"sk-or-v1-", HEX, 64, 64}}},
    {OPENAI, {{"sk-", ALNUM, 20, 20}, {"T3BlbkFJ", ALNUM, 20, 20}}},
    {STRIPE, {{"sk_live_", ALNUM, 10, 247}}},
    {STRIPE, {{"sk_prod_", ALNUM, 10, 247}}},
    {STRIPE, {{"sk_test_", ALNUM, 10, 247}}},
    {SERVICE, {{"sm_aat_", ALNUM, 16, 16}}},
    {SERVICE, {{"sm_pat_", ALNUM, 16, 16}}},
    {SERVICE, {{"sm_sat_", ALNUM, 16, 16}}},
    {SENTRY, {{"sntrys_eyJ", BASE64 | PAD | UNDER, 60, 500}}},
    {SENTRY, {{"sntryu_", HEX, 64, 64}}},
    {SQUARE, {{"sq0atp-", WORDS, 22, 60}}},
    {SQUARE, {{"sq0csp-", WORDS, 43, 43}}},
    {SERVICE, {{"tfp_", WORDS | PAD | DOT, 59, 59}}},
    {SERVICE, {{"tk-us-", WORDS, 48, 48}}},
    {CLOUDFLARE, {{"v1.0-", HEX, 24, 24}, {"-", HEX, 146, 146}}},
    {STRIPE, {{"whsec_", BASE64 | PAD, 32, 64}}},
    {XAI, {{"xai-", ALNUM, 80, 80}}},
    {SLACK,
     {{"xapp-", DIGITS, 1, 1}, {"-", CAPS, 8, 16}, {"-", DIGITS, 8, 16}, {"-", ALNUM, 32, 80}}},
    {SENDINBLUE, {{"xkeysib-", HEX, 64, 64}, {"-", ALNUM, 16, 16}}},
    {SLACK, {{"xoxa-", ALNUM | DASH, 12, 255}}},
    {SLACK, {{"xoxb-", DIGITS, 8, 14}, {"-", ALNUM | DASH, 6, 100}}},
    {SLACK, {{"xoxe-", DIGITS, 1, 14}, {"-", ALNUM | DASH, 30, 255}}},
    {SLACK, {{"xoxe.xoxb-", ALNUM | DASH, 100, 255}}},
    {SLACK, {{"xoxe.xoxp-", ALNUM | DASH, 100, 255}}},
    {SLACK, {{"xoxo-", DIGITS, 1, 14}, {"-", DIGITS, 1, 14}, {"-", ALNUM | DASH, 16, 100}}},
    {SLACK,
     {{"xoxp-", DIGITS, 8, 14},
      {"-", DIGITS, 8, 14},
      {"-", DIGITS, 8, 14},
      {"-", ALNUM | DASH, 28, 34}}},
    {SLACK, {{"xoxr-", ALNUM | DASH, 12, 255}}},
    {SLACK, {{"xoxs-", DIGITS, 1, 14}, {"-", DIGITS, 1, 14}, {"-", ALNUM | DASH, 16, 100}}},
};
#define TOKENS (sizeof(tokens) / sizeof(tokens[0]))

/* ---- scanning ---- */

static bool is_in(int c, unsigned run)
{
    if (pii_is_digit(c)) {
        return run & DIGITS;
    }
    if (c >= 'a' && c <= 'z') {
        return run & (c <= 'f' ? LOWER | A_TO_F : LOWER);
    }
    if (c >= 'A' && c <= 'Z') {
        return run & (c <= 'F' ? UPPER | CAP_AF : UPPER);
    }
    switch (c) {
    case '-':
        return run & DASH;
    case '_':
        return run & UNDER;
    case '.':
        return run & DOT;
    case '/':
        return run & SLASH;
    case '+':
        return run & PLUS;
    case '%':
        return run & PERCENT;
    case '=':
        return run & EQUAL;
    case ' ':
    case '\t':
    case '\r':
    case '\n':
    case '\\':
        return run & BLANK;
    default:
        return false;
    }
}

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

/* Moves *at over the longest run of at most `max` bytes of a class. */
static enum finder_found take_run(const struct pii_scan *s, size_t *at, const struct part *part)
{
    size_t begin = *at;
    while (*at - begin < part->max && is_in(pii_peek(s, *at), part->run)) {
        ++*at;
    }
    if (*at - begin < part->max && pii_peek(s, *at) == PII_OPEN) {
        return FINDER_UNDECIDED;
    }
    return *at - begin >= part->min ? FINDER_MATCH : FINDER_NONE;
}

/* The rows whose first byte is this one. */
static void rows_of(char first, size_t *begin, size_t *end)
{
    size_t low = 0;
    for (size_t high = TOKENS; low < high;) {
        size_t middle = (low + high) / 2;
        if ((unsigned char)tokens[middle].parts[0].text[0] < (unsigned char)first) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *begin = low;
    while (low < TOKENS && tokens[low].parts[0].text[0] == first) {
        low++;
    }
    *end = low;
}

/* A prefix of one or two bytes says so little that the rest has to look like chance: letters
 * of both cases and digits. */
static bool has_all_kinds(const char *text, size_t len)
{
    bool has_digit = false;
    bool has_upper = false;
    bool has_lower = false;
    for (size_t i = 0; i < len; i++) {
        has_digit |= pii_is_digit(text[i]);
        has_upper |= text[i] >= 'A' && text[i] <= 'Z';
        has_lower |= text[i] >= 'a' && text[i] <= 'z';
    }
    return has_digit && has_upper && has_lower;
}

static bool has_long_row(const char *text, size_t len)
{
    size_t row = 0;
    for (size_t i = 1; i < len && row < MAX_ROW; i++) {
        row = text[i] == text[i - 1] && pii_is_letter(text[i]) ? row + 1 : 0;
    }
    return row == MAX_ROW;
}

static bool is_token(const struct token *token, const char *text, size_t len)
{
    size_t prefix = strlen(token->parts[0].text);
    if (prefix >= LONG_PREFIX) {
        return true;
    }
    return secret_entropy(text + prefix, len - prefix) >= LEAST_ENTROPY &&
           !has_long_row(text + prefix, len - prefix) &&
           (prefix >= 3 || token->parts[0].run == ANYHEX || has_all_kinds(text, len));
}

static enum finder_found scan_row(const struct pii_scan *s, const struct token *token,
                                  size_t at, size_t *to)
{
    size_t i = at;
    size_t run = 0;
    const struct part *part = token->parts;
    for (; part < token->parts + PARTS && part->text; part++) {
        enum finder_found found = take_text(s, &i, part->text);
        run = i;
        if (found == FINDER_MATCH) {
            found = take_run(s, &i, part);
        }
        if (found != FINDER_MATCH) {
            return found;
        }
    }
    part--;
    int c = pii_peek(s, i);
    if (c == PII_OPEN) {
        return FINDER_UNDECIDED;
    }
    if (pii_is_alnum(c) || c == '_' || is_in(c, part->run)) {
        return FINDER_NONE;
    }
    /* A full stop or dash behind a token ends a sentence. */
    while (pii_is_one_of((unsigned char)s->text[i - 1], ".-") && i - run > part->min) {
        i--;
    }
    *to = i;
    return is_token(token, s->text + at, i - at) ? FINDER_MATCH : FINDER_NONE;
}

/* Whether a token may begin there at all: not inside a word. */
static bool is_inside(const struct pii_scan *s, size_t at)
{
    int before = pii_before(s, at, 1);
    return pii_is_alnum(before) || before == '_';
}

/* The prefix of a row, or as much of it as there is. */
static bool has_prefix(const struct pii_scan *s, const struct token *token, size_t at)
{
    if (!token->parts[0].text[0]) {
        return is_in((unsigned char)s->text[at], token->parts[0].run);
    }
    return take_text(s, &at, token->parts[0].text) != FINDER_NONE;
}

uint64_t secret_token_rules(const struct pii_scan *s, size_t at, uint64_t wanted)
{
    char first = s->text[at];
    uint64_t rules = 0;
    size_t row, end;
    rows_of(pii_is_digit(first) ? '\0' : first, &row, &end);
    for (; row < end; row++) {
        uint64_t bit = (uint64_t)1 << tokens[row].rule;
        if ((wanted & bit & ~rules) && has_prefix(s, &tokens[row], at)) {
            rules |= bit;
        }
    }
    return rules;
}

enum finder_found secret_scan_token(const struct pii_scan *s, size_t rule, size_t at,
                                    size_t *to)
{
    /* Runs of a JWT are long and may have many dashes. */
    if (is_inside(s, at) || (rule == JWT && pii_before(s, at, 1) == '-')) {
        return FINDER_NONE;
    }
    size_t row, end;
    rows_of(pii_is_digit(s->text[at]) ? '\0' : s->text[at], &row, &end);
    enum finder_found found = FINDER_NONE;
    for (; row < end && found == FINDER_NONE; row++) {
        if (tokens[row].rule == rule) {
            found = scan_row(s, &tokens[row], at, to);
        }
    }
    return found;
}

/* ---- private keys ---- */

/* Behind BEGIN: other words, PRIVATE KEY, and for OpenPGP one more. */
static enum finder_found take_key_label(const struct pii_scan *s, size_t *at)
{
    static const char *const last[] = {"PRIVATE KEY-----", "PRIVATE KEY BLOCK-----"};
    size_t label = *at;
    for (size_t i = label;; i++) {
        for (size_t k = 0; k < 2; k++) {
            *at = i;
            enum finder_found found = take_text(s, at, last[k]);
            if (found != FINDER_NONE) {
                return found;
            }
        }
        if (i - label == MAX_HEADER || !is_in(pii_peek(s, i), CAPS | BLANK)) {
            return FINDER_NONE;
        }
    }
}

static bool ends_with(const char *text, size_t len, const char *end)
{
    size_t n = strlen(end);
    return len >= n && memcmp(text + len - n, end, n) == 0;
}

enum finder_found secret_scan_private_key(const struct pii_scan *s, size_t at, size_t *to)
{
    *to = at;
    enum finder_found found = take_text(s, to, "-----BEGIN ");
    if (found == FINDER_MATCH) {
        found = take_key_label(s, to);
    }
    size_t body = *to;
    size_t body_end = 0; /* 0: not seen yet */
    while (found == FINDER_MATCH && *to - at < MAX_KEY) {
        int c = pii_peek(s, *to);
        if (c == PII_OPEN) {
            return FINDER_UNDECIDED;
        }
        if (!is_in(c, BASE64 | PAD | DASH | BLANK) && !pii_is_one_of(c, ":,.()@")) {
            break;
        }
        ++*to;
        if (!body_end && ends_with(s->text + at, *to - at, "-----END ")) {
            body_end = *to - strlen("-----END ");
        }
        if (body_end && (ends_with(s->text + at, *to - at, "KEY-----") ||
                         ends_with(s->text + at, *to - at, "BLOCK-----"))) {
            break;
        }
    }
    return found == FINDER_MATCH && (body_end ? body_end : *to) - body < MIN_BODY ? FINDER_NONE
                                                                                  : found;
}
