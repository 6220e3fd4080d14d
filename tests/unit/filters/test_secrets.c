/* The filter "secrets": true and false cases of each form, whole and cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "filters/secret_scan.h"
#include "tests/unit/filters/trace.h"

#define CHARS_36 "abcdefghijklmnopqrstuvwxyz0123456789"
#define CHARS_35 "abcdefghijklmnopqrstuvwxyz-_3456789"
#define KEY_ROW  "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\n"

/* Tokens are put together here, so that no scanner of sources takes them for real ones. */
static const struct {
    const char *code; /* "": nothing is found */
    const char *text;
} cases[] = {
    {"aws", "AKIA"
            "IOSFODNN7EXAMPLE"},
    {"aws", "ASIA"
            "IOSFODNN7EXAMPLE"},
    {"", "AKIA"
         "IOSFODNN7EXAMPL"},
    {"", "AKIA"
         "IOSFODNN7EXAMPLEX"},
    {"", "xAKIA"
         "IOSFODNN7EXAMPLE"},
    {"", "AKIA"
         "IOSFODNN7examplE"},
    {"github", "ghp_" CHARS_36},
    {"github", "ghs_" CHARS_36},
    {"", "ghx_" CHARS_36},
    {"", "ghp_"
         "abc"},
    {"github", "github_pat_" CHARS_36 "_" CHARS_36 "123456789"},
    {"gitlab", "glpat-"
               "abcdefghij_klmnopqrst"},
    {"", "glpat-"
         "abc"},
    {"slack", "xoxb-"
              "1234567890-abcdef"},
    {"", "xoxb-"
         "1234567890-"},
    {"", "ghp_"
         "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"},
    {"", "_ghp_" CHARS_36},
    {"", "ghp_" CHARS_36 "_"},
    {"", "xoxz-"
         "1234567890-abcdef"},
    {"google", "AIza" CHARS_35},
    {"", "AIza" CHARS_36},
    {"jwt", "eyJhbGciOiJIUzI1NiJ9."
            "eyJzdWIiOiIxMjM0In0."
            "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"},
    {"", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0"},
    {"", "eyes. eyed. eyeing."},
    {"private_key", "-----BEGIN "
                    "PRIVATE KEY-----\n" KEY_ROW "-----END "
                    "PRIVATE KEY-----"},
    {"private_key", "-----BEGIN "
                    "RSA PRIVATE KEY-----\n" KEY_ROW KEY_ROW "-----END "
                    "RSA PRIVATE KEY-----"},
    {"", "-----BEGIN "
         "PUBLIC KEY-----\n" KEY_ROW "-----END "
         "PUBLIC KEY-----"},
};

static struct chain *chain_of(const char *settings)
{
    char json[256];
    snprintf(json, sizeof(json), "{\"name\":\"t\",\"filters\":[{\"type\":\"secrets\"%s}]}",
             settings);
    return trace_chain(json, NULL);
}

static void expect_cut(struct chain *chain, const char *in, const char *out, const char *code)
{
    struct rng rng;
    rng_seed(&rng, 51);
    for (int cuts = TRACE_WHOLE; cuts <= TRACE_RANDOM; cuts++) {
        struct trace trace;
        trace_run_text(&trace, chain, in, (enum trace_cuts)cuts, &rng);
        assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), out);
        assert_true(!*code == !trace.events.len);
        assert_non_null(strstr(trace_string(&trace.events), code));
        trace_deinit(&trace);
    }
}

#define TOKENS_ONLY                                                           \
    ",\"rules\":[\"aws\",\"github\",\"gitlab\",\"slack\",\"google\",\"jwt\"," \
    "\"private_key\"]"

static void secrets_are_found_and_others_are_not(void **state)
{
    (void)state;
    struct chain *chain = chain_of(TOKENS_ONLY);
    static const char *const around[][2] = {
        {"", ""}, {"key: ", "."}, {"('", "')"}, {"=", " x"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t k = 0; k < 4; k++) {
            char in[256], out[256];
            bool is_found = *cases[i].code;
            snprintf(in, sizeof(in), "%s%s%s", around[k][0], cases[i].text, around[k][1]);
            snprintf(out, sizeof(out), "%s%s%s", around[k][0],
                     is_found ? "[secret]" : cases[i].text, around[k][1]);
            expect_cut(chain, in, out, cases[i].code);
        }
    }
    chain_unref(chain);
}

