/* The test that decides on a canary: known values, what it may never do, and how often it is
 * wrong on answers that chance makes (tests/bench/bench_canary.c has more of that). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/rng.h"
#include "runtime/registry/canary_judge.h"

static void assert_close(double got, double wanted, double by)
{
    if (!(fabs(got - wanted) <= by)) {
        fail_msg("%.12g, not %.12g", got, wanted);
    }
}

static const struct canary_answer good = {.first_token_s = 0.2, .token_s = 0.02, .tokens = 100};

/* n answers, some of which failed and some of which were blocked, spread evenly: each next one
 * falls into the largest gap (multiples of the golden ratio). */
static struct canary_sample sample(int n, int errors, int blocks)
{
    static char what[20000];
    struct canary_sample s = {0};
    memset(what, 0, sizeof(what));
    double at = 0;
    for (int k = 0; k < errors + blocks; k++) {
        do {
            at = fmod(at + 0.6180339887498949, 1);
        } while (what[(int)(at * n)]);
        what[(int)(at * n)] = k < errors ? 'e' : 'b';
    }
    for (int i = 0; i < n; i++) {
        struct canary_answer a = good;
        a.has_failed = what[i] == 'e';
        a.is_blocked = what[i] == 'b';
        canary_sample_add(&s, &a);
    }
    return s;
}

static struct canary_plan plan_of(double alpha, int looks)
{
    struct canary_plan plan = canary_plan_default();
    plan.alpha = alpha;
    plan.looks = looks;
    return plan;
}

/* --- intervals --- */

/* Welch 1947 as by hand: means 20 and 23, variances 4 and 9, 10 and 15 values: df 22.98. */
static void interval_of_means_has_known_values(void **state)
{
    (void)state;
    const struct value_moments a = {10, 20, 4}, b = {15, 23, 9};
    struct interval i = canary_mean_interval(&a, &b, 0.025);
    assert_close(i.low, 3 - 2.0687 * 1, 1e-3);
    assert_close(i.high, 3 + 2.0687 * 1, 1e-3);
    const struct value_moments same = {10, 20, 0}, one = {1, 20, 0};
    i = canary_mean_interval(&same, &same, 0.01);
    assert_true(i.low == 0 && i.high == 0);
    i = canary_mean_interval(&same, &one, 0.01);
    assert_true(isinf(i.low) && isinf(i.high));
}

/* --- verdicts --- */

static void equal_versions_are_good_once_there_are_enough_answers(void **state)
{
    (void)state;
    struct canary_plan plan = plan_of(0.01, 5);
    struct canary_judgement j;
    struct canary_sample stable = sample(9000, 90, 0), few = sample(200, 2, 0);
    struct canary_sample many = sample(3000, 30, 0);
    canary_judge(&stable, &few, &plan, &j);
    assert_int_equal(j.verdict, CANARY_UNDECIDED);
    canary_judge(&stable, &many, &plan, &j);
    assert_int_equal(j.verdict, CANARY_GOOD);
    assert_close(j.findings[CANARY_FIRST_TOKEN].canary, 0.2, 1e-9);
    assert_close(j.findings[CANARY_ANSWER_TOKENS].difference, 1, 1e-9);
}

static void a_worse_version_is_named_by_what_is_worse(void **state)
{
    (void)state;
    struct canary_plan plan = plan_of(0.01, 5);
    struct canary_judgement j;
    struct canary_sample stable = sample(2000, 20, 40), failing = sample(500, 50, 10);
    struct canary_sample blocked = sample(500, 5, 60);
    canary_judge(&stable, &failing, &plan, &j);
    assert_int_equal(j.verdict, CANARY_WORSE);
    assert_int_equal(j.measure, CANARY_ERROR_RATE);
    assert_close(j.findings[CANARY_ERROR_RATE].canary, 0.1, 1e-9);
    canary_judge(&stable, &blocked, &plan, &j);
    assert_int_equal(j.verdict, CANARY_WORSE);
    assert_int_equal(j.measure, CANARY_BLOCK_RATE);
    /* The same the other way round is no fault. */
    canary_judge(&blocked, &stable, &plan, &j);
    assert_int_equal(j.verdict, CANARY_GOOD);
    /* What is not to be looked at is not. */
    plan.margins[CANARY_BLOCK_RATE] = -1;
    canary_judge(&stable, &blocked, &plan, &j);
    assert_int_not_equal(j.verdict, CANARY_WORSE);
    assert_false(j.findings[CANARY_BLOCK_RATE].is_judged);
}

