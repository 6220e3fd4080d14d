/* Words, shingles and sketches: what is the same, and how well a sketch guesses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/curate/near.h"
#include "models/curate/sketch.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

static struct words words_of(const char *text)
{
    struct words w = {0};
    struct err e;
    assert_int_equal(words_add(&w, text, strlen(text), &e), 0);
    return w;
}

static int is_same(const char *a, const char *b)
{
    struct words x = words_of(a), y = words_of(b);
    struct words_digest p = words_digest(x.items, x.count), q = words_digest(y.items, y.count);
    words_deinit(&x);
    words_deinit(&y);
    return memcmp(&p, &q, sizeof(p)) == 0;
}

static void case_spacing_and_punctuation_do_not_count(void **state)
{
    (void)state;
    assert_true(is_same("Hello,  World!", "hello world"));
    assert_true(is_same("\xc3\x84rger \xe2\x80\x93 gro\xc3\x9f", "\xc3\xa4rger gro\xc3\x9f"));
    assert_true(is_same("a\n\nb", "a b"));
    assert_false(is_same("hello world", "world hello"));
    assert_false(is_same("helloworld", "hello world"));
    assert_false(is_same("2 + 3", "2 - 3"));
    assert_false(is_same("5 * 3", "5 3"));
    assert_false(is_same("2.5", "25"));
}

static void characters_without_spaces_are_words(void **state)
{
    (void)state;
    struct words w = words_of("\xe4\xbd\xa0\xe5\xa5\xbd");
    assert_int_equal(w.count, 2);
    words_deinit(&w);
}

/* A rolling hash against one made afresh. */
static void runs_are_the_same_wherever_they_stand(void **state)
{
    (void)state;
    struct words a = words_of("one two three four five"), b = words_of("three four five six");
    for (size_t n = 1; n <= 3; n++) {
        struct ngrams g, h;
        uint64_t x, y = 0;
        ngrams_init(&g, b.items, b.count, n);
        assert_true(ngrams_next(&g, &x));
        ngrams_init(&h, a.items, a.count, n);
        size_t at = 0, found = SIZE_MAX, all = 0;
        for (; ngrams_next(&h, &y); at++, all++) {
            found = y == x ? at : found;
        }
        assert_int_equal(found, 2);
        assert_int_equal(all, 5 - n + 1);
    }
    words_deinit(&a);
    words_deinit(&b);
}

static struct shingles shingles_of(const char *text, size_t n)
{
    struct words w = words_of(text);
    struct shingles s = {0};
    struct err e;
    assert_int_equal(shingles_of_words(&s, &w, n, &e), 0);
    shingles_unite(&s);
    words_deinit(&w);
    return s;
}

static void jaccard_is_counted_exactly(void **state)
{
    (void)state;
    struct shingles a = shingles_of("a b c d e", 2), b = shingles_of("a b c d f", 2);
    struct shingles none = {0};
    /* ab bc cd de against ab bc cd df */
    assert_true(fabs(shingles_jaccard(&a, &b) - 3.0 / 5) < 1e-12);
    assert_true(shingles_jaccard(&a, &a) == 1);
    assert_true(shingles_jaccard(&none, &none) == 0);
    shingles_deinit(&a);
    shingles_deinit(&b);
    struct shingles x = {0}, y = {0};
    struct err e;
    assert_int_equal(shingles_of_bytes(&x, "Hello \t World", 13, 4, &e), 0);
    assert_int_equal(shingles_of_bytes(&y, "hello world", 11, 4, &e), 0);
    shingles_unite(&x);
    shingles_unite(&y);
    assert_true(shingles_jaccard(&x, &y) == 1);
    assert_int_equal(x.count, 8);
    shingles_deinit(&x);
    shingles_deinit(&y);
}

/* Sets with a known index: common of all, the rest split. */
static void make_pair(struct rng *r, struct shingles *a, struct shingles *b, size_t all,
                      size_t common)
{
    a->count = b->count = 0;
    for (uint32_t i = 0, x = 0; i < all; i++) {
        x += 1 + rng_below(r, 1000000);
        if (i % all < common || i % 2) {
            a->items[a->count++] = x;
        }
        if (i % all < common || i % 2 == 0) {
            b->items[b->count++] = x;
        }
    }
}