static void a_private_key_that_breaks_off_is_found(void **state)
{
    (void)state;
    struct chain *chain = chain_of("");
    expect_cut(chain,
               "a -----BEGIN "
               "PRIVATE KEY-----\n" KEY_ROW,
               "a [secret]", "private_key");
    expect_cut(chain,
               "a -----BEGIN "
               "PRIVATE KEY-----\n" KEY_ROW "\"; b",
               "a [secret]\"; b", "private_key");
    chain_unref(chain);
}

static void actions_are_those_of_other_filters(void **state)
{
    (void)state;
    struct chain *chain = chain_of(",\"action\":\"stop\"");
    expect_cut(chain,
               "my AKIA"
               "IOSFODNN7EXAMPLE",
               "my ", "stop 0/secrets");
    chain_unref(chain);
    chain = chain_of(",\"action\":\"mask\"");
    expect_cut(chain,
               "my AKIA"
               "IOSFODNN7EXAMPLE!",
               "my ********************!", "aws");
    chain_unref(chain);
}

/* ---- every rule ---- */

#define LETTERS "qTzRkWmXvBnYsDhGjLpCfN"
#define MIXED   "7aK2mZ9qX4tR8wL1vB6nC3yD0sG5hJpFeUiOkQxTzWcVrMbNdPlSgHjYfEuAoI"
#define LOWERS  "7ak2mz9qx4tr8wl1vb6nc3yd0sg5hjpfeuiokqxtzwcvrmbndplsghjyfeuaoi"
#define HEXES   "7a2f9c4e8b1d6035"
#define UPPERS  "7AK2MZ9QX4TR8WL1VB6NC3YD0SG5HJPFEUIOKQXTZWCVRMBNDPLSGHJYFEUAOI"
#define NUMBERS "7294816053"

/* A prefix, so many characters of an alphabet, something, and as many more. */
static const struct sample {
    const char *rule, *prefix, *alphabet;
    int count;
    const char *middle, *rest;
    int rest_count;
} samples[] = {
    {"adobe", "p8e-", LOWERS, 32, "", "", 0},
    {"age", "AGE-SECRET-KEY-1", UPPERS, 58, "", "", 0},
    {"alibaba", "LTAI", MIXED, 20, "", "", 0},
    {"anthropic", "sk-ant-api03-", MIXED, 93, "AA", "", 0},
    {"artifactory", "AKCp", MIXED, 69, "", "", 0},
    {"atlassian", "ATATT3", MIXED, 186, "", "", 0},
    {"aws", "AKIA", UPPERS, 16, "", "", 0},
    {"aws", "ABSK", MIXED, 109, "==", "", 0},
    {"clojars", "CLOJARS_", LOWERS, 60, "", "", 0},
    {"cloudflare", "v1.0-", HEXES, 24, "-", HEXES, 146},
    {"databricks", "dapi", HEXES, 32, "", "", 0},
    {"databricks", "dapi", HEXES, 32, "-2", "", 0},
    {"digitalocean", "dop_v1_", HEXES, 64, "", "", 0},
    {"discord", "M", MIXED, 23, ".GhIjKl.", MIXED, 27},
    {"discord", "https://discord.com/api/webhooks/", NUMBERS, 18, "/", MIXED, 68},
    {"doppler", "dp.pt.", MIXED, 43, "", "", 0},
    {"dynatrace", "dt0c01.", MIXED, 24, ".", MIXED, 64},
    {"facebook", "EAAM", MIXED, 100, "", "", 0},
    {"figma", "figd_", MIXED, 40, "", "", 0},
    {"flyio", "fo1_", MIXED, 43, "", "", 0},
    {"github", "ghp_", MIXED, 36, "", "", 0},
    {"gitlab", "glpat-", MIXED, 20, "", "", 0},
    {"gitlab", "glcbt-", MIXED, 2, "_", MIXED, 20},
    {"google", "AIza", MIXED, 35, "", "", 0},
    {"grafana", "glsa_", MIXED, 32, "_", HEXES, 8},
    {"groq", "gsk_", MIXED, 52, "", "", 0},
    {"heroku", "HRKU-AA", MIXED, 58, "", "", 0},
    {"huggingface", "hf_", LETTERS, 34, "", "", 0},
    {"jwt", "eyJ", MIXED, 30, ".eyJzdWIiOiIxMjM0In0.", MIXED, 40},
    {"linear", "lin_api_", MIXED, 40, "", "", 0},
    {"mailgun", "key-", HEXES, 32, "", "", 0},
    {"newrelic", "NRAK-", UPPERS, 27, "", "", 0},
    {"notion", "ntn_", MIXED, 46, "", "", 0},
    {"npm", "npm_", MIXED, 36, "", "", 0},
    {"1password", "A3-", UPPERS, 6, "-", UPPERS, 24},
    {"openai", "sk-proj-", MIXED, 120, "", "", 0},
    {"openai", "sk-", MIXED, 20, "T3BlbkFJ", MIXED, 20},
    {"openshift", "sha256~", MIXED, 43, "", "", 0},
    {"perplexity", "pplx-", MIXED, 48, "", "", 0},
    {"planetscale", "pscale_pw_", MIXED, 43, "", "", 0},
    {"postman", "PMAK-", HEXES, 24, "-", HEXES, 34},
    {"pulumi", "pul-", HEXES, 40, "", "", 0},
    {"pypi", "pypi-AgEIcHlwaS5vcmc", MIXED, 70, "", "", 0},
    {"rubygems", "rubygems_", HEXES, 48, "", "", 0},
    {"sendgrid", "SG.", MIXED, 22, ".", MIXED, 43},
    {"sendinblue", "xkeysib-", HEXES, 64, "-", MIXED, 16},
    {"sentry", "sntryu_", HEXES, 64, "", "", 0},
    {"service", "rdme_", LOWERS, 70, "", "", 0},
    {"service", "FLWSECK_TEST-", HEXES, 32, "-X", "", 0},
    {"shopify", "shpat_", HEXES, 32, "", "", 0},
    {"slack", "xapp-1-A", UPPERS, 10, "-7294816053-", HEXES, 64},
    {"slack", "https://hooks.slack.com/services/", MIXED, 44, "", "", 0},
    {"sourcegraph", "sgp_", HEXES, 40, "", "", 0},
    {"square", "sq0atp-", MIXED, 22, "", "", 0},
    {"stripe", "sk_live_", MIXED, 24, "", "", 0},
    {"telegram", "", NUMBERS, 10, ":A", MIXED, 34},
    {"twilio", "SK", HEXES, 32, "", "", 0},
    {"twitter", "AAAAAAAAAAAAAAAAAAAAAA", MIXED, 80, "", "", 0},
    {"vault", "hvs.", MIXED, 96, "", "", 0},
    {"xai", "xai-", MIXED, 80, "", "", 0},
    {"private_key",
     "-----BEGIN "
     "PRIVATE KEY-----\n",
     MIXED, 100,
     "\n-----END "
     "PRIVATE KEY-----",
     "", 0},
    {"assignment", "", MIXED, 12, "", "", 0},
};