/* Of times only more counts, of lengths and refusals less does too. */
static void drift_to_either_side_counts_where_it_should(void **state)
{
    (void)state;
    static const struct {
        double first, token, tokens;
        enum canary_verdict wanted;
        enum canary_measure measure;
    } cases[] = {{0.4, 0.02, 100, CANARY_WORSE, CANARY_FIRST_TOKEN},
                 {0.1, 0.02, 100, CANARY_GOOD, 0},
                 {0.2, 0.04, 100, CANARY_WORSE, CANARY_TOKEN_TIME},
                 {0.2, 0.01, 100, CANARY_GOOD, 0},
                 {0.2, 0.02, 200, CANARY_WORSE, CANARY_ANSWER_TOKENS},
                 {0.2, 0.02, 50, CANARY_WORSE, CANARY_ANSWER_TOKENS},
                 {0.2, 0.02, 110, CANARY_GOOD, 0}};
    struct canary_plan plan = plan_of(0.01, 5);
    plan.margins[CANARY_FIRST_TOKEN] = plan.margins[CANARY_TOKEN_TIME] = 1.25;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct canary_sample sides[2] = {{0}, {0}};
        struct rng r;
        rng_seed(&r, i);
        for (int n = 0; n < 4000; n++) {
            bool canary = n % 2;
            struct canary_answer a = good;
            a.first_token_s = (canary ? cases[i].first : 0.2) * exp(0.3 * rng_normal(&r));
            a.token_s = (canary ? cases[i].token : 0.02) * exp(0.3 * rng_normal(&r));
            a.tokens = (canary ? cases[i].tokens : 100) * exp(0.3 * rng_normal(&r));
            canary_sample_add(&sides[canary], &a);
        }
        struct canary_judgement j;
        canary_judge(&sides[0], &sides[1], &plan, &j);
        assert_int_equal(j.verdict, cases[i].wanted);
        assert_true(j.verdict != CANARY_WORSE || j.measure == cases[i].measure);
    }
    struct canary_sample stable = sample(2000, 0, 0), refusing = {0};
    for (int n = 0; n < 500; n++) {
        struct canary_answer a = good;
        a.is_refusal = n % 4 == 0;
        canary_sample_add(&refusing, &a);
    }
    struct canary_judgement j;
    struct canary_sample endless = {0};
    for (int n = 0; n < 500; n++) {
        struct canary_answer a = good;
        a.is_cut = n % 4 == 0;
        canary_sample_add(&endless, &a);
    }
    canary_judge(&stable, &endless, &plan, &j);
    assert_true(j.verdict == CANARY_WORSE && j.measure == CANARY_CUT_RATE);
    canary_judge(&endless, &stable, &plan, &j);
    assert_int_equal(j.verdict, CANARY_GOOD);
    canary_judge(&stable, &refusing, &plan, &j);
    assert_true(j.verdict == CANARY_WORSE && j.measure == CANARY_REFUSAL_RATE);
    canary_judge(&refusing, &stable, &plan, &j);
    assert_true(j.verdict == CANARY_WORSE && j.measure == CANARY_REFUSAL_RATE);
}

/* Both ends of the interval rise with every failure of the canary, and fall with every one of
 * the other version. */
static void more_failures_never_look_better(void **state)
{
    (void)state;
    for (int n = 20; n <= 320; n *= 4) {
        struct interval before = {-2, -2};
        for (int hits = 0; hits <= n; hits++) {
            struct interval i = share_difference_interval(7, 200, hits, n, 0.001);
            assert_true(i.low >= before.low && i.high >= before.high && i.low < i.high);
            before = i;
        }
        before = (struct interval){2, 2};
        for (int hits = 0; hits <= n; hits++) {
            struct interval i = share_difference_interval(hits, n, 9, 100, 0.001);
            assert_true(i.low <= before.low && i.high <= before.high);
            before = i;
        }
    }
}

/* As failures take the place of good answers, a version goes from good to worse and never back.
 */
static void more_evidence_of_worse_never_turns_into_good(void **state)
{
    (void)state;
    struct canary_plan plan = plan_of(0.05, 2);
    plan.margins[CANARY_ERROR_RATE] = 0.05;
    plan.margins[CANARY_BLOCK_RATE] = 0.05;
    for (int stable_errors = 0; stable_errors <= 60; stable_errors += 15) {
        struct canary_sample stable = sample(600, stable_errors, stable_errors);
        bool was_worse[2] = {false, false};
        for (int errors = 0; errors <= 200; errors++) {
            struct canary_judgement j;
            struct canary_sample failing = sample(200, errors, 0);
            struct canary_sample blocked = sample(200, 0, errors);
            canary_judge(&stable, &failing, &plan, &j);
            enum canary_verdict now = j.findings[CANARY_ERROR_RATE].verdict;
            assert_true(now != CANARY_GOOD || !was_worse[0]);
            was_worse[0] |= now == CANARY_WORSE;
            canary_judge(&stable, &blocked, &plan, &j);
            now = j.findings[CANARY_BLOCK_RATE].verdict;
            assert_true(now != CANARY_GOOD || !was_worse[1]);
            was_worse[1] |= now == CANARY_WORSE;
        }
        assert_true(was_worse[0] && was_worse[1]);
    }
}

