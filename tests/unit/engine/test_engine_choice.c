/* How the engine chooses tokens: what ends an answer, what is told of it, what may not come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "tests/unit/engine/engine_fixture.h"

/* Submits one request for 30 tokens and waits for its end. */
static void run_one(struct fixture *f, struct engine_request *r, struct answer *a)
{
    static const int32_t prompt[] = {30, 40, 50};
    struct err e = {0};
    uint64_t id;
    r->prompt = prompt;
    r->n_prompt = 3;
    r->max_tokens = 30;
    r->user = a;
    *a = (struct answer){0};
    if (engine_submit(f->engine, r, &id, &e) != 0) {
        fail_msg("%s", e.message);
    }
    wait_for_ends(f, a, 1);
}

static void a_stop_id_ends_an_answer_but_not_before_min_tokens(void **state)
{
    static struct answer plain, stopped, later;
    struct fixture f;
    (void)state;
    start(&f, 1, 1, 0);
    struct engine_request r = {.options = {.ignore_eog = true}};
    r.sampling.top_p = 1.0f;
    run_one(&f, &r, &plain);
    assert_int_equal(plain.n_tokens, 30);
    int at = 9;
    int first = 0; /* where that token comes first */
    while (plain.tokens[first] != plain.tokens[at]) {
        first++;
    }
    r.sampling.stop_ids = &plain.tokens[at];
    r.sampling.n_stop_ids = 1;
    run_one(&f, &r, &stopped);
    assert_int_equal(stopped.finish, ENGINE_FINISH_EOG);
    assert_int_equal(stopped.n_tokens, first);
    r.sampling.min_tokens = first + 5;
    run_one(&f, &r, &later);
    assert_true(later.n_tokens >= first + 5);
    for (int i = 0; i < later.n_tokens; i++) {
        assert_int_not_equal(later.tokens[i], plain.tokens[at]);
    }
    stop(&f);
}

static void the_likeliest_tokens_come_with_an_answer(void **state)
{
    static struct answer a;
    struct fixture f;
    (void)state;
    start(&f, 1, 1, 0);
    struct engine_request r = {
        .options = {.ignore_eog = true, .want_logprobs = true, .n_top_logprobs = TOP}};
    r.sampling.top_p = 1.0f;
    r.sampling.frequency_penalty = 2.0f; /* changes what comes, not how likely it was */
    run_one(&f, &r, &a);
    int chosen = 0;
    for (int i = 0; i < a.n_tokens; i++) {
        const struct engine_top_logprob *top = a.top[i];
        for (int k = 0; k < TOP; k++) {
            assert_true(top[k].logprob < 0.0f);
            assert_true(k == 0 || top[k].logprob <= top[k - 1].logprob);
            if (top[k].token == a.tokens[i]) {
                assert_true(top[k].logprob == a.logprobs[i]);
            }
        }
        assert_true(a.logprobs[i] <= top[0].logprob);
        chosen += top[0].token == a.tokens[i];
    }
    assert_true(chosen > 0 && chosen < a.n_tokens);
    stop(&f);
}

static void where_no_token_may_come_the_request_fails_alone(void **state)
{
    static struct answer a, after;
    static struct sampling_bias bias[SAMPLING_BIAS_MAX];
    struct fixture f;
    (void)state;
    start(&f, 1, 1, 0);
    struct engine_request r = {.options = {.ignore_eog = true}};
    r.sampling.bias = bias;
    r.sampling.n_bias = (size_t)model->config.vocab;
    assert_true(r.sampling.n_bias <= SAMPLING_BIAS_MAX);
    for (int32_t i = 0; i < model->config.vocab; i++) {
        bias[i] = (struct sampling_bias){i, -INFINITY};
    }
    run_one(&f, &r, &a);
    assert_int_equal(a.finish, ENGINE_FINISH_FAILED);
    assert_int_equal(a.n_tokens, 0);
    r.sampling.n_bias--;
    run_one(&f, &r, &after);
    assert_int_equal(after.tokens[29], model->config.vocab - 1);
    stop(&f);
}

static void a_constrained_answer_has_its_form(void **state)
{
    (void)state;
    struct fixture f;
    start_with(&f, settings(1, 1, 1));
    int ended = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct answer a;
        struct engine_request r = {.sampling = SAMPLING_DEFAULT,
                                   .options = {.ignore_eog = seed % 2 == 0}};
        r.sampling.temperature = 2.0f;
        r.sampling.seed = seed;
        r.constraint = pairs_matcher();
        run_one(&f, &r, &a);
        assert_true(is_pairs(&a));
        ended += a.finish == ENGINE_FINISH_EOG;
        assert_true(a.finish == ENGINE_FINISH_EOG || a.finish == ENGINE_FINISH_LENGTH);
    }
    assert_in_range(ended, 1, 60);
    stop(&f);
}

static void a_refused_request_leaves_no_constraint_behind(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = {0};
    uint64_t id;
    start_with(&f, settings(1, 1, 1));
    struct engine_request r = {.constraint = pairs_matcher()};
    assert_int_equal(engine_submit(f.engine, &r, &id, &e), -1); /* it has no prompt */
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_id_ends_an_answer_but_not_before_min_tokens),
        cmocka_unit_test(the_likeliest_tokens_come_with_an_answer),
        cmocka_unit_test(where_no_token_may_come_the_request_fails_alone),
        cmocka_unit_test(a_constrained_answer_has_its_form),
        cmocka_unit_test(a_refused_request_leaves_no_constraint_behind),
    };
    return cmocka_run_group_tests(tests, engine_fixture_open_model, engine_fixture_close_model);
}
