/* prompt_store.h: what it adds to the store of versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/registry/prompt_store.h"
#include "tests/unit/registry/store_fixture.h"

static struct prompt *must_parse(const char *json)
{
    struct err e = {0};
    struct prompt *p = prompt_from_json(json, strlen(json), &e);
    if (!p) {
        fail_msg("%s", e.message);
    }
    return p;
}

static void a_version_is_read_back_whole(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    struct version_state now;
    struct prompt *p =
        must_parse("{\"text\":\"Hi "
                   "{{x}}\",\"mode\":\"default\",\"variables\":{\"x\":null},\"author\":\"eve\","
                   "\"note\":\"why\",\"examples\":[{\"user\":\"q\",\"assistant\":\"a\"}]}");
    assert_int_equal(prompt_store_put(s, "support", p, false, &any_change, &now, &e), 0);
    assert_int_equal(p->version, 1);
    assert_string_equal(p->name, "support");
    assert_true(p->created > 0);
    struct prompt *back = prompt_store_get(s, "support", "1", &e);
    assert_non_null(back);
    assert_string_equal(back->sha256, p->sha256);
    assert_string_equal(back->text, p->text);
    assert_int_equal(back->mode, PROMPT_DEFAULT);
    assert_string_equal(back->author, "eve");
    assert_string_equal(back->note, "why");
    assert_string_equal(back->examples[0].assistant, "a");
    assert_int_equal(back->created, p->created);
    prompt_unref(back);

    struct version_info *versions;
    size_t n;
    assert_int_equal(version_store_versions(s, "support", 0, 9, &versions, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_int_equal(versions[0].detail, PROMPT_DEFAULT);
    assert_int_equal(versions[0].size, p->text_len);
    mem_free(versions);
    prompt_unref(p);

    struct prompt *active;
    struct prompt *split;
    assert_int_equal(prompt_store_load(s, "support", &now, &active, &split, &e), 0);
    assert_true(!active && !split);
    p = must_parse("{\"text\":\"two\"}");
    assert_int_equal(prompt_store_put(s, "support", p, true, &any_change, NULL, &e), 0);
    prompt_unref(p);
    assert_int_equal(version_store_split(s, "support", 1, 5, &any_change, NULL, &e), 0);
    assert_int_equal(prompt_store_load(s, "support", &now, &active, &split, &e), 0);
    assert_string_equal(active->text, "two");
    assert_int_equal(split->version, 1);
    prompt_unref(active);
    prompt_unref(split);
    store_close(s);
}

static void a_draft_that_is_wrong_is_not_stored(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    struct prompt *p = prompt_create(0, "Hi {{x}}", 8, &e);
    assert_int_equal(prompt_store_put(s, "a", p, true, &any_change, NULL, &e), -1);
    assert_string_equal(e.param, "text");
    assert_int_equal(p->version, 0);
    prompt_unref(p);
    assert_null(prompt_store_get(s, "a", NULL, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    store_close(s);
}

/* The store holds a content against its own hash; this is the one of what it means. */
static void a_text_that_does_not_match_its_hash_is_not_served(void **state)
{
    (void)state;
    static const struct version_draft drafts[] = {
        {.content = "{\"text\":\"one\"}", .sha256 = "of another", .author = "", .note = ""},
        {.content = "{\"text\":1}", .sha256 = "", .author = "", .note = ""},
    };
    for (size_t i = 0; i < 2; i++) {
        struct version_store *s = store_must_open(NULL);
        struct err e = {0};
        assert_int_equal(
            version_store_put(s, "a", &drafts[i], true, &any_change, NULL, NULL, &e), 0);
        assert_null(prompt_store_get(s, "a", "1", &e));
        assert_int_equal(e.kind, ERR_IO);
        assert_string_equal(e.param, "");
        assert_non_null(strstr(e.message, "prompt a@1 is damaged"));
        store_close(s);
    }
}

static struct prompt *shared;

static void *take_and_release(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        prompt_unref(prompt_ref(shared));
    }
    prompt_unref(shared);
    return NULL;
}

static void a_version_is_released_by_whoever_is_last(void **state)
{
    (void)state;
    size_t live = mem_live();
    pthread_t threads[4];
    struct err e = {0};
    shared = prompt_create(0, "text", 4, &e);
    for (size_t i = 0; i < 3; i++) {
        prompt_ref(shared);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_release, NULL), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_is_read_back_whole),
        cmocka_unit_test(a_draft_that_is_wrong_is_not_stored),
        cmocka_unit_test(a_text_that_does_not_match_its_hash_is_not_served),
        cmocka_unit_test(a_version_is_released_by_whoever_is_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
