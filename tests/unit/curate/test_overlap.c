/* Runs of words that texts share with an evaluation set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "models/curate/overlap.h"

#define NONE UINT32_MAX

static void keep_least(void *ctx, uint32_t owner)
{
    uint32_t *least = ctx;
    *least = owner < *least ? owner : *least;
}

static void add(struct overlap *o, const char *text, uint32_t owner)
{
    struct words w = {0};
    struct err e;
    assert_int_equal(words_add(&w, text, strlen(text), &e), 0);
    assert_int_equal(overlap_add(o, w.items, w.count, owner, NULL, NULL, &e), 0);
    words_deinit(&w);
}

static uint32_t look_up(const struct overlap *o, const char *text)
{
    struct words w = {0};
    struct err e;
    uint32_t owner = NONE;
    assert_int_equal(words_add(&w, text, strlen(text), &e), 0);
    overlap_look_up(o, w.items, w.count, keep_least, &owner);
    words_deinit(&w);
    return owner;
}

static void long_texts_share_runs(void **state)
{
    (void)state;
    struct overlap o;
    overlap_init(&o, 13);
    add(&o, "a b c d e f g h i j k l m n o p", 7);
    assert_int_equal(look_up(&o, "x y b c d e f g h i j k l m n z"), 7);
    assert_int_equal(look_up(&o, "x y b c d e f g h i j k l m z"), NONE); /* 12 */
    assert_int_equal(look_up(&o, "a b c d e f g h i j k l"), NONE);
    assert_int_equal(look_up(&o, ""), NONE);
    overlap_deinit(&o);
}

static void short_ones_are_runs_themselves(void **state)
{
    (void)state;
    struct overlap o;
    overlap_init(&o, 13);
    add(&o, "What is the capital of the old kingdom?", 3); /* 8 */
    assert_int_equal(look_up(&o, "He asked: what is the capital of the old kingdom, now?"), 3);
    assert_int_equal(look_up(&o, "what is the capital of the new kingdom"), NONE);
    overlap_deinit(&o);
}

static void the_shortest_must_be_equal(void **state)
{
    (void)state;
    struct overlap o;
    overlap_init(&o, 13);
    add(&o, "What is 2 + 3?", 5);
    assert_int_equal(look_up(&o, "what is 2 + 3"), 5);
    assert_int_equal(look_up(&o, "What is 2 + 3 + 4?"), NONE);
    assert_int_equal(look_up(&o, "What is 2 - 3?"), NONE);
    overlap_deinit(&o);
}

static void a_large_set_is_found_again(void **state)
{
    (void)state;
    struct overlap o;
    struct err e;
    uint64_t words[5000];
    for (size_t i = 0; i < 5000; i++) {
        words[i] = words_mix(i);
    }
    overlap_init(&o, 5);
    assert_int_equal(overlap_add(&o, words, 5000, 1, NULL, NULL, &e), 0);
    assert_int_equal(o.count, 4996);
    for (size_t i = 0; i + 5 <= 5000; i += 7) {
        uint32_t owner = NONE;
        overlap_look_up(&o, words + i, 5, keep_least, &owner);
        assert_int_equal(owner, 1);
    }
    overlap_deinit(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_texts_share_runs),
        cmocka_unit_test(short_ones_are_runs_themselves),
        cmocka_unit_test(the_shortest_must_be_equal),
        cmocka_unit_test(a_large_set_is_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