static void append_cycle(char *text, const char *alphabet, int count)
{
    size_t n = strlen(text);
    for (int i = 0; i < count; i++) {
        text[n++] = alphabet[(size_t)i % strlen(alphabet)];
    }
    text[n] = '\0';
}

static void make_sample(const struct sample *sample, char *text)
{
    strcpy(text, sample->prefix);
    append_cycle(text, sample->alphabet, sample->count);
    strcat(text, sample->middle);
    append_cycle(text, sample->rest, sample->rest_count);
}

static void every_rule_finds_what_it_is_for(void **state)
{
    (void)state;
    size_t count = sizeof(samples) / sizeof(samples[0]);
    for (size_t rule = 0; rule < secret_rule_count; rule++) {
        char settings[96];
        snprintf(settings, sizeof(settings), ",\"rules\":[\"%s\"]", secret_rules[rule]);
        struct chain *chain = chain_of(settings);
        int tried = 0;
        for (size_t i = 0; i < count; i++) {
            char text[512], in[600];
            if (strcmp(samples[i].rule, secret_rules[rule]) != 0) {
                continue;
            }
            make_sample(&samples[i], text);
            const char *host = strstr(text, "://") ? "https://" : "";
            snprintf(in, sizeof(in), "the password is \"%s\", ", text);
            if (strcmp(samples[i].rule, "assignment") == 0) {
                snprintf(in, sizeof(in), "the password=\"%s\", ", text);
            }
            char out[64];
            snprintf(out, sizeof(out), "the password%s\"%s[secret]\", ",
                     strchr(in, '=') == in + 12 ? "=" : " is ", host);
            expect_cut(chain, in, out, secret_rules[rule]);
            tried++;
        }
        if (tried == 0) {
            fail_msg("no sample of %s", secret_rules[rule]);
        }
        chain_unref(chain);
    }
}

/* ---- values of assignments ---- */

