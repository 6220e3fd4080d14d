/* What a chain is read from, what is refused and how, and what its hash covers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "filters/registry.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "tests/unit/filters/toy_filters.h"
#include "tests/unit/filters/trace.h"

#define ONE(filter) "{\"name\":\"t\",\"filters\":[" filter "]}"

static void assert_hashes(const char *a, const char *b, bool equal)
{
    struct chain *x = trace_chain(a, toy_types);
    struct chain *y = trace_chain(b, toy_types);
    assert_int_equal(strcmp(chain_hash(x), chain_hash(y)) == 0, equal);
    assert_int_equal(strlen(chain_hash(x)), 64);
    chain_unref(x);
    chain_unref(y);
}

static void a_chain_knows_its_name_version_and_filters(void **state)
{
    (void)state;
    struct chain *chain =
        trace_chain("{\"name\":\"child-safe_2.0\",\"version\":12,\"filters\":["
                    "{\"type\":\"wordlist\",\"words\":[\"a\"],\"side\":\"input\"}]}",
                    NULL);
    assert_string_equal(chain_name(chain), "child-safe_2.0");
    assert_int_equal(chain_version(chain), 12);
    assert_int_equal(chain_filter_count(chain), 1);
    assert_ptr_equal(chain_filter_type(chain, 0),
                     filter_registry_find(filter_registry_builtin, "wordlist"));
    assert_true(chain_has_side(chain, FILTER_INPUT));
    assert_false(chain_has_side(chain, FILTER_OUTPUT));
    chain_unref(chain);
}

static void the_version_can_be_given_from_outside(void **state)
{
    (void)state;
    const char *json = "{\"name\":\"t\",\"version\":3,\"filters\":[]}";
    struct chain_options options = {.version = 9};
    struct err e;
    struct chain *chain = chain_from_json(json, strlen(json), &options, &e);
    assert_non_null(chain);
    assert_int_equal(chain_version(chain), 9);
    chain_unref(chain);
}

static void what_is_wrong_is_named_by_its_path(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *message;
    } cases[] = {
        {"[]", "a filter chain must be a JSON object"},
        {"{\"filters\":[]}", "name: must be a string of 1 to 64"},
        {"{\"name\":\"a b\",\"filters\":[]}", "name: must be a string of 1 to 64"},
        {"{\"name\":\"a\"}", "filters: must be a list of at most 32 filters"},
        {"{\"name\":\"a\",\"filters\":{}}", "filters: must be a list"},
        {"{\"name\":\"a\",\"filters\":[],\"fitlers\":[]}", "fitlers: is not a key"},
        {"{\"name\":\"a\",\"name\":\"b\",\"filters\":[]}", "name: is given twice"},
        {"{\"name\":\"a\",\"version\":1.5,\"filters\":[]}", "version: must be a whole number"},
        {"{\"name\":\"a\",\"version\":\"1\",\"filters\":[]}",
         "version: must be a whole number"},
        {"{\"name\":\"a\",\"refusal\":\"\",\"filters\":[]}", "refusal: must be a string of 1"},
        {"{\"name\":\"a\",\"refusal\":null,\"filters\":[]}", "refusal: must be a string"},
        {ONE("7"), "filters[0]: must be an object"},
        {ONE("{}"), "filters[0].type: must be the name of a filter type"},
        {ONE("{\"type\":\"magic\"}"), "filters[0].type: there is no filter type \"magic\""},
        {ONE("{\"type\":\"other_abi\"}"),
         "filters[0].type: filter type \"other_abi\" does not"},
        {ONE("{\"type\":\"input_only\"}"), "filters[0].side: filter type \"input_only\" works"},
        {ONE("{\"type\":\"span\",\"side\":\"left\"}"), "filters[0].side: must be"},
        {ONE("{\"type\":\"span\",\"side\":1}"), "filters[0].side: must be"},
        {ONE("{\"type\":\"span\",\"fail\":\"loud\"}"), "filters[0].fail: must be"},
        {ONE("{\"type\":\"span\",\"x\":1}"), "filters[0].x: filter type \"span\" has no such"},
        {ONE("{\"type\":\"span\"},{\"type\":\"swap\"}"), "filters[1].what: is missing"},
        {ONE("{\"type\":\"swap\",\"what\":1}"), "filters[0].what: must be a string"},
        {ONE("{\"type\":\"swap\",\"what\":\"aa\"}"), "filters[0].what: must be one byte"},
        {ONE("{\"type\":\"swap\",\"what\":\"a\",\"what\":\"b\"}"), "filters[0].what: is given"},
        {ONE("{\"type\":\"fail\",\"how\":\"badly\"}"),
         "filters[0].how: \"badly\" is not one of \"code\", \"message\""},
        {ONE("{\"type\":\"fail\",\"how\":null}"), "filters[0].how: must be a string"},
        {ONE("{\"type\":\"chaos\",\"seed\":\"1\"}"), "filters[0].seed: must be a number"},
        {ONE("{\"type\":\"wordlist\",\"words\":\"a\"}"), "filters[0].words: must be a list"},
        {ONE("{\"type\":\"wordlist\",\"words\":[\"a\",2]}"),
         "filters[0].words: item 1 must be"},
        {ONE("{\"type\":\"wordlist\",\"words\":[\"a\",\"\"]}"),
         "filters[0].words[1]: is empty"},
        {ONE("{\"type\":\"wordlist\"}"), "filters[0]: there are no words"},
        {ONE("{\"type\":\"wordlist\",\"words\":[]}"), "filters[0]: there are no words"},
        {ONE("{\"type\":\"wordlist\",\"words\":[\"a\"],\"case_sensitive\":1}"),
         "filters[0].case_sensitive: must be true or false"},
        {ONE("{\"type\":\"wordlist\",\"words\":[\"a\"],\"replacement\":\"x\"}"),
         "filters[0].replacement: is of no use unless \"action\" is \"replace\""},
        {ONE("{\"type\":\"wordlist\",\"words\":[\"a\"],\"action\":\"mask\",\"mask\":\"xy\"}"),
         "filters[0].mask: must be one character"},
        {ONE("{\"type\":\"wordlist\",\"file\":\"words.txt\"}"),
         "filters[0].file: only a chain that is read from a file may name files"},
        {"{\"name\":\"a\",", "invalid JSON at line 1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct chain_options options = {.types = toy_types};
        struct err e;
        assert_null(chain_from_json(cases[i].json, strlen(cases[i].json), &options, &e));
        if (strncmp(e.message, cases[i].message, strlen(cases[i].message)) != 0) {
            fail_msg("%s\ngives: %s\nnot:   %s", cases[i].json, e.message, cases[i].message);
        }
    }
}

static void the_error_names_the_key_for_programs_too(void **state)
{
    (void)state;
    const char *json = ONE("{\"type\":\"wordlist\",\"action\":\"stpo\"}");
    struct err e;
    assert_null(chain_from_json(json, strlen(json), NULL, &e));
    assert_int_equal(e.kind, ERR_INVALID);
    assert_string_equal(e.param, "filters[0].action");
}

static void too_many_filters_are_refused(void **state)
{
    (void)state;
    struct buf json;
    buf_init(&json, 1 << 16);
    buf_append_str(&json, "{\"name\":\"t\",\"filters\":[{\"type\":\"span\"}");
    for (int i = 0; i < CHAIN_MAX_FILTERS; i++) {
        buf_append_str(&json, ",{\"type\":\"span\"}");
    }
    buf_append_str(&json, "]}");
    struct chain_options options = {.types = toy_types};
    struct err e;
    assert_null(chain_from_json(json.data, json.len, &options, &e));
    assert_string_equal(e.param, "filters");
    buf_deinit(&json);
}

static void the_hash_is_the_same_for_the_same_meaning(void **state)
{
    (void)state;
    const char *plain = ONE("{\"type\":\"wordlist\",\"words\":[\"a\",\"b\"]}");
    assert_hashes(plain,
                  "{ \"filters\": [ {\"action\":\"stop\", \"word_boundaries\":true,\n"
                  "\"words\":[\"\\u0061\",\"b\"], \"fail\":\"closed\", \"side\":\"output\","
                  "\"type\":\"wordlist\"} ], \"version\": 4, \"name\":\"other\" }",
                  true);
}

static void the_hash_differs_when_anything_that_matters_differs(void **state)
{
    (void)state;
    const char *plain = ONE("{\"type\":\"wordlist\",\"words\":[\"a\",\"b\"]}");
    static const char *const others[] = {
        ONE("{\"type\":\"wordlist\",\"words\":[\"b\",\"a\"]}"),
        ONE("{\"type\":\"wordlist\",\"words\":[\"ab\"]}"),
        ONE("{\"type\":\"wordlist\",\"words\":[\"a\",\"b\"],\"fail\":\"open\"}"),
        ONE("{\"type\":\"wordlist\",\"words\":[\"a\",\"b\"],\"side\":\"both\"}"),
        ONE("{\"type\":\"wordlist\",\"words\":[\"a\",\"b\"],\"action\":\"note\"}"),
        ONE("{\"type\":\"wordlist\",\"words\":[\"a\",\"b\"],\"case_sensitive\":true}"),
        ONE("{\"type\":\"wordlist\",\"words\":[\"a\",\"b\"]},"
            "{\"type\":\"wordlist\",\"words\":[\"a\",\"b\"]}"),
        ONE(""),
        "{\"name\":\"a\",\"refusal\":\"No.\",\"filters\":[{\"type\":\"wordlist\",\"words\":"
        "[\"a\",\"b\"]}]}",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_hashes(plain, others[i], false);
    }
}

/* A folder with a chain and a word list in it. */
struct folder {
    char path[64];
    char chain[96];
    char words[96];
};

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static struct folder make_folder(const char *words)
{
    struct folder folder;
    strcpy(folder.path, "/tmp/weir-test-chain-XXXXXX");
    assert_non_null(mkdtemp(folder.path));
    snprintf(folder.chain, sizeof(folder.chain), "%s/chain.json", folder.path);
    snprintf(folder.words, sizeof(folder.words), "%s/words.txt", folder.path);
    write_file(folder.chain, ONE("{\"type\":\"wordlist\",\"file\":\"words.txt\"}"));
    write_file(folder.words, words);
    return folder;
}

