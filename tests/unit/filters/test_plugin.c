/* Filters out of shared objects: one that works, and all that is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "tests/unit/filters/trace.h"

static struct chain *open_chain(const char *folder, const char *settings, struct err *e)
{
    char json[512];
    snprintf(json, sizeof(json), "{\"name\":\"t\",\"filters\":[{\"type\":\"plugin\"%s}]}",
             settings);
    struct chain_options options = {.folder = folder};
    return chain_from_json(json, strlen(json), &options, e);
}

static void expect_refused(const char *folder, const char *settings, const char *message)
{
    struct err e;
    struct chain *chain = open_chain(folder, settings, &e);
    if (chain) {
        chain_unref(chain);
        fail_msg("accepted: %s", settings);
    }
    if (!strstr(e.message, message)) {
        fail_msg("\"%s\" lacks \"%s\"", e.message, message);
    }
}

static void a_plugin_filters_as_built_in_types_do(void **state)
{
    (void)state;
    struct err e;
    struct chain *chain =
        open_chain(PLUGIN_DIR, ",\"path\":\"plugin_example.so\",\"mark\":\"?\"", &e);
    if (!chain) {
        fail_msg("%s", e.message);
    }
    struct rng rng;
    rng_seed(&rng, 1);
    for (int cuts = TRACE_WHOLE; cuts <= TRACE_RANDOM; cuts++) {
        struct trace trace;
        trace_run_text(&trace, chain, "a1b\xC3\xA9", (enum trace_cuts)cuts, &rng);
        assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "a?b\xC3\xA9");
        assert_string_equal(trace_string(&trace.events),
                            "replace 0/marks content#0 1-2 @1 digit: \n");
        trace_deinit(&trace);
    }
    chain_unref(chain);
}

static void two_chains_may_use_one_plugin(void **state)
{
    (void)state;
    struct err e;
    struct chain *a = open_chain(PLUGIN_DIR, ",\"path\":\"plugin_example.so\"", &e);
    struct chain *b = open_chain(PLUGIN_DIR, ",\"path\":\"./plugin_example.so\"", &e);
    assert_non_null(a);
    assert_non_null(b);
    assert_string_equal(chain_hash(a), chain_hash(b));
    chain_unref(a);
    struct trace trace;
    trace_run_text(&trace, b, "12", TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "##");
    trace_deinit(&trace);
    chain_unref(b);
}

/* The loader knows objects by the names of their files: two at once must not have the same. */
static void plugins_of_one_chain_are_not_mixed_up(void **state)
{
    (void)state;
    static const char *const files[] = {"plugin_example", "plugin_second"};
    for (int first = 0; first < 2; first++) {
        struct err e;
        char settings[160];
        snprintf(settings, sizeof(settings),
                 ",\"path\":\"%s.so\"},{\"type\":\"plugin\",\"path\":\"%s.so\"", files[first],
                 files[1 - first]);
        struct chain *chain = open_chain(PLUGIN_DIR, settings, &e);
        if (!chain) {
            fail_msg("%s", e.message);
        }
        struct trace trace;
        trace_run_text(&trace, chain, "a1", TRACE_WHOLE, NULL);
        assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "a!#");
        trace_deinit(&trace);
        chain_unref(chain);
    }
}

static void what_is_wrong_with_its_settings_is_named(void **state)
{
    (void)state;
    expect_refused(PLUGIN_DIR, "", "filters[0].path: is missing");
    expect_refused(PLUGIN_DIR, ",\"path\":7", "filters[0].path: must be the path");
    expect_refused(NULL, ",\"path\":\"plugin_example.so\"",
                   "filters[0].path: only a chain that is read from a file may name files");
    expect_refused(PLUGIN_DIR, ",\"path\":\"no.so\"", "filters[0].path: ");
    expect_refused(PLUGIN_DIR, ",\"path\":\"/lib/libc.so.6\"", "must be a path inside");
    expect_refused(PLUGIN_DIR, ",\"path\":\"../plugin_example.so\"", "must be a path inside");
    expect_refused(PLUGIN_DIR, ",\"path\":\"a/..\"", "must be a path inside");
    expect_refused(PLUGIN_DIR, ",\"path\":\"plugin_example.so\",\"mork\":\"?\"",
                   "filters[0].mork: filter type \"marks\" has no such key");
    expect_refused(PLUGIN_DIR, ",\"path\":\"plugin_example.so\",\"mark\":\"12345678901234567\"",
                   "filters[0].mark: must be at most 16 bytes");
}

