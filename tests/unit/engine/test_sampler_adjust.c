/* sampler_adjust.h, sampler_dry.h: masks, bias and penalties, against the slow way in double.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/base/rng.h"
#include "runtime/engine/sampler_adjust.h"
#include "runtime/engine/sampler_dry.h"

#define VOCAB   50
#define CONTEXT 200
#define ROUNDS  3000

static struct sampler_scratch scratch;

/* Tokens that repeat each other: a few kinds, and now and then a piece from before. */
static void random_tokens(struct rng *r, int32_t *tokens, size_t n)
{
    int32_t kinds = 1 + (int32_t)rng_below(r, 12);
    for (size_t i = 0; i < n; i++) {
        size_t back = 1 + rng_below(r, 20);
        bool copy = i >= back && rng_below(r, 8) > 0 && i % 17 > 3;
        tokens[i] = copy ? tokens[i - back] : (int32_t)rng_below(r, (uint32_t)kinds);
    }
}

/* How many tokens before place i are the same as the last ones of all n. */
static size_t repeated_before(const int32_t *tokens, size_t n, size_t i,
                              const struct sampling_dry *d)
{
    size_t length = 0;
    while (length < i && tokens[i - 1 - length] == tokens[n - 1 - length] &&
           !(d->breaks && d->breaks[0] >> tokens[n - 1 - length] & 1u)) {
        length++;
    }
    return length;
}

static void dry_slowly(const struct sampling_dry *d, const int32_t *tokens, size_t n,
                       double *logits)
{
    double penalty[VOCAB] = {0};
    size_t window = d->last_n >= 0 && (size_t)d->last_n < n ? (size_t)d->last_n : n;
    tokens += n - window;
    for (size_t i = 1; i < window; i++) {
        size_t length = repeated_before(tokens, window, i, d);
        if (length >= (size_t)d->allowed_length) {
            double p = (double)d->multiplier *
                       pow((double)d->base, (double)length - d->allowed_length);
            penalty[tokens[i]] = fmax(penalty[tokens[i]], fmin(p, 1e9));
        }
    }
    for (int t = 0; t < VOCAB; t++) {
        logits[t] -= penalty[t];
    }
}

static int count_in(const int32_t *tokens, size_t from, size_t to, int32_t token)
{
    int n = 0;
    for (size_t i = from; i < to; i++) {
        n += tokens[i] == token;
    }
    return n;
}

static void adjust_slowly(const struct sampling *p, const struct sampler_input *in, bool hold,
                          double *logits)
{
    size_t from = p->repeat_last_n >= 0 && (size_t)p->repeat_last_n < in->n_tokens
                      ? in->n_tokens - (size_t)p->repeat_last_n
                      : 0;
    for (int32_t t = 0; t < VOCAB; t++) {
        double l = (double)in->logits[t];
        bool out = in->allowed && !(in->allowed[t / 32] >> (t % 32) & 1u);
        out = out || (hold && (count_in(in->ends, 0, in->n_ends, t) > 0 ||
                               count_in(p->stop_ids, 0, p->n_stop_ids, t) > 0));
        for (size_t i = 0; i < p->n_bias; i++) {
            l += p->bias[i].token == t ? (double)p->bias[i].bias : 0.0;
        }
        if (p->repetition_penalty > 0.0f && count_in(in->tokens, from, in->n_tokens, t) > 0) {
            l = l > 0.0 ? l / (double)p->repetition_penalty : l * (double)p->repetition_penalty;
        }
        int n = count_in(in->tokens, in->n_prompt, in->n_tokens, t);
        l -= n * (double)p->frequency_penalty + (n > 0 ? (double)p->presence_penalty : 0.0);
        logits[t] = out ? -INFINITY : l;
    }
    if (p->dry.multiplier > 0.0f && in->n_tokens > 0) {
        dry_slowly(&p->dry, in->tokens, in->n_tokens, logits);
    }
}

static float random_of(struct rng *r, float low, float high)
{
    return low + rng_uniform(r) * (high - low);
}

static void random_params(struct rng *r, struct sampling *p, struct sampling_bias *bias,
                          int32_t *stop_ids, uint32_t *breaks)
{
    *p = (struct sampling){.bias = bias, .stop_ids = stop_ids, .repeat_last_n = -1};
    p->n_bias = rng_below(r, 2) * rng_below(r, 5);
    for (size_t i = 0; i < p->n_bias; i++) {
        bias[i].token = (int32_t)rng_below(r, VOCAB);
        bias[i].bias = rng_below(r, 4) == 0 ? -INFINITY : random_of(r, -100.0f, 100.0f);
    }
    p->n_stop_ids = rng_below(r, 3);
    for (size_t i = 0; i < p->n_stop_ids; i++) {
        stop_ids[i] = (int32_t)rng_below(r, VOCAB);
    }
    if (rng_below(r, 2)) {
        p->repetition_penalty = random_of(r, 0.5f, 2.0f);
        p->repeat_last_n = (int)rng_below(r, CONTEXT) - 1;
    }
    if (rng_below(r, 2)) {
        p->presence_penalty = random_of(r, -2.0f, 2.0f);
        p->frequency_penalty = random_of(r, -2.0f, 2.0f);
    }
    if (rng_below(r, 2)) {
        breaks[0] = (uint32_t)rng_next(r) & (uint32_t)rng_next(r);
        p->dry = (struct sampling_dry){.multiplier = random_of(r, 0.1f, 2.0f),
                                       .base = random_of(r, 1.0f, 3.0f),
                                       .allowed_length = (int)rng_below(r, 5),
                                       .last_n = (int)rng_below(r, CONTEXT) - 1,
                                       .breaks = rng_below(r, 2) ? breaks : NULL,
                                       .n_words = 2};
        p->dry.n_words = p->dry.breaks ? 2 : 0;
    }
}

