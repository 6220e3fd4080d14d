/* The filter "secrets": true and false cases of each form, whole and cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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

static void secrets_are_found_and_others_are_not(void **state)
{
    (void)state;
    struct chain *chain = chain_of("");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_found_and_others_are_not),
        cmocka_unit_test(a_private_key_that_breaks_off_is_found),
        cmocka_unit_test(actions_are_those_of_other_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