static void values_behind_telling_names_are_found(void **state)
{
    (void)state;
    static const char *const found[] = {
        "api_key = \"%s\"",
        "{\"client_secret\": \"%s\"}",
        "DB_PASSWORD=%s\n",
        "access-token: '%s'",
        "<authToken>\n  %s\n</authToken>",
        "pwd := `%s`",
        "set(\"AUTH_TOKEN\", \"%s\")",
        "secretKey => '%s',",
        "my token = %s;",
        "Authorization: Basic %s\n",
        "-H 'authorization: Bearer %s'",
    };
    static const char *const value = "7aK2mZ9qX4tR8wL1";
    struct chain *chain = chain_of(",\"rules\":[\"assignment\"]");
    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        char in[128], out[128];
        snprintf(in, sizeof(in), found[i], value); // NOLINT(clang-diagnostic-format-nonliteral)
        snprintf(out, sizeof(out), found[i],
                 "[secret]"); // NOLINT(clang-diagnostic-format-nonliteral)
        expect_cut(chain, in, out, "assignment");
    }
    static const char *const clean[] = {
        "name = \"7aK2mZ9qX4tR8wL1\"",          "public_key = \"7aK2mZ9qX4tR8wL1\"",
        "password = \"correct horse 7\"",       "password = \"aaaaaaaaaaaaaaaaa1\"",
        "password = \"justsomewordshere\"",     "token = \"some-name-v12.release_3\"",
        "key = \"abcdefghij0123456789\"",       "key: 7aK2mZ9",
        "password = getenv7aK2mZ9q(x)",         "author: 7aK2mZ9qX4tR8wL1",
        "Authorization: Basic 7aK2mZ9qX4tR",    "Bearer 7aK2mZ9qX4tR8wL1",
        "the keys: 7 of them, and 12345678901", "set(\"AUTH_TOKEN\", \"7aK2mZ9qX4tR\")",
    };
    for (size_t i = 0; i < sizeof(clean) / sizeof(clean[0]); i++) {
        expect_cut(chain, clean[i], clean[i], "");
    }
    chain_unref(chain);
}

static void entropy_is_a_setting(void **state)
{
    (void)state;
    struct chain *chain = chain_of(",\"rules\":[\"assignment\"],\"entropy\":4.5");
    expect_cut(chain, "token: 7aK2mZ9qX4tR8wL1 ", "token: 7aK2mZ9qX4tR8wL1 ", "");
    chain_unref(chain);
    chain = chain_of(",\"rules\":[\"assignment\"],\"entropy\":0");
    expect_cut(chain, "token: q1q1q1q1q1q1 ", "token: [secret] ", "assignment");
    chain_unref(chain);
    assert_int_equal(secret_entropy("aaaa", 4), 0);
    assert_int_equal(secret_entropy("abcd", 4), 2 * SECRET_BIT);
    assert_int_equal(secret_entropy("aabb", 4), SECRET_BIT);
    /* log2(3) is 1.58496. */
    assert_in_range(secret_entropy("abc", 3), 1622, 1623);
    assert_int_equal(secret_entropy("", 0), 0);
}

static void expect_refused(const char *settings, const char *message)
{
    char json[256];
    struct err e;
    snprintf(json, sizeof(json), "{\"name\":\"t\",\"filters\":[{\"type\":\"secrets\",%s}]}",
             settings);
    assert_null(chain_from_json(json, strlen(json), NULL, &e));
    assert_string_equal(e.message, message);
}

static void wrong_settings_are_refused(void **state)
{
    (void)state;
    expect_refused("\"rules\":[\"amazon\"]",
                   "filters[0].rules[0]: \"amazon\" is none of the rules that the reference of "
                   "this filter lists");
    expect_refused("\"rules\":[]", "filters[0].rules: must name at least one");
    expect_refused("\"entropy\":9", "filters[0].entropy: must be from 0 to 8");
    expect_refused("\"rules\":[\"aws\"],\"entropy\":3",
                   "filters[0].entropy: is of no use unless \"rules\" has \"assignment\"");
}

/* ---- places and cuts ---- */

