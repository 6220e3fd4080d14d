/* sampler_cuts.h: which tokens are left, against the slow way in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "quant/cpu.h"
#include "runtime/base/rng.h"
#include "runtime/engine/sampler_cuts.h"

#define VOCAB  300
#define ROUNDS 4000
#define CLOSE  1e-4

struct item {
    int32_t token;
    double logit;
    double p;
    double order; /* ascending */
};

/* A decision so near that rounding may turn it; such a round tells nothing. */
static bool close_call;

static int by_order(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return x->order != y->order ? (x->order < y->order ? -1 : 1) : x->token - y->token;
}

static void sort_by_logit(struct item *c, int n)
{
    for (int i = 0; i < n; i++) {
        c[i].order = -c[i].logit;
    }
    qsort(c, (size_t)n, sizeof(*c), by_order);
}

static void softmax(struct item *c, int n)
{
    double max = -INFINITY, sum = 0.0;
    for (int i = 0; i < n; i++) {
        max = fmax(max, c[i].logit);
    }
    for (int i = 0; i < n; i++) {
        sum += c[i].p = exp(c[i].logit - max);
    }
    for (int i = 0; i < n; i++) {
        c[i].p /= sum;
    }
}

static bool at_least(double value, double bound)
{
    close_call = close_call || fabs(value - bound) < CLOSE * (1e-3 + fabs(bound));
    return value >= bound;
}

static int reaching(const struct item *c, int n, double mass)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++) {
        sum += c[i].p;
        if (i == n - 1 || at_least(sum, mass)) {
            close_call = close_call || (i < n - 1 && c[i].logit != c[i + 1].logit &&
                                        fabs(c[i].order - c[i + 1].order) < CLOSE);
            return i + 1;
        }
    }
    return n;
}

static int cut_typical_slowly(struct item *c, int n, double mass)
{
    double entropy = 0.0;
    softmax(c, n);
    for (int i = 0; i < n; i++) {
        entropy -= c[i].p > 0.0 ? c[i].p * log(c[i].p) : 0.0;
    }
    for (int i = 0; i < n; i++) {
        c[i].order = fabs(-log(c[i].p) - entropy);
    }
    qsort(c, (size_t)n, sizeof(*c), by_order);
    return reaching(c, n, mass);
}

static int cut_sigma_slowly(struct item *c, int n, double n_sigma)
{
    double mean = 0.0, squares = 0.0, max = -INFINITY;
    int kept = 0;
    for (int i = 0; i < n; i++) {
        mean += c[i].logit / n;
        max = fmax(max, c[i].logit);
    }
    for (int i = 0; i < n; i++) {
        squares += (c[i].logit - mean) * (c[i].logit - mean);
    }
    double floor = max - n_sigma * sqrt(squares / n);
    for (int i = 0; i < n; i++) {
        if (at_least(c[i].logit, floor)) {
            c[kept++] = c[i];
        }
    }
    return kept;
}

/* Sorted by logit, as all that follows. */
static int cut_slowly(const struct sampling *p, const float *logits, struct item *c)
{
    int n = 0;
    for (int32_t t = 0; t < VOCAB; t++) {
        if (isfinite(logits[t])) {
            c[n++] = (struct item){.token = t, .logit = (double)logits[t]};
        }
    }
    n = p->top_n_sigma > 0.0f ? cut_sigma_slowly(c, n, (double)p->top_n_sigma) : n;
    sort_by_logit(c, n);
    n = p->top_k > 0 && p->top_k < n ? p->top_k : n;
    if (p->typical_p > 0.0f) {
        n = cut_typical_slowly(c, n, (double)p->typical_p);
        sort_by_logit(c, n);
    }
    softmax(c, n);
    n = p->top_p < 1.0f ? reaching(c, n, (double)p->top_p) : n;
    int first = 0;
    while (n > 1 && p->min_p > 0.0f && !at_least(c[n - 1].p, (double)p->min_p * c[0].p)) {
        n--;
    }
    softmax(c, n);
    while (p->xtc_probability > 0.0f && first + 1 < n &&
           at_least(c[first + 1].p, (double)p->xtc_threshold)) {
        first++;
    }
    for (int i = first; i < n; i++) {
        c[i - first] = c[i];
    }
    return n - first;
}

static struct sampling random_params(struct rng *r)
{
    struct sampling p = {.temperature = 1.0f, .top_p = 1.0f};
    p.top_k = rng_below(r, 2) ? (int)rng_below(r, 2 * VOCAB) : 0;
    p.top_p = rng_below(r, 2) ? rng_uniform(r) : 1.0f;
    p.min_p = rng_below(r, 2) ? 0.5f * rng_uniform(r) : 0.0f;
    p.typical_p = rng_below(r, 2) ? rng_uniform(r) : 0.0f;
    p.top_n_sigma = rng_below(r, 2) ? 3.0f * rng_uniform(r) : 0.0f;
    p.xtc_probability = rng_below(r, 2) ? 1.0f : 0.0f; /* always or never */
    p.xtc_threshold = 0.3f * rng_uniform(r);
    return p;
}

static float random_logits(struct rng *r, float logits[VOCAB])
{
    float spread = 0.2f + 4.0f * rng_uniform(r), best = -INFINITY;
    bool equals = rng_below(r, 3) == 0;
    for (int t = 0; t < VOCAB; t++) {
        uint32_t odd = rng_below(r, 50);
        float l = spread * rng_normal(r);
        l = equals ? roundf(2.0f * l) / 2.0f : l;
        logits[t] = odd == 0 ? -INFINITY : odd == 1 ? NAN : l;
        best = logits[t] > best ? logits[t] : best;
    }
    return best;
}

static int by_token(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

static void what_is_left_is_what_the_slow_way_leaves(void **state)
{
    (void)state;
    struct sampler_scratch scratch;
    struct err e;
    struct rng r;
    int told = 0;
    rng_seed(&r, 3);
    assert_int_equal(sampler_scratch_init(&scratch, ops_select(cpu_features()), VOCAB, 0, &e),
                     0);
    for (int round = 0; round < ROUNDS; round++) {
        float logits[VOCAB];
        static struct item wanted[VOCAB];
        int32_t left[VOCAB], right[VOCAB];
        float best = random_logits(&r, logits);
        struct sampling p = random_params(&r);
        close_call = false;
        int n_wanted = cut_slowly(&p, logits, wanted);
        int n = cuts_apply(&scratch, &p, &r, logits, VOCAB, best);
        assert_in_range(n, 1, VOCAB);
        if (close_call) {
            continue;
        }
        told++;
        if (n != n_wanted) {
            fail_msg("round %d: %d are left, wanted %d", round, n, n_wanted);
        }
        for (int i = 0; i < n; i++) {
            left[i] = scratch.candidates[i].token;
            right[i] = wanted[i].token;
            assert_true(scratch.candidates[i].logit == logits[left[i]]);
        }
        qsort(left, (size_t)n, sizeof(*left), by_token);
        qsort(right, (size_t)n, sizeof(*right), by_token);
        assert_memory_equal(left, right, (size_t)n * sizeof(*left));
    }
    assert_true(told > ROUNDS / 2);
    sampler_scratch_deinit(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_is_what_the_slow_way_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
