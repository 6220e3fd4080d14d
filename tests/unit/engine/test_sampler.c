#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/engine/sampler.h"

#define VOCAB 1000
#define DRAWS 20000

/* Everything off, so that tests switch on what they are about. */
static const struct sampling plain = {.temperature = 1.0f, .top_p = 1.0f, .seed = 1};

/* How often each token is drawn. */
static void draw_many(const struct sampling *params, const float *logits, int vocab,
                      int counts[VOCAB])
{
    struct err e = {0};
    struct sampler s;
    struct sampler_scratch scratch;
    const struct sampler_input in = {.logits = logits, .vocab = vocab};
    assert_int_equal(sampler_scratch_init(&scratch, ops_select(0), vocab, 0, &e), 0);
    sampler_init(&s, params);
    memset(counts, 0, VOCAB * sizeof(counts[0]));
    for (int i = 0; i < DRAWS; i++) {
        int32_t token = sampler_next(&s, &in, &scratch);
        assert_in_range(token, 0, vocab - 1);
        counts[token]++;
    }
    sampler_scratch_deinit(&scratch);
}

static int count_drawn(const int counts[VOCAB])
{
    int drawn = 0;
    for (int i = 0; i < VOCAB; i++) {
        drawn += counts[i] > 0;
    }
    return drawn;
}

static void greedy_takes_the_lowest_id_of_the_highest(void **state)
{
    const float logits[] = {1.0f, 3.0f, 2.0f, 3.0f, -1.0f};
    const struct sampling greedy = {.temperature = 0.0f, .top_p = 1.0f};
    int counts[VOCAB];
    (void)state;
    draw_many(&greedy, logits, 5, counts);
    assert_int_equal(counts[1], DRAWS);
}

static void draws_follow_the_softmax(void **state)
{
    const float logits[] = {logf(1.0f), logf(2.0f), logf(3.0f), logf(4.0f)};
    int counts[VOCAB];
    (void)state;
    draw_many(&plain, logits, 4, counts);
    for (int i = 0; i < 4; i++) {
        /* The standard deviation of a count is below 71. */
        assert_true(abs(counts[i] - DRAWS * (i + 1) / 10) < 350);
    }
}

static void temperature_sharpens(void **state)
{
    const float logits[] = {logf(1.0f), logf(3.0f)};
    struct sampling half = plain;
    int counts[VOCAB];
    (void)state;
    half.temperature = 0.5f; /* weights 1 and 9 */
    draw_many(&half, logits, 2, counts);
    assert_true(abs(counts[0] - DRAWS / 10) < 250);
}

static void top_k_keeps_the_k_best(void **state)
{
    float logits[VOCAB];
    int counts[VOCAB];
    struct sampling params = plain;
    (void)state;
    for (int i = 0; i < VOCAB; i++) {
        logits[i] =
            (float)((i * 7) % VOCAB) * 1e-3f; /* the best is where i * 7 mod 1000 = 999 */
    }
    params.top_k = 3;
    draw_many(&params, logits, VOCAB, counts);
    assert_int_equal(count_drawn(counts), 3);
    for (int i = 0; i < VOCAB; i++) {
        assert_int_equal(counts[i] > 0, (i * 7) % VOCAB >= VOCAB - 3);
    }
    params.top_k = 1;
    draw_many(&params, logits, VOCAB, counts);
    assert_int_equal(count_drawn(counts), 1);
}

static void top_k_takes_the_lower_ids_among_equals(void **state)
{
    const float logits[] = {0.0f, 1.0f, 0.0f, 0.0f, 0.0f};
    int counts[VOCAB];
    struct sampling params = plain;
    (void)state;
    params.top_k = 3;
    draw_many(&params, logits, 5, counts);
    assert_true(counts[0] > 0 && counts[1] > 0 && counts[2] > 0);
    assert_int_equal(counts[3] + counts[4], 0);
}

static void top_p_keeps_the_fewest_that_reach_it(void **state)
{
    const float logits[] = {logf(0.1f), logf(0.4f), logf(0.2f), logf(0.3f)};
    int counts[VOCAB];
    struct sampling params = plain;
    (void)state;
    params.top_p = 0.65f; /* 0.4 and 0.3 */
    draw_many(&params, logits, 4, counts);
    assert_int_equal(counts[0] + counts[2], 0);
    assert_true(abs(counts[1] - DRAWS * 4 / 7) < 350);
    params.top_p = 0.0f;
    draw_many(&params, logits, 4, counts);
    assert_int_equal(counts[1], DRAWS);
}