static const char *const pieces[] = {
    "key",
    "api_key",
    "token",
    "password",
    "x",
    " ",
    "=",
    ": ",
    "\"",
    "'",
    "\n",
    ",",
    ">",
    "-",
    "_",
    ".",
    "/",
    "-----",
    "-----BEGIN ",
    "PRIVATE KEY-----",
    "ey",
    "eyJhbGciOiJIUzI1NiJ9",
    ".eyJzdWIiOiIxMjM0In0",
    ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "7aK2mZ9qX4tR8wL1",
    "7aK2mZ9q",
    "AKIA",
    "IOSFODNN7EXAMPLE",
    "ghp_",
    CHARS_36,
    "glpat-",
    "xoxb-",
    "1234567890",
    "-abcdef",
    "sk_live_",
    "hf_",
    "\xC3\xA9",
    "SG.",
    "s.",
    "               ",
    "?",
    "key = '",
    "Basic ",
    "Authorization: ",
    "bearer ",
};

static void random_text(struct rng *rng, char *out, size_t max)
{
    out[0] = '\0';
    for (uint32_t n = rng_below(rng, 24); n > 0; n--) {
        const char *piece = pieces[rng_below(rng, sizeof(pieces) / sizeof(pieces[0]))];
        if (strlen(out) + strlen(piece) + 1 < max) {
            strcat(out, piece);
        }
    }
}

static enum finder_found scan_rule(const struct pii_scan *s, size_t rule, size_t at, size_t *to)
{
    return rule == secret_rule_private_key()  ? secret_scan_private_key(s, at, to)
           : rule == secret_rule_assignment() ? secret_scan_value(s, 3 * SECRET_BIT, at, to)
                                              : secret_scan_token(s, rule, at, to);
}

/* The same text with what a scan of all places finds replaced. */
static void scan_all_places(size_t rule, const char *text, char *out)
{
    struct pii_scan s = {.text = text, .len = strlen(text), .has_ended = true};
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        size_t to = 0;
        if (scan_rule(&s, rule, i, &to) == FINDER_MATCH) {
            n += (size_t)sprintf(out + n, "[secret]");
            i = to;
        } else {
            out[n++] = text[i++];
        }
    }
    out[n] = '\0';
}

static void no_place_is_left_out(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 52);
    for (size_t rule = 0; rule < secret_rule_count; rule++) {
        char settings[96];
        snprintf(settings, sizeof(settings), ",\"rules\":[\"%s\"]%s", secret_rules[rule],
                 rule == secret_rule_assignment() ? ",\"entropy\":3" : "");
        struct chain *chain = chain_of(settings);
        for (int i = 0; i < 1500; i++) {
            char text[256], wanted[2048];
            random_text(&rng, text, sizeof(text));
            scan_all_places(rule, text, wanted);
            struct trace trace;
            trace_run_text(&trace, chain, text, TRACE_RANDOM, &rng);
            if (strcmp(trace_string(&trace.text[FILTER_CONTENT]), wanted) != 0) {
                fail_msg("%s\ntext:   \"%s\"\nwanted: \"%s\"\ngot:    \"%s\"",
                         secret_rules[rule], text, wanted,
                         trace_string(&trace.text[FILTER_CONTENT]));
            }
            trace_deinit(&trace);
        }
        chain_unref(chain);
    }
}

static void cuts_do_not_matter(void **state)
{
    (void)state;
    static const char *const actions[] = {"stop", "replace", "mask", "note"};
    struct rng rng;
    rng_seed(&rng, 53);
    for (int i = 0; i < 4; i++) {
        char settings[64];
        snprintf(settings, sizeof(settings), ",\"action\":\"%s\"", actions[i]);
        struct chain *chain = chain_of(settings);
        for (int k = 0; k < 3000; k++) {
            char text[256];
            random_text(&rng, text, sizeof(text));
            struct trace whole, cut;
            trace_run_text(&whole, chain, text, TRACE_WHOLE, NULL);
            for (int cuts = TRACE_CHARACTERS; cuts <= TRACE_RANDOM; cuts++) {
                trace_run_text(&cut, chain, text, (enum trace_cuts)cuts, &rng);
                trace_assert_equal(&whole, &cut);
                trace_deinit(&cut);
            }
            trace_deinit(&whole);
        }
        chain_unref(chain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_finds_what_it_is_for),
        cmocka_unit_test(values_behind_telling_names_are_found),
        cmocka_unit_test(entropy_is_a_setting),
        cmocka_unit_test(wrong_settings_are_refused),
        cmocka_unit_test(no_place_is_left_out),
        cmocka_unit_test(cuts_do_not_matter),
        cmocka_unit_test(secrets_are_found_and_others_are_not),
        cmocka_unit_test(a_private_key_that_breaks_off_is_found),
        cmocka_unit_test(actions_are_those_of_other_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