static void sketches_guess_the_index_and_find_pairs(void **state)
{
    (void)state;
    struct rng r;
    struct shingles a = {.items = mem_array(400, 4)}, b = {.items = mem_array(400, 4)};
    rng_seed(&r, 3);
    for (size_t common = 100; common <= 400; common += 60) {
        double error = 0, square = 0;
        unsigned found = 0;
        for (unsigned t = 0; t < 300; t++) {
            struct sketch x, y;
            make_pair(&r, &a, &b, 400, common);
            double truth = shingles_jaccard(&a, &b);
            sketch_make(&x, &a, t);
            sketch_make(&y, &b, t);
            error += sketch_jaccard(&x, &y) - truth;
            square += pow(sketch_jaccard(&x, &y) - truth, 2);
            bool is_candidate = false;
            for (size_t k = 0; k < SKETCH_BANDS; k++) {
                is_candidate |= sketch_band(&x, k) == sketch_band(&y, k);
            }
            found += is_candidate;
        }
        double j = (double)common / 400, expected = 1 - pow(1 - pow(j, 6), 20);
        assert_true(fabs(error / 300) < 0.015);
        assert_true(sqrt(square / 300) < 0.06);
        assert_true(fabs(found / 300.0 - expected) < 0.12);
    }
    mem_free(a.items);
    mem_free(b.items);
}

/* near_find against all pairs, on texts of a small vocabulary. */
#define TEXTS 400

struct texts {
    struct shingles shingles[TEXTS];
};

static int load(void *ctx, size_t worker, uint32_t id, struct shingles *out, struct err *e)
{
    struct texts *t = ctx;
    (void)worker;
    uint32_t *items = mem_realloc_array(out->items, t->shingles[id].count + 1, 4);
    if (!items) {
        return err_nomem(e);
    }
    memcpy(items, t->shingles[id].items, t->shingles[id].count * 4);
    *out = (struct shingles){items, t->shingles[id].count, t->shingles[id].count + 1};
    return 0;
}

static void all_pairs_are_found_and_no_others(void **state)
{
    (void)state;
    static struct texts t;
    static struct sketch sketches[TEXTS];
    static uint32_t ids[TEXTS];
    struct rng r;
    struct err e;
    rng_seed(&r, 9);
    for (uint32_t i = 0; i < TEXTS; i++) {
        /* Every fourth is the one before with some of its words changed. */
        uint64_t words[120];
        struct words w = {words, 120, 120};
        rng_seed(&r, i / 4);
        for (size_t k = 0; k < 120; k++) {
            words[k] = rng_next(&r);
        }
        rng_seed(&r, 1000 + i);
        for (uint32_t k = 0; k < i % 4 * 3; k++) {
            words[rng_below(&r, 120)] = rng_next(&r);
        }
        assert_int_equal(shingles_of_words(&t.shingles[i], &w, 3, &e), 0);
        sketch_make(&sketches[i], &t.shingles[i], 1);
        shingles_unite(&t.shingles[i]);
        ids[i] = i;
    }
    struct near_pairs one = {0}, four = {0};
    struct near_search search = {.sketches = sketches,
                                 .ids = ids,
                                 .n_ids = TEXTS,
                                 .threshold = 0.7,
                                 .threads = 1,
                                 .load = load,
                                 .ctx = &t};
    assert_int_equal(near_find(&search, &one, &e), 0);
    search.threads = 4;
    assert_int_equal(near_find(&search, &four, &e), 0);
    assert_int_equal(one.count, four.count);
    size_t expected = 0, missed = 0, at = 0;
    for (uint32_t i = 0; i < TEXTS; i++) {
        for (uint32_t j = 0; j < i; j++) {
            bool is_near = shingles_jaccard(&t.shingles[i], &t.shingles[j]) >= 0.7;
            bool is_found =
                at < one.count && one.items[at].later == i && one.items[at].earlier == j;
            assert_false(is_found && !is_near);
            expected += is_near;
            missed += is_near && !is_found;
            at += is_found;
        }
    }
    assert_int_equal(at, one.count);
    assert_memory_equal(one.items, four.items, one.count * sizeof(*one.items));
    assert_true(expected > 150);
    assert_true(missed * 20 <= expected); /* 0.92 at J = 0.7, more above */
    near_pairs_deinit(&one);
    near_pairs_deinit(&four);
    for (size_t i = 0; i < TEXTS; i++) {
        shingles_deinit(&t.shingles[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_spacing_and_punctuation_do_not_count),
        cmocka_unit_test(characters_without_spaces_are_words),
        cmocka_unit_test(runs_are_the_same_wherever_they_stand),
        cmocka_unit_test(jaccard_is_counted_exactly),
        cmocka_unit_test(sketches_guess_the_index_and_find_pairs),
        cmocka_unit_test(all_pairs_are_found_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
