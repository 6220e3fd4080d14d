/* docs/filters.md says what is there: its example works, its reference has every key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "filters/registry.h"
#include "filters/secret_scan.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "tests/unit/filters/example_filter.h"
#include "tests/unit/filters/trace.h"

static char *read_source(const char *path)
{
    char full[512];
    snprintf(full, sizeof(full), "%s/%s", WEIR_SOURCE_DIR, path);
    size_t len;
    struct err e;
    char *text = file_read(full, 1 << 20, &len, &e);
    if (!text) {
        fail_msg("%s", e.message);
    }
    return text;
}

static void the_example_is_the_one_that_is_tested(void **state)
{
    (void)state;
    char *page = read_source("docs/filters.md");
    char *source = read_source("tests/unit/filters/example_filter.c");
    const char *body = strstr(source, "\n\n"); /* after the include of its own header */
    assert_non_null(body);
    assert_non_null(strstr(page, body));
    mem_free(page);
    mem_free(source);
}

static void the_example_replaces_long_runs_of_digits(void **state)
{
    (void)state;
    static const struct filter_type *const types[] = {&filter_digits, NULL};
    struct chain *chain = trace_chain(
        "{\"name\":\"t\",\"filters\":[{\"type\":\"digits\",\"at_least\":4}]}", types);
    static const struct {
        const char *in, *out, *events;
    } cases[] = {
        {"call 12345 or 123", "call [number] or 123",
         "replace 0/digits content#0 5-9 @5 digits: \n"},
        {"1234", "[number]", "replace 0/digits content#0 0-4 @0 digits: \n"},
        {"12-34", "12-34", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int cuts = TRACE_WHOLE; cuts <= TRACE_CHARACTERS; cuts++) {
            struct trace trace;
            trace_run_text(&trace, chain, cases[i].in, (enum trace_cuts)cuts, NULL);
            assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), cases[i].out);
            assert_string_equal(trace_string(&trace.events), cases[i].events);
            trace_deinit(&trace);
        }
    }
    chain_unref(chain);
}

/* Each type has a heading, each of its keys a row with its help and fallback. */
static void the_reference_has_every_type_and_key(void **state)
{
    (void)state;
    char *page = read_source("docs/filters.md");
    for (const struct filter_type *const *type = filter_registry_builtin; *type; type++) {
        char text[512];
        snprintf(text, sizeof(text), "### `%s`\n", (*type)->name);
        assert_non_null(strstr(page, text));
        for (const struct filter_key *key = (*type)->keys; key && key->name; key++) {
            bool is_quoted = key->kind == FILTER_KEY_STRING || key->kind == FILTER_KEY_CHOICE;
            const char *quote = is_quoted ? "\"" : "";
            snprintf(text, sizeof(text), "| `%s` | %s%s%s%s%s | %s", key->name,
                     key->fallback ? "`" : "", key->fallback ? quote : "",
                     key->fallback ? key->fallback : "", key->fallback ? quote : "",
                     key->fallback ? "`" : "", key->help);
            if (!strstr(page, text)) {
                fail_msg("docs/filters.md lacks: %s", text);
            }
        }
    }
    mem_free(page);
}

/* The rules of pii and secrets are named in the reference. */
static void the_reference_has_every_rule(void **state)
{
    (void)state;
    char *page = read_source("docs/filters.md");
    char name[64];
    for (size_t i = 0; i < pii_kind_count; i++) {
        snprintf(name, sizeof(name), "`%s`", pii_kinds[i].name);
        if (!strstr(page, name)) {
            fail_msg("docs/filters.md lacks the rule %s of pii", name);
        }
    }
    for (size_t i = 0; i < secret_rule_count; i++) {
        snprintf(name, sizeof(name), "`%s`", secret_rules[i]);
        if (!strstr(page, name)) {
            fail_msg("docs/filters.md lacks the rule %s of secrets", name);
        }
    }
    mem_free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_the_one_that_is_tested),
        cmocka_unit_test(the_example_replaces_long_runs_of_digits),
        cmocka_unit_test(the_reference_has_every_type_and_key),
        cmocka_unit_test(the_reference_has_every_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
