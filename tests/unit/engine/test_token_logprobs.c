/* token_logprobs.h, exact_log.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "quant/cpu.h"
#include "runtime/base/rng.h"
#include "runtime/engine/exact_log.h"
#include "runtime/engine/token_logprobs.h"

#define VOCAB 1000

static struct sampler_scratch scratch;

static void random_logits(struct rng *r, float logits[VOCAB])
{
    for (int t = 0; t < VOCAB; t++) {
        logits[t] = roundf(16.0f * rng_normal(r)) / 4.0f; /* many are equal */
    }
}

static void they_are_those_of_the_softmax(void **state)
{
    (void)state;
    struct rng r;
    float logits[VOCAB];
    rng_seed(&r, 1);
    for (int round = 0; round < 20; round++) {
        random_logits(&r, logits);
        double sum = 0.0, total = 0.0;
        for (int t = 0; t < VOCAB; t++) {
            sum += exp((double)logits[t]);
        }
        for (int t = 0; t < VOCAB; t++) {
            float logprob;
            assert_int_equal(token_logprobs(logits, VOCAB, t, &logprob, NULL, 0, &scratch), 0);
            double wanted = (double)logits[t] - log(sum);
            assert_true(fabs((double)logprob - wanted) <= 1e-6 * (1.0 + fabs(wanted)));
            total += exp((double)logprob);
        }
        assert_true(fabs(total - 1.0) < 1e-5);
    }
}

static void the_top_are_the_best_by_logit_then_by_id(void **state)
{
    (void)state;
    struct rng r;
    float logits[VOCAB];
    rng_seed(&r, 2);
    for (int round = 0; round < 200; round++) {
        struct engine_top_logprob top[ENGINE_TOP_LOGPROBS_MAX];
        float logprob;
        random_logits(&r, logits);
        int n = 1 + round % ENGINE_TOP_LOGPROBS_MAX;
        assert_int_equal(token_logprobs(logits, VOCAB, 5, &logprob, top, n, &scratch), n);
        for (int i = 0; i < n; i++) {
            int better = 0; /* than the i-th: i of them */
            for (int t = 0; t < VOCAB; t++) {
                better += logits[t] > logits[top[i].token] ||
                          (t < top[i].token && logits[t] == logits[top[i].token]);
            }
            assert_int_equal(better, i);
            float alone;
            token_logprobs(logits, VOCAB, top[i].token, &alone, NULL, 0, &scratch);
            assert_true(alone == top[i].logprob);
        }
    }
}

static void what_is_no_number_has_no_part(void **state)
{
    (void)state;
    const float logits[] = {NAN, 0.0f, -INFINITY, 0.0f, NAN};
    struct engine_top_logprob top[ENGINE_TOP_LOGPROBS_MAX];
    float logprob;
    assert_int_equal(token_logprobs(logits, 5, 3, &logprob, top, 20, &scratch), 2);
    assert_true(logprob == (float)log(0.5));
    assert_true(top[0].token == 1 && top[1].token == 3);
    assert_int_equal(token_logprobs(logits, 5, 0, &logprob, top, 20, &scratch), 2);
    assert_true(logprob == -INFINITY);
    const float none[] = {NAN, -INFINITY};
    assert_int_equal(token_logprobs(none, 2, 0, &logprob, top, 20, &scratch), 0);
}

static void entropy_is_that_of_the_softmax(void **state)
{
    (void)state;
    struct rng r;
    float logits[VOCAB];
    rng_seed(&r, 3);
    for (int round = 0; round < 20; round++) {
        random_logits(&r, logits);
        logits[7] = -INFINITY;
        logits[8] = NAN;
        double sum = 0.0, entropy = 0.0;
        for (int t = 0; t < VOCAB; t++) {
            sum += t == 7 || t == 8 ? 0.0 : exp((double)logits[t]);
        }
        for (int t = 0; t < VOCAB; t++) {
            double p = t == 7 || t == 8 ? 0.0 : exp((double)logits[t]) / sum;
            entropy -= p > 0.0 ? p * log(p) : 0.0;
        }
        assert_true(fabs((double)token_entropy(logits, VOCAB, &scratch) - entropy) < 1e-5);
    }
    for (int t = 0; t < VOCAB; t++) {
        logits[t] = -2.5f;
    }
    assert_true(fabs((double)token_entropy(logits, VOCAB, &scratch) - log(VOCAB)) < 1e-5);
    logits[5] = 1000.0f;
    assert_true(token_entropy(logits, VOCAB, &scratch) == 0.0f);
    const float none[] = {NAN, -INFINITY};
    assert_true(token_entropy(none, 2, &scratch) == 0.0f);
}

static void the_logarithm_is_right(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 4);
    assert_true(exact_log(1.0) == 0.0);
    for (int i = 0; i < 200000; i++) {
        double x = ldexp(1.0 + (double)rng_uniform(&r), (int)rng_below(&r, 600) - 300);
        x = i % 2 ? 1.0 + (double)(rng_uniform(&r) - 0.5f) * 1e-3 : x;
        assert_true(fabs(exact_log(x) - log(x)) <= 8.8e-16 * fabs(log(x)));
    }
}

static int make_scratch(void **state)
{
    (void)state;
    struct err e;
    return sampler_scratch_init(&scratch, ops_select(cpu_features()), VOCAB, 0, &e);
}

static int drop_scratch(void **state)
{
    (void)state;
    sampler_scratch_deinit(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_those_of_the_softmax),
        cmocka_unit_test(the_top_are_the_best_by_logit_then_by_id),
        cmocka_unit_test(what_is_no_number_has_no_part),
        cmocka_unit_test(entropy_is_that_of_the_softmax),
        cmocka_unit_test(the_logarithm_is_right),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