static void top_p_reaches_far_into_a_flat_vocabulary(void **state)
{
    float logits[VOCAB];
    int counts[VOCAB];
    struct sampling params = plain;
    (void)state;
    for (int i = 0; i < VOCAB; i++) {
        logits[i] = 0.0f;
    }
    params.top_p = 0.4995f; /* between two sums, so that rounding does not matter */
    draw_many(&params, logits, VOCAB, counts);
    assert_true(count_drawn(counts) > 490); /* each is missed with probability exp(-40) */
    for (int i = 500; i < VOCAB; i++) {
        assert_int_equal(counts[i], 0);
    }
}

static void min_p_cuts_what_is_far_below_the_best(void **state)
{
    const float logits[] = {logf(0.5f), logf(0.3f), logf(0.16f), logf(0.04f)};
    int counts[VOCAB];
    struct sampling params = plain;
    (void)state;
    params.min_p = 0.3f; /* of 0.5: 0.15 and more stay */
    draw_many(&params, logits, 4, counts);
    assert_int_equal(counts[3], 0);
    assert_true(counts[0] > 0 && counts[1] > 0 && counts[2] > 0);
    params.min_p = 1.0f;
    draw_many(&params, logits, 4, counts);
    assert_int_equal(counts[0], DRAWS);
}

static void draw_some(uint64_t seed, const float *logits, int32_t tokens[64])
{
    struct err e = {0};
    struct sampling params = SAMPLING_DEFAULT;
    struct sampler s;
    struct sampler_scratch scratch;
    params.seed = seed;
    const struct sampler_input in = {.logits = logits, .vocab = VOCAB};
    assert_int_equal(sampler_scratch_init(&scratch, ops_select(0), VOCAB, 0, &e), 0);
    sampler_init(&s, &params);
    for (int i = 0; i < 64; i++) {
        tokens[i] = sampler_next(&s, &in, &scratch);
    }
    sampler_scratch_deinit(&scratch);
}

static void the_seed_alone_decides(void **state)
{
    float logits[VOCAB];
    int32_t first[64];
    int32_t again[64];
    int32_t other[64];
    (void)state;
    for (int i = 0; i < VOCAB; i++) {
        logits[i] = (float)((i * 7) % VOCAB) * 1e-3f;
    }
    draw_some(5, logits, first);
    draw_some(5, logits, again);
    draw_some(6, logits, other);
    assert_memory_equal(first, again, sizeof(first));
    assert_memory_not_equal(first, other, sizeof(first));
}

/* --- what may not be drawn --- */

/* Draws often by every way of choosing; each token has to be one of those in `wanted`. */
static void only_these_are_drawn(struct sampler_input in, struct sampling p, uint32_t wanted)
{
    struct err e = {0};
    struct sampler_scratch scratch;
    assert_int_equal(sampler_scratch_init(&scratch, ops_select(0), in.vocab, 8, &e), 0);
    for (int way = 0; way < 4; way++) {
        p.temperature = way == 0 ? 0.0f : 2.0f;
        p.mirostat = way == 1 ? 2 : 0;
        p.mirostat_tau = 50.0f;
        p.top_k = way == 2 ? 3 : 0;
        struct sampler s;
        sampler_init(&s, &p);
        for (int i = 0; i < 500; i++) {
            int32_t token = sampler_next(&s, &in, &scratch);
            assert_in_range(token, 0, in.vocab - 1);
            assert_true(wanted >> token & 1u);
        }
    }
    sampler_scratch_deinit(&scratch);
}

static void what_is_banned_is_never_drawn(void **state)
{
    (void)state;
    const float logits[] = {5.0f, 4.0f, NAN, -INFINITY, 1.0f, 0.0f, -1.0f};
    struct sampling_bias bias[] = {{0, -INFINITY}, {0, 100.0f}, {3, 100.0f}, {5, 3.0f}};
    int32_t ends[] = {4}, stop_ids[] = {6};
    const uint32_t allowed[] = {0x7d}; /* not 1 */
    struct sampling p = {.top_p = 1.0f, .bias = bias, .n_bias = 4, .min_tokens = 1};
    struct sampler_input in = {.logits = logits, .vocab = 7, .ends = ends, .n_ends = 1};
    p.stop_ids = stop_ids;
    p.n_stop_ids = 1;
    only_these_are_drawn(in, p, 1u << 1 | 1u << 5);
    in.allowed = allowed;
    bias[1].token = 1; /* no bias brings it back */
    only_these_are_drawn(in, p, 1u << 5);
    const uint32_t ends_alone[] = {1u << 4 | 1u << 6};
    in.allowed = ends_alone; /* then min_tokens gives way */
    only_these_are_drawn(in, p, ends_alone[0]);
}