static void remove_folder(const struct folder *folder)
{
    unlink(folder->chain);
    unlink(folder->words);
    rmdir(folder->path);
}

static void words_come_from_a_file_beside_the_chain(void **state)
{
    (void)state;
    struct folder folder = make_folder("\xEF\xBB\xBF one \r\n\n\ttwo words\r\nthree");
    struct err e;
    struct chain *chain = chain_from_file(folder.chain, &e);
    assert_non_null(chain);
    struct trace trace;
    trace_run_text(&trace, chain, "one", TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&trace.events),
                        "stop 0/wordlist content#0 0-3 @0 wordlist: line 1 of file\n");
    trace_deinit(&trace);
    trace_run_text(&trace, chain, "a Two Words", TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&trace.events),
                        "stop 0/wordlist content#0 2-11 @2 wordlist: line 3 of file\n");
    trace_deinit(&trace);
    trace_run_text(&trace, chain, "three", TRACE_WHOLE, NULL);
    assert_int_equal(trace.status, CHAIN_STOPPED);
    trace_deinit(&trace);
    chain_unref(chain);
    remove_folder(&folder);
}

static void the_hash_covers_the_content_of_files_and_not_their_names(void **state)
{
    (void)state;
    struct folder a = make_folder("one\n");
    struct folder b = make_folder("one\n");
    struct folder c = make_folder("two\n");
    struct err e;
    struct chain *x = chain_from_file(a.chain, &e);
    struct chain *y = chain_from_file(b.chain, &e);
    struct chain *z = chain_from_file(c.chain, &e);
    assert_string_equal(chain_hash(x), chain_hash(y));
    assert_string_not_equal(chain_hash(x), chain_hash(z));
    chain_unref(x);
    chain_unref(y);
    chain_unref(z);
    remove_folder(&a);
    remove_folder(&b);
    remove_folder(&c);
}

