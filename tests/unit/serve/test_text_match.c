/* text_match.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/base/rng.h"
#include "runtime/serve/text_match.h"

static size_t same_of(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] && a[n] == b[n]) {
        n++;
    }
    return n;
}

/* Feeds both in random pieces by turns. */
static void check(const char *a, const char *b, uint64_t seed)
{
    const char *texts[2] = {a, b};
    size_t len[2] = {strlen(a), strlen(b)}, at[2] = {0, 0};
    struct rng rng;
    struct text_match m;
    rng_seed(&rng, seed);
    text_match_init(&m, SIZE_MAX / 2);
    while (at[0] < len[0] || at[1] < len[1]) {
        int side = (int)(rng_next(&rng) & 1);
        size_t n = (size_t)(rng_next(&rng) % 5);
        n = n < len[side] - at[side] ? n : len[side] - at[side];
        text_match_feed(&m, side, texts[side] + at[side], n);
        at[side] += n;
    }
    size_t shorter = len[0] < len[1] ? len[0] : len[1];
    assert_false(m.out_of_memory);
    assert_int_equal(m.len[0], len[0]);
    assert_int_equal(m.len[1], len[1]);
    assert_int_equal(m.same, same_of(a, b));
    assert_int_equal(m.differs, same_of(a, b) < shorter);
    text_match_deinit(&m);
}

static void the_first_difference_is_found(void **state)
{
    static const char *const texts[] = {
        "",
        "a",
        "b",
        "Once upon a time there was",
        "Once upon a time there was a fox",
        "Once upon a tree there was a fox",
        "once upon a time there was a fox",
    };
    (void)state;
    const size_t n = sizeof(texts) / sizeof(texts[0]);
    for (uint64_t seed = 0; seed < 200; seed++) {
        for (size_t i = 0; i < n * n; i++) {
            check(texts[i / n], texts[i % n], seed * n * n + i);
        }
    }
}

static void what_is_ahead_is_bounded(void **state)
{
    (void)state;
    struct text_match m;
    text_match_init(&m, 8);
    text_match_feed(&m, 1, "12345678", 8);
    text_match_feed(&m, 0, "1234", 4);
    text_match_feed(&m, 1, "9abc", 4);
    assert_false(m.out_of_memory);
    text_match_feed(&m, 1, "d", 1);
    assert_true(m.out_of_memory);
    text_match_feed(&m, 0, "56789abcd", 9);
    assert_true(m.out_of_memory);
    text_match_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_difference_is_found),
        cmocka_unit_test(what_is_ahead_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
