#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "models/tokenizer/word_cache.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

#define LONG_TEXT ((size_t)1 << 24)

static void put_one(struct word_cache *c, const char *word, size_t len, int32_t id)
{
    word_cache_put(c, word, len, &id, 1);
}

static void expect_one(const struct word_cache *c, const char *word, size_t len, int32_t id)
{
    size_t n = 0;
    const int32_t *ids = word_cache_find(c, word, len, &n);
    assert_non_null(ids);
    assert_int_equal(n, 1);
    assert_int_equal(ids[0], id);
}

/* Of each length, and with any one byte changed or taken away it is another word. */
static void a_word_is_known_by_all_of_its_bytes(void **state)
{
    (void)state;
    struct word_cache c;
    size_t n;
    assert_int_equal(word_cache_init(&c, LONG_TEXT), 0);
    for (size_t len = 1; len <= WORD_CACHE_MAX_WORD; len++) {
        char word[WORD_CACHE_MAX_WORD + 1] = "\0bcdefghijklmnop";
        put_one(&c, word, len, (int32_t)len);
        expect_one(&c, word, len, (int32_t)len);
        for (size_t i = 0; i < len; i++) {
            word[i] ^= 1;
            assert_null(word_cache_find(&c, word, len, &n));
            word[i] ^= 1;
        }
        assert_null(word_cache_find(&c, word, len + 1, &n));
    }
    word_cache_deinit(&c);
    assert_int_equal(mem_live(), 0);
}

static void a_long_word_or_one_of_many_tokens_is_not_kept(void **state)
{
    (void)state;
    int32_t ids[WORD_CACHE_MAX_IDS + 1] = {7};
    struct word_cache c;
    size_t n;
    assert_int_equal(word_cache_init(&c, LONG_TEXT), 0);
    put_one(&c, "abcdefghijklmnopq", WORD_CACHE_MAX_WORD + 1, 1);
    assert_null(word_cache_find(&c, "abcdefghijklmnopq", WORD_CACHE_MAX_WORD + 1, &n));
    word_cache_put(&c, "abcdefghijkl", 12, ids, WORD_CACHE_MAX_IDS + 1);
    assert_null(word_cache_find(&c, "abcdefghijkl", 12, &n));
    word_cache_put(&c, "abcdefghijkl", 12, ids, WORD_CACHE_MAX_IDS);
    assert_memory_equal(word_cache_find(&c, "abcdefghijkl", 12, &n), ids, sizeof(ids) - 4);
    assert_int_equal(n, WORD_CACHE_MAX_IDS);
    assert_null(word_cache_find(&c, "", 0, &n));
    word_cache_deinit(&c);
}

/* More words than places: what is found is always right. */
static void a_later_word_takes_the_place(void **state)
{
    (void)state;
    struct word_cache c;
    struct rng r;
    size_t n, found = 0;
    rng_seed(&r, 1);
    assert_int_equal(word_cache_init(&c, LONG_TEXT), 0);
    for (int i = 0; i < 500000; i++) {
        int32_t id = (int32_t)rng_below(&r, 1 << 17);
        const int32_t *ids = word_cache_find(&c, (const char *)&id, sizeof(id), &n);
        if (ids) {
            assert_int_equal(ids[0], id);
            found++;
        } else {
            put_one(&c, (const char *)&id, sizeof(id), id);
            expect_one(&c, (const char *)&id, sizeof(id), id);
        }
    }
    assert_true(found > 30000); /* an eighth of the words is there at a time */
    word_cache_deinit(&c);
}

static void a_short_text_gets_none(void **state)
{
    (void)state;
    struct word_cache c;
    size_t n;
    assert_int_equal(word_cache_init(&c, 100), 0);
    put_one(&c, "a", 1, 1);
    assert_null(word_cache_find(&c, "a", 1, &n));
    word_cache_deinit(&c);
    mem_fail_at(1);
    assert_int_equal(word_cache_init(&c, LONG_TEXT), -1);
    mem_fail_at(0);
    word_cache_deinit(&c);
    assert_int_equal(mem_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_is_known_by_all_of_its_bytes),
        cmocka_unit_test(a_long_word_or_one_of_many_tokens_is_not_kept),
        cmocka_unit_test(a_later_word_takes_the_place),
        cmocka_unit_test(a_short_text_gets_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