static void what_does_not_follow_the_abi_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *file, *message;
    } cases[] = {
        {"other_abi", "filters[0].path: was built for filter ABI 2, and this is ABI 1"},
        {"short", "filters[0].path: its filter type has 8 bytes and not"},
        {"no_feed", "filters[0].path: its filter type lacks a name or feed"},
        {"bad_key", "filters[0].path: its filter type has a key that is reserved"},
        {"no_symbol", "filters[0].path: is not a filter: it does not export \"weir_filter\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char settings[128];
        snprintf(settings, sizeof(settings), ",\"path\":\"plugin_%s.so\"", cases[i].file);
        expect_refused(PLUGIN_DIR, settings, cases[i].message);
    }
}

/* Fields that came later are not looked for in it. */
static void a_plugin_of_the_first_header_works(void **state)
{
    (void)state;
    struct err e;
    struct chain *chain = open_chain(PLUGIN_DIR, ",\"path\":\"plugin_first_abi.so\"", &e);
    if (!chain) {
        fail_msg("%s", e.message);
    }
    assert_true(chain_filter_type(chain, 0)->size < sizeof(struct filter_type));
    struct trace trace;
    trace_run_text(&trace, chain, "a1", TRACE_CHARACTERS, NULL);
    assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "a1");
    trace_deinit(&trace);
    chain_unref(chain);
}

/* Files that are no shared objects, and one that is cut short anywhere. */
static void a_file_that_is_cut_short_is_refused(void **state)
{
    (void)state;
    char folder[] = "/tmp/weir-test-plugin-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[128];
    snprintf(path, sizeof(path), "%s/cut.so", folder);
    size_t len;
    struct err e;
    char *whole = file_read(PLUGIN_DIR "/plugin_example.so", 1 << 24, &len, &e);
    assert_non_null(whole);
    static const size_t lengths[] = {0, 1, 4, 63, 64, 100, 1000, 4096, 8192};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(whole, 1, lengths[i], file), lengths[i]);
        assert_int_equal(fclose(file), 0);
        expect_refused(folder, ",\"path\":\"cut.so\"",
                       "filters[0].path: is not a shared object of this machine, or is cut");
    }
    mem_free(whole);
    unlink(path);
    rmdir(folder);
}

/* It does so in a child, and this process is told. */
static void a_plugin_that_brings_its_process_down_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *how, *message;
    } cases[] = {
        {"crash", " crashed: signal 11"},
        {"abort", " crashed: signal 6"},
        {"exit", " ended the process with exit status 0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char settings[128], message[128];
        setenv("WEIR_TEST_PLUGIN", cases[i].how, 1);
        snprintf(message, sizeof(message), "filters[0].path: loading it%s", cases[i].message);
        expect_refused(PLUGIN_DIR, ",\"path\":\"plugin_crash.so\"", message);
        unsetenv("WEIR_TEST_PLUGIN");
        snprintf(settings, sizeof(settings), ",\"path\":\"plugin_crash.so\",\"how\":\"%s\"",
                 cases[i].how);
        snprintf(message, sizeof(message), "filters[0].path: giving it its settings%s",
                 cases[i].message);
        expect_refused(PLUGIN_DIR, settings, message);
    }
    expect_refused(PLUGIN_DIR, ",\"path\":\"plugin_crash.so\",\"how\":\"hang\"",
                   "filters[0].path: giving it its settings did not come to an end within");
    struct err e;
    struct chain *chain = open_chain(PLUGIN_DIR, ",\"path\":\"plugin_crash.so\"", &e);
    assert_non_null(chain);
    chain_unref(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plugin_filters_as_built_in_types_do),
        cmocka_unit_test(two_chains_may_use_one_plugin),
        cmocka_unit_test(plugins_of_one_chain_are_not_mixed_up),
        cmocka_unit_test(what_is_wrong_with_its_settings_is_named),
        cmocka_unit_test(what_does_not_follow_the_abi_is_refused),
        cmocka_unit_test(a_plugin_of_the_first_header_works),
        cmocka_unit_test(a_file_that_is_cut_short_is_refused),
        cmocka_unit_test(a_plugin_that_brings_its_process_down_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