static void where_nothing_may_be_drawn_nothing_is(void **state)
{
    (void)state;
    const float good[] = {1.0f, 2.0f}, bad[] = {NAN, -INFINITY};
    const uint32_t none[] = {0};
    const struct sampler_input ins[] = {{.logits = good, .vocab = 2, .allowed = none},
                                        {.logits = bad, .vocab = 2}};
    struct sampler_scratch scratch;
    struct err e = {0};
    assert_int_equal(sampler_scratch_init(&scratch, ops_select(0), 2, 0, &e), 0);
    for (int i = 0; i < 4; i++) {
        struct sampling p = {.temperature = i / 2 ? 1.0f : 0.0f, .top_p = 1.0f};
        struct sampler s;
        sampler_init(&s, &p);
        struct rng before = s.rng;
        assert_int_equal(sampler_next(&s, &ins[i % 2], &scratch), TOKEN_NONE);
        assert_memory_equal(&before, &s.rng, sizeof(before));
    }
    sampler_scratch_deinit(&scratch);
}

/* --- XTC and mirostat --- */

static void xtc_leaves_out_the_top_as_often_as_it_is_told(void **state)
{
    (void)state;
    const float logits[] = {logf(0.5f), logf(0.3f), logf(0.15f), logf(0.05f)};
    int counts[VOCAB];
    struct sampling params = plain;
    params.xtc_probability = 0.5f;
    params.xtc_threshold = 0.1f;
    draw_many(&params, logits, 4, counts);
    /* Half of the time 0.15 and 0.05 alone are left: 3 of 4 are the third then. */
    assert_true(abs(counts[0] - DRAWS / 4) < 350);
    assert_true(abs(counts[1] - DRAWS * 15 / 100) < 350);
    assert_true(abs(counts[2] - DRAWS * 45 / 100) < 400);
    params.xtc_threshold = 0.6f; /* at most one reaches it: nothing happens */
    draw_many(&params, logits, 4, counts);
    assert_true(abs(counts[0] - DRAWS / 2) < 400);
}

static void the_surprise_of_mirostat_comes_to_what_is_aimed_at(void **state)
{
    (void)state;
    struct rng r;
    struct sampler s;
    struct sampler_scratch scratch;
    struct err e = {0};
    rng_seed(&r, 6);
    assert_int_equal(sampler_scratch_init(&scratch, ops_select(0), VOCAB, 0, &e), 0);
    for (int bits = 1; bits <= 5; bits++) {
        const float tau = (float)bits;
        const struct sampling p = {
            .temperature = 1.0f, .mirostat = 2, .mirostat_tau = tau, .mirostat_eta = 0.1f};
        double surprise = 0.0;
        int n = 0;
        sampler_init(&s, &p);
        for (int i = 0; i < 3000; i++) {
            float logits[VOCAB];
            double sum = 0.0;
            for (int t = 0; t < VOCAB; t++) {
                logits[t] = 2.0f * rng_normal(&r); /* about 7 bits */
            }
            const struct sampler_input in = {.logits = logits, .vocab = VOCAB};
            float bound = s.surprise_max;
            int32_t token = sampler_next(&s, &in, &scratch);
            /* The bound moves by eta for each bit that the surprise is off. */
            double seen = (double)((bound - s.surprise_max) / p.mirostat_eta + tau);
            for (int t = 0; t < VOCAB; t++) {
                sum += exp((double)logits[t]);
            }
            double of_all = (log(sum) - (double)logits[token]) / log(2.0);
            assert_true(seen <= of_all + 1e-3);
            surprise += i >= 500 ? seen : 0.0;
            n += i >= 500;
        }
        assert_true(fabs(surprise / n - (double)tau) < 0.1);
    }
    sampler_scratch_deinit(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_takes_the_lowest_id_of_the_highest),
        cmocka_unit_test(draws_follow_the_softmax),
        cmocka_unit_test(temperature_sharpens),
        cmocka_unit_test(top_k_keeps_the_k_best),
        cmocka_unit_test(top_k_takes_the_lower_ids_among_equals),
        cmocka_unit_test(top_p_keeps_the_fewest_that_reach_it),
        cmocka_unit_test(top_p_reaches_far_into_a_flat_vocabulary),
        cmocka_unit_test(min_p_cuts_what_is_far_below_the_best),
        cmocka_unit_test(the_seed_alone_decides),
        cmocka_unit_test(what_is_banned_is_never_drawn),
        cmocka_unit_test(where_nothing_may_be_drawn_nothing_is),
        cmocka_unit_test(xtc_leaves_out_the_top_as_often_as_it_is_told),
        cmocka_unit_test(the_surprise_of_mirostat_comes_to_what_is_aimed_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