static void a_side_without_values_is_never_good(void **state)
{
    (void)state;
    struct canary_plan plan = plan_of(0.01, 5);
    struct canary_judgement j;
    struct canary_sample stable = sample(9000, 0, 0), empty = {0}, mute = {0};
    for (int i = 0; i < 3000; i++) {
        canary_sample_add(
            &mute, &(struct canary_answer){.first_token_s = -1, .token_s = -1, .tokens = -1});
    }
    canary_judge(&stable, &empty, &plan, &j);
    assert_int_equal(j.verdict, CANARY_UNDECIDED);
    canary_judge(&stable, &mute, &plan, &j);
    assert_int_equal(j.verdict, CANARY_UNDECIDED);
    /* What neither side has is no reason. */
    canary_judge(&mute, &mute, &plan, &j);
    assert_int_equal(j.verdict, CANARY_GOOD);
}

/* --- callers --- */

static void one_caller_is_one_voice(void **state)
{
    (void)state;
    struct canary_plan plan = plan_of(0.01, 5);
    struct canary_judgement j;
    struct canary_sample stable = sample(9000, 90, 0), canary = {0};
    for (int i = 0; i < 3000; i++) {
        struct canary_answer a = good;
        a.caller = 77;
        a.has_failed = i % 10 == 0;
        canary_sample_add(&canary, &a);
    }
    canary_judge(&stable, &canary, &plan, &j);
    assert_int_equal(j.verdict, CANARY_UNDECIDED);
    assert_close(j.findings[CANARY_ERROR_RATE].design_canary, 3000, 1e-6);
}

static int false_alarms(int runs, int callers, uint64_t seed)
{
    struct canary_plan plan = plan_of(0.05, 1);
    struct rng r;
    int alarms = 0;
    rng_seed(&r, seed);
    for (int k = 0; k < runs; k++) {
        struct canary_sample sides[2] = {{0}, {0}};
        double factors[64];
        for (int i = 0; i < callers; i++) {
            factors[i] = exp(1.2 * rng_normal(&r));
        }
        for (int n = 0; n < 1200; n++) {
            uint32_t who = callers > 0 ? rng_below(&r, (uint32_t)callers) : 0;
            bool canary = callers > 0 ? who % 3 == 0 : rng_below(&r, 3) == 0;
            double factor = callers > 0 ? factors[who] : 1;
            struct canary_answer a = {.caller = callers > 0 ? who + 1 : 0,
                                      .has_failed = rng_below(&r, 100) < 3,
                                      .is_blocked = rng_below(&r, 100) < 4,
                                      .is_refusal = rng_below(&r, 100) < 8,
                                      .is_cut = rng_below(&r, 100) < 20,
                                      .first_token_s = 0.2 * factor * exp(0.8 * rng_normal(&r)),
                                      .token_s = 0.02 * factor * exp(0.3 * rng_normal(&r)),
                                      .tokens = 100 * factor * exp(rng_normal(&r))};
            canary_sample_add(&sides[canary], &a);
        }
        struct canary_judgement j;
        for (int m = 0; m < CANARY_MEASURE_COUNT; m++) {
            /* Without a margin: as often as the level allows, and not far less often. */
            plan.margins[m] = canary_measure_is_share((enum canary_measure)m) ? 0 : 1;
        }
        canary_judge(&sides[0], &sides[1], &plan, &j);
        alarms += j.verdict == CANARY_WORSE;
    }
    return alarms;
}

/* 5 % of 600 is 30; more than 45 have a probability of 0.4 %. */
static void false_alarms_are_as_rare_as_was_asked_for(void **state)
{
    (void)state;
    int alone = false_alarms(600, 0, 1), callers = false_alarms(600, 40, 2);
    printf("false alarms of 600 at 5 %%: %d, %d with 40 callers\n", alone, callers);
    assert_in_range(alone, 3, 45);
    assert_in_range(callers, 0, 45);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interval_of_means_has_known_values),
        cmocka_unit_test(equal_versions_are_good_once_there_are_enough_answers),
        cmocka_unit_test(a_worse_version_is_named_by_what_is_worse),
        cmocka_unit_test(drift_to_either_side_counts_where_it_should),
        cmocka_unit_test(more_failures_never_look_better),
        cmocka_unit_test(more_evidence_of_worse_never_turns_into_good),
        cmocka_unit_test(a_side_without_values_is_never_good),
        cmocka_unit_test(one_caller_is_one_voice),
        cmocka_unit_test(false_alarms_are_as_rare_as_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
