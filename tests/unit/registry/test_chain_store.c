/* chain_store.h: what it adds to the store of versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/registry/chain_store.h"
#include "tests/unit/registry/store_fixture.h"

#define WORDS(word) "{\"type\":\"wordlist\",\"words\":[\"" word "\"]}"

static struct chain_draft must_parse(const char *json)
{
    struct err e = {0};
    struct chain_draft d;
    if (chain_draft_parse(&d, "strict", json, strlen(json), &e) != 0) {
        fail_msg("%s", e.message);
    }
    return d;
}

static uint64_t put(struct version_store *s, const char *json, bool activates)
{
    struct err e = {0};
    struct chain_draft d = must_parse(json);
    assert_int_equal(chain_store_put(s, "strict", &d, 0, activates, &any_change, NULL, &e), 0);
    uint64_t version = chain_version(d.chain);
    chain_draft_deinit(&d);
    return version;
}

static void a_version_is_compiled_as_it_was_stored(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    struct chain_draft d = must_parse("{\"name\":\"other\",\"version\":9,\"author\":\"eve\","
                                      "\"note\":\"why\",\"filters\":[" WORDS("heron") "]}");
    assert_string_equal(d.author, "eve");
    assert_string_equal(d.note, "why");
    assert_string_equal(chain_name(d.chain), "strict");
    struct version_state now;
    assert_int_equal(chain_store_put(s, "strict", &d, 3, true, &any_change, &now, &e), 0);
    assert_int_equal(chain_version(d.chain), 4);
    assert_int_equal(now.active, 4);

    struct chain *c = chain_store_compile(s, "strict", "active", &e);
    assert_non_null(c);
    assert_string_equal(chain_name(c), "strict");
    assert_int_equal(chain_version(c), 4);
    assert_string_equal(chain_hash(c), chain_hash(d.chain));
    assert_int_equal(chain_filter_count(c), 1);
    chain_unref(c);
    chain_draft_deinit(&d);

    struct version_info *versions;
    size_t n;
    assert_int_equal(version_store_versions(s, "strict", 0, 9, &versions, &n, &e), 0);
    assert_int_equal(versions[0].detail, 1);
    assert_string_equal(versions[0].author, "eve");
    mem_free(versions);
    assert_int_equal(put(s, "{\"filters\":[]}", false), 5);
    assert_int_equal(chain_store_load(s, "strict", &now, &c, &e), 0);
    assert_int_equal(chain_version(c), 4);
    chain_unref(c);
    assert_null(chain_store_compile(s, "strict", "6", &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_string_equal(e.param, "version");
    store_close(s);
}

static void what_does_not_compile_is_no_draft(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum err_kind kind;
        const char *param;
    } wrong[] = {
        {"[]", ERR_INVALID, ""},
        {"{\"filters\":", ERR_FORMAT, ""},
        {"{\"filters\":1}", ERR_INVALID, "filters"},
        {"{\"filter\":[]}", ERR_INVALID, "filter"},
        {"{\"name\":\"a\",\"name\":\"b\",\"filters\":[]}", ERR_INVALID, "name"},
        {"{\"filters\":[{\"type\":\"none\"}]}", ERR_INVALID, "filters[0].type"},
        {"{\"filters\":[" WORDS("a") ",{\"type\":\"wordlist\",\"file\":\"/etc/passwd\"}]}",
         ERR_INVALID, "filters[1].file"},
        {"{\"filters\":[{\"type\":\"plugin\",\"path\":\"a.so\"}]}", ERR_INVALID,
         "filters[0].path"},
        {"{\"author\":3,\"filters\":[]}", ERR_INVALID, "author"},
        {"{\"author\":\"a\\nb\",\"filters\":[]}", ERR_INVALID, "author"},
        {"{\"note\":[],\"filters\":[]}", ERR_INVALID, "note"},
    };
    size_t live = mem_live();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct err e = {0};
        struct chain_draft d;
        int rc = chain_draft_parse(&d, "a", wrong[i].json, strlen(wrong[i].json), &e);
        if (rc != -1 || e.kind != wrong[i].kind || strcmp(e.param, wrong[i].param) != 0) {
            fail_msg("%s: rc %d, kind %d, param %s: %s", wrong[i].json, rc, e.kind, e.param,
                     e.message);
        }
        assert_int_equal(mem_live(), live);
    }
}

static int count(void *ctx, const struct version_state *state, struct chain *active,
                 struct err *e)
{
    (void)e;
    assert_int_equal(chain_version(active), state->active);
    ++*(int *)ctx;
    return 0;
}

/* As when it was stored by a build with a filter type that this one lacks. */
static void a_chain_of_another_build_is_told_and_ends_the_walk(void **state)
{
    (void)state;
    static const struct version_draft draft = {
        .content = "{\"name\":\"b\",\"filters\":[{\"type\":\"oracle\"}]}",
        .sha256 = "",
        .author = "",
        .note = ""};
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    int n = 0;
    put(s, "{\"filters\":[]}", true);
    assert_int_equal(chain_store_load_active(s, count, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_int_equal(version_store_put(s, "b", &draft, true, &any_change, NULL, NULL, &e), 0);
    assert_int_equal(chain_store_load_active(s, count, &n, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_non_null(strstr(e.message, "filter chain b@1: filters[0].type"));
    struct chain *c;
    assert_int_equal(chain_store_load(s, "b", NULL, &c, &e), -1);
    assert_null(c);
    store_close(s);
}

static void a_diff_has_a_value_a_line(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    struct version_text a;
    struct version_text b;
    struct buf out;
    put(s, "{\"filters\":[{\"type\":\"wordlist\",\"words\":[\"one\",\"two\"]}]}", true);
    put(s, "{\"filters\":[{\"type\":\"wordlist\",\"words\":[\"one\",\"2\",\"two\"]}]}", true);
    buf_init(&out, 1 << 16);
    assert_int_equal(version_store_get(s, "strict", "1", &a, &e), 0);
    assert_int_equal(version_store_get(s, "strict", "2", &b, &e), 0);
    assert_int_equal(chain_store_diff(&a, &a, &out, &e), 0);
    assert_int_equal(out.len, 0);
    assert_int_equal(chain_store_diff(&a, &b, &out, &e), 0);
    assert_non_null(strstr(out.data, "--- strict@1\n+++ strict@2\n@@"));
    assert_non_null(
        strstr(out.data, "\n         \"one\",\n+        \"2\",\n         \"two\"\n"));
    buf_deinit(&out);
    version_text_deinit(&a);
    version_text_deinit(&b);
    store_close(s);
}

static void a_failed_allocation_leaks_nothing(void **state)
{
    (void)state;
    static const char json[] = "{\"note\":\"n\",\"filters\":[" WORDS("heron") "]}";
    struct version_store *s = store_must_open(NULL);
    size_t live = mem_live();
    for (size_t nth = 1;; nth++) {
        struct err e = {0};
        struct chain_draft d;
        struct chain *c = NULL;
        mem_fail_at(nth);
        int rc = chain_draft_parse(&d, "strict", json, strlen(json), &e);
        if (rc == 0) {
            rc = chain_store_put(s, "strict", &d, 0, true, &any_change, NULL, &e);
            chain_draft_deinit(&d);
        }
        if (rc == 0) {
            c = chain_store_compile(s, "strict", NULL, &e);
            chain_unref(c);
        }
        bool failed = mem_fail_reached();
        mem_fail_at(0);
        assert_true(failed ? !c : c != NULL);
        assert_int_equal(mem_live(), live);
        if (!failed) {
            break;
        }
    }
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_is_compiled_as_it_was_stored),
        cmocka_unit_test(what_does_not_compile_is_no_draft),
        cmocka_unit_test(a_chain_of_another_build_is_told_and_ends_the_walk),
        cmocka_unit_test(a_diff_has_a_value_a_line),
        cmocka_unit_test(a_failed_allocation_leaks_nothing),
    };
    store_kind = VERSION_FILTERS;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