static void a_bad_file_is_named_with_the_line(void **state)
{
    (void)state;
    struct folder folder = make_folder("one\ntwo\xFF\n");
    struct err e;
    assert_null(chain_from_file(folder.chain, &e));
    assert_non_null(
        strstr(e.message, "chain.json: filters[0].file: the word on line 2 is not"));
    unlink(folder.words);
    assert_null(chain_from_file(folder.chain, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(e.message, "chain.json: filters[0].file: "));
    assert_non_null(strstr(e.message, "words.txt: cannot open"));
    remove_folder(&folder);
    assert_null(chain_from_file(folder.chain, &e));
    assert_non_null(strstr(e.message, "chain.json: cannot open"));
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    const char *json =
        ONE("{\"type\":\"wordlist\",\"words\":[\"one\",\"two\"],\"action\":\"mask\"},"
            "{\"type\":\"wordlist\",\"words\":[\"two\",\"three\"],\"action\":\"replace\"}");
    size_t before = mem_live();
    for (size_t nth = 1;; nth++) {
        struct err e;
        mem_fail_at(nth);
        struct chain *chain = chain_from_json(json, strlen(json), NULL, &e);
        bool reached = mem_fail_reached();
        mem_fail_at(0);
        if (chain) {
            assert_false(reached);
            chain_unref(chain);
            assert_int_equal(mem_live(), before);
            assert_true(nth > 20);
            return;
        }
        assert_true(reached);
        assert_non_null(strstr(e.message, "out of memory"));
        assert_int_equal(mem_live(), before);
    }
}

int main(void)
{
    /* cJSON's allocations count and fail like our own. */
    cJSON_Hooks hooks = {.malloc_fn = mem_alloc, .free_fn = mem_free};
    cJSON_InitHooks(&hooks);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_knows_its_name_version_and_filters),
        cmocka_unit_test(the_version_can_be_given_from_outside),
        cmocka_unit_test(what_is_wrong_is_named_by_its_path),
        cmocka_unit_test(the_error_names_the_key_for_programs_too),
        cmocka_unit_test(too_many_filters_are_refused),
        cmocka_unit_test(the_hash_is_the_same_for_the_same_meaning),
        cmocka_unit_test(the_hash_differs_when_anything_that_matters_differs),
        cmocka_unit_test(words_come_from_a_file_beside_the_chain),
        cmocka_unit_test(the_hash_covers_the_content_of_files_and_not_their_names),
        cmocka_unit_test(a_bad_file_is_named_with_the_line),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