static void what_is_changed_is_what_the_slow_way_says(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 7);
    for (int round = 0; round < ROUNDS; round++) {
        float logits[VOCAB];
        double wanted[VOCAB];
        int32_t tokens[CONTEXT], stop_ids[2], ends[] = {3, 4};
        uint32_t breaks[2] = {0}, allowed[2];
        struct sampling_bias bias[4];
        struct sampling p;
        random_params(&r, &p, bias, stop_ids, breaks);
        struct sampler_input in = {.logits = logits, .vocab = VOCAB, .tokens = tokens};
        in.n_tokens = rng_below(&r, CONTEXT);
        in.n_prompt = rng_below(&r, (uint32_t)in.n_tokens + 1);
        in.ends = ends;
        in.n_ends = 2;
        allowed[0] = (uint32_t)rng_next(&r);
        allowed[1] = (uint32_t)rng_next(&r);
        in.allowed = rng_below(&r, 3) == 0 ? allowed : NULL;
        bool hold = rng_below(&r, 3) == 0;
        random_tokens(&r, tokens, in.n_tokens);
        for (int t = 0; t < VOCAB; t++) {
            logits[t] = 5.0f * rng_normal(&r);
        }
        const float *got = sampler_adjust(&p, &in, hold, &scratch);
        adjust_slowly(&p, &in, hold, wanted);
        for (int t = 0; t < VOCAB; t++) {
            bool same = isinf(wanted[t])
                            ? (double)got[t] == wanted[t]
                            : fabs((double)got[t] - wanted[t]) <= 1e-4 + 1e-5 * fabs(wanted[t]);
            if (!same) {
                fail_msg("round %d, token %d: %g, wanted %g", round, t, (double)got[t],
                         wanted[t]);
            }
            assert_int_equal(scratch.counts[t], 0);
        }
    }
}

static void nothing_is_copied_where_nothing_changes(void **state)
{
    (void)state;
    float logits[VOCAB] = {0};
    const int32_t tokens[] = {1, 1, 1, 1};
    struct sampling p = SAMPLING_DEFAULT;
    struct sampler_input in = {
        .logits = logits, .vocab = VOCAB, .tokens = tokens, .n_tokens = 4, .n_prompt = 4};
    assert_ptr_equal(sampler_adjust(&p, &in, false, &scratch), logits);
    p.presence_penalty = 1.0f; /* no answer yet: still nothing */
    p.repetition_penalty = 1.0f;
    assert_ptr_equal(sampler_adjust(&p, &in, false, &scratch), logits);
    in.n_prompt = 3;
    assert_ptr_not_equal(sampler_adjust(&p, &in, false, &scratch), logits);
}

/* The example of the pull request that brought DRY: what would go on a repetition costs, the
 * more the longer it is; a breaker begins anew. */
static void dry_makes_the_next_of_a_repetition_unlikely(void **state)
{
    (void)state;
    const int32_t tokens[] = {1, 2, 3, 4, 9, 1, 2, 3};
    struct sampling_dry d = {
        .multiplier = 0.8f, .base = 2.0f, .allowed_length = 2, .last_n = -1};
    struct sampler_input in = {.tokens = tokens, .n_tokens = 8, .vocab = VOCAB};
    float logits[VOCAB] = {0};
    sampler_dry(&d, &in, logits, &scratch);
    for (int t = 0; t < VOCAB; t++) { /* three are repeated, two are allowed */
        assert_true(logits[t] == (t == 4 ? -1.6f : 0.0f));
    }
    memset(logits, 0, sizeof(logits));
    uint32_t breaks[] = {1u << 2, 0}; /* one is left behind the breaker */
    d.breaks = breaks;
    d.n_words = 2;
    sampler_dry(&d, &in, logits, &scratch);
    assert_true(logits[4] == 0.0f);
    d.n_words = 0;
    d.last_n = 7; /* the first token is not seen */
    sampler_dry(&d, &in, logits, &scratch);
    assert_true(logits[4] == -0.8f);
}

static void a_long_loop_leaves_numbers(void **state)
{
    (void)state;
    int32_t tokens[CONTEXT] = {0};
    struct sampling_dry d = {.multiplier = 100.0f, .base = 100.0f, .last_n = -1};
    struct sampler_input in = {.tokens = tokens, .n_tokens = CONTEXT, .vocab = VOCAB};
    float logits[VOCAB] = {0};
    sampler_dry(&d, &in, logits, &scratch);
    assert_true(logits[0] == -1e9f);
}

static int make_scratch(void **state)
{
    (void)state;
    struct err e;
    return sampler_scratch_init(&scratch, ops_select(0), VOCAB, CONTEXT, &e);
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
        cmocka_unit_test(what_is_changed_is_what_the_slow_way_says),
        cmocka_unit_test(nothing_is_copied_where_nothing_changes),
        cmocka_unit_test(dry_makes_the_next_of_a_repetition_unlikely),
        cmocka_unit_test(a_long_loop_leaves_numbers),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
