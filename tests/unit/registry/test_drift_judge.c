/* answer_sample.h, drift_judge.h, drift_series.h: known values, and how often the test is wrong
 * on answers that chance makes (tests/bench/bench_drift.c has more of that). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/registry/drift_series.h"

static void assert_close(double got, double wanted, double by)
{
    if (!(fabs(got - wanted) <= by)) {
        fail_msg("%.12g, not %.12g", got, wanted);
    }
}

/* n answers of so many tokens behind those that are there. */
static void add(struct answer_sample *s, int n, double tokens)
{
    for (int i = 0; i < n; i++) {
        const struct answer_seen a = {
            .time_ms = 1000 + i, .number = s->answers, .tokens = tokens, .entropy = 0.5};
        answer_sample_add(s, &a);
    }
}

/* --- samples --- */

static void bins_are_in_order_and_lengths_to_eight_are_exact(void **state)
{
    (void)state;
    for (int m = 0; m < ANSWER_BINNED; m++) {
        for (int i = 1; i < ANSWER_BINS; i++) {
            assert_true(answer_bin_bound((enum answer_measure)m, i) >
                        answer_bin_bound((enum answer_measure)m, i - 1));
        }
    }
    assert_close(answer_bin_bound(ANSWER_MEASURE_TOKENS, 8), 8, 0);
    assert_close(answer_bin_bound(ANSWER_MEASURE_TOKENS, 12), 16, 0);
    assert_true(answer_bin_bound(ANSWER_MEASURE_TOKENS, 63) > 100000);
    assert_true(answer_bin_bound(ANSWER_MEASURE_ENTROPY, 63) > 11);
    struct answer_sample s = {0};
    add(&s, 10, 3);
    add(&s, 5, 1e9);
    add(&s, 85, 0);
    assert_int_equal(s.bins[ANSWER_MEASURE_TOKENS][3], 10);
    assert_int_equal(s.bins[ANSWER_MEASURE_TOKENS][63], 5);
    assert_close(answer_sample_quantile(&s, ANSWER_MEASURE_TOKENS, 0.5), 0, 0);
    assert_close(answer_sample_quantile(&s, ANSWER_MEASURE_TOKENS, 0.9), 3, 0);
}

static void blocked_answers_count_as_blocked_alone(void **state)
{
    (void)state;
    struct answer_sample s = {0};
    const struct answer_seen blocked = {.is_blocked = true, .is_refusal = true, .tokens = 9};
    const struct answer_seen refusal = {.is_refusal = true, .tokens = 9, .entropy = -1};
    answer_sample_add(&s, &blocked);
    answer_sample_add(&s, &refusal);
    assert_close(answer_sample_count(&s, ANSWER_MEASURE_BLOCK), 2, 0);
    assert_close(answer_sample_hits(&s, ANSWER_MEASURE_BLOCK), 1, 0);
    assert_close(answer_sample_count(&s, ANSWER_MEASURE_REFUSAL), 1, 0);
    assert_close(answer_sample_hits(&s, ANSWER_MEASURE_REFUSAL), 1, 0);
    assert_close(answer_sample_count(&s, ANSWER_MEASURE_TOKENS), 1, 0);
    assert_close(answer_sample_count(&s, ANSWER_MEASURE_ENTROPY), 0, 0);
    assert_close(answer_sample_count(&s, ANSWER_MEASURE_FEEDBACK), 0, 0);
}

static void an_answer_is_spoken_of_or_not(void **state)
{
    (void)state;
    struct answer_sample s = {0};
    for (uint64_t i = 0; i < 5; i++) {
        const struct answer_feedback f = {i, .is_spoken_of = i < 3, .is_disliked = i == 0};
        answer_sample_add_feedback(&s, &f);
    }
    assert_close(answer_sample_count(&s, ANSWER_MEASURE_FEEDBACK), 5, 0);
    assert_close(answer_sample_hits(&s, ANSWER_MEASURE_FEEDBACK), 3, 0);
    assert_close(answer_sample_count(&s, ANSWER_MEASURE_DISLIKE), 3, 0);
    assert_close(answer_sample_hits(&s, ANSWER_MEASURE_DISLIKE), 1, 0);
    assert_int_equal(s.answers, 0);
    answer_sample_drop_feedback(&s);
    assert_close(answer_sample_count(&s, ANSWER_MEASURE_FEEDBACK), 0, 0);
    assert_close(answer_sample_count(&s, ANSWER_MEASURE_DISLIKE), 0, 0);
}

static void a_sample_survives_being_stored(void **state)
{
    (void)state;
    struct answer_sample s = {0}, back;
    struct buf text;
    struct err e = {0};
    struct rng r;
    rng_seed(&r, 3);
    for (int i = 0; i < 500; i++) {
        const struct answer_seen a = {.time_ms = 1700000000000 + i,
                                      .number = (uint64_t)i,
                                      .is_refusal = i % 7 == 0,
                                      .is_blocked = i % 11 == 0,
                                      .tokens = rng_below(&r, 1000),
                                      .entropy = fabs((double)rng_normal(&r))};
        answer_sample_add(&s, &a);
    }
    buf_init(&text, 1 << 20);
    assert_int_equal(answer_sample_append(&text, &s), 0);
    assert_int_equal(answer_sample_parse(&back, text.data, text.len, &e), 0);
    assert_memory_equal(&s, &back, sizeof(s));
    for (size_t len = 0; len < text.len; len += 97) { /* cut short: an error, never a sample */
        assert_int_equal(answer_sample_parse(&back, text.data, len, &e), -1);
    }
    static const char wrong[] = "{\"answers\":-1,\"first_ms\":0,\"last_ms\":0}";
    assert_int_equal(answer_sample_parse(&back, wrong, sizeof(wrong) - 1, &e), -1);
    assert_int_equal(e.kind, ERR_FORMAT);
    buf_deinit(&text);
}

/* --- one look --- */

static void distance_and_its_error_have_known_values(void **state)
{
    (void)state;
    struct answer_sample a = {0}, b = {0};
    struct drift_finding f[ANSWER_MEASURE_COUNT];
    struct drift_settings set = drift_settings_default();
    add(&a, 300, 10);
    add(&a, 100, 100);
    add(&b, 100, 10);
    add(&b, 100, 100);
    assert_close(drift_distance(&a, &b, ANSWER_MEASURE_TOKENS), 0.25, 1e-12);
    assert_close(drift_distance(&b, &a, ANSWER_MEASURE_TOKENS), 0.25, 1e-12);
    assert_close(drift_distance(&a, &b, ANSWER_MEASURE_ENTROPY), 0, 0);
    drift_judge(&a, &b, &set, 3, f);
    const struct drift_finding *t = &f[ANSWER_MEASURE_TOKENS];
    assert_true(t->is_judged);
    assert_close(t->level, 0.01 / (6 * 3 * 4), 1e-12);
    assert_close(t->difference, 0.25, 1e-12);
    assert_true(f[ANSWER_MEASURE_BLOCK].is_judged && !f[ANSWER_MEASURE_DISLIKE].is_judged);
    /* Callers who differ: here all that is long came in one run, so far less is known than 400
     * and 200 values could tell. */
    assert_true(t->design_baseline > 5 && t->at_least < 0.05 && !t->differs);
    set.margins[ANSWER_MEASURE_TOKENS] = -1;
    drift_judge(&a, &b, &set, 3, f);
    assert_false(f[ANSWER_MEASURE_TOKENS].is_judged);
}

/* Values that are all alike on each side have no design effect. */
static void what_differs_entirely_differs_by_one_less_the_error(void **state)
{
    (void)state;
    struct answer_sample a = {0}, b = {0};
    struct drift_finding f[ANSWER_MEASURE_COUNT];
    const struct drift_settings set = drift_settings_default();
    add(&a, 400, 10);
    add(&b, 200, 100);
    drift_judge(&a, &b, &set, 1, f);
    double level = 0.01 / 12;
    double error = sqrt(log(2 / level) / 2 * (1.0 / 400 + 1.0 / 200));
    assert_close(f[ANSWER_MEASURE_TOKENS].at_least, 1 - error, 1e-12);
    assert_true(f[ANSWER_MEASURE_TOKENS].differs);
    assert_false(f[ANSWER_MEASURE_ENTROPY].differs);
    struct answer_sample few = {0};
    add(&few, 19, 100);
    drift_judge(&a, &few, &set, 1, f);
    assert_false(f[ANSWER_MEASURE_TOKENS].is_judged);
}

static void levels_of_all_looks_sum_to_alpha(void **state)
{
    (void)state;
    struct answer_sample a = {0};
    struct drift_finding f[ANSWER_MEASURE_COUNT];
    const struct drift_settings set = drift_settings_default();
    double sum = 0;
    for (uint64_t k = 1; k <= 100000; k++) {
        drift_judge(&a, &a, &set, k, f);
        sum += f[0].level * ANSWER_MEASURE_COUNT;
    }
    assert_true(sum < set.alpha && sum > set.alpha * 0.9999);
}

/* --- series --- */

struct seen_looks {
    int n, sizes[64];
    int began, ended;
    uint64_t answers;
};

static void on_look(void *ctx, const struct drift_look *look)
{
    struct seen_looks *seen = ctx;
    assert_int_equal(look->number, seen->n + 1);
    seen->sizes[seen->n++ % 64] = look->size;
    seen->answers += look->window->answers;
    seen->began += look->changes[ANSWER_MEASURE_TOKENS] == DRIFT_BEGAN;
    seen->ended += look->changes[ANSWER_MEASURE_TOKENS] == DRIFT_ENDED;
}

static int feed(struct drift_series *s, const struct drift_settings *set, int n, double tokens,
                struct seen_looks *seen)
{
    int completed = 0;
    for (int i = 0; i < n; i++) {
        const struct answer_seen a = {.tokens = tokens, .entropy = 1};
        completed += drift_series_add(s, set, &a, on_look, seen);
    }
    return completed;
}

static void windows_double_and_each_is_one_look(void **state)
{
    (void)state;
    static const int wanted[] = {0, 0, 1, 0, 0, 1, 2, 0, 0, 1, 0, 0, 1, 2, 3, 0};
    static struct drift_series s;
    struct seen_looks seen = {0};
    struct drift_settings set = drift_settings_default();
    static struct answer_sample newest;
    set.window = 10;
    set.baseline = 100;
    s = (struct drift_series){0};
    assert_int_equal(feed(&s, &set, 99, 5, &seen), 0);
    assert_int_equal(feed(&s, &set, 1, 5, &seen), 1);
    assert_int_equal(feed(&s, &set, 95, 5, &seen), 0);
    assert_int_equal(seen.n, 16);
    assert_memory_equal(seen.sizes, wanted, sizeof(wanted));
    assert_int_equal(s.baseline.answers, 100);
    drift_series_newest(&s, &newest);
    assert_int_equal(newest.answers, 95);
    feed(&s, &set, 1000, 5, &seen);
    drift_series_newest(&s, &newest);
    assert_in_range(newest.answers, 80, 160);
    assert_int_equal(seen.began, 0);
    drift_series_restart(&s, &newest);
    assert_true(s.has_baseline && s.looks == 0 && s.baseline.answers == newest.answers);
    drift_series_restart(&s, NULL);
    assert_true(!s.has_baseline && s.baseline.answers == 0);
}

static void an_alert_begins_once_and_ends_when_it_is_over(void **state)
{
    (void)state;
    static struct drift_series s;
    struct seen_looks seen = {0};
    struct drift_settings set = drift_settings_default();
    set.window = 50;
    set.baseline = 200;
    s = (struct drift_series){0};
    feed(&s, &set, 300, 5, &seen);
    assert_int_equal(seen.began, 0);
    feed(&s, &set, 200, 50, &seen);
    assert_int_equal(seen.began, 1);
    assert_int_equal(seen.ended, 0);
    feed(&s, &set, 50, 5, &seen);
    assert_int_equal(seen.ended, 1);
    assert_int_equal(seen.began, 1 + (s.drifts[ANSWER_MEASURE_TOKENS] != 0));
}

/* --- what users thought --- */

/* n answers, each of which can be spoken of until `late` more were given; every `every`-th one
 * is. */
static void feed_spoken(struct drift_series *s, const struct drift_settings *set, int n,
                        uint64_t late, uint64_t every, struct seen_looks *seen)
{
    for (int i = 0; i < n; i++) {
        feed(s, set, 1, 5, seen);
        if (s->answers > late) {
            struct answer_feedback f = {.number = s->answers - 1 - late};
            f.is_spoken_of = f.number % every == 0;
            drift_series_add_feedback(s, &f);
        }
    }
}

static void feedback_may_come_after_the_baseline_is_complete(void **state)
{
    (void)state;
    static struct drift_series s;
    struct seen_looks seen = {0};
    struct drift_settings set = drift_settings_default();
    set.window = 50;
    set.baseline = 200;
    s = (struct drift_series){0};
    feed_spoken(&s, &set, 850, 700, 5, &seen);
    assert_true(s.looks > 0 && !s.findings[ANSWER_MEASURE_FEEDBACK].is_judged);
    feed_spoken(&s, &set, 4150, 700, 5, &seen);
    const struct drift_finding *f = &s.findings[ANSWER_MEASURE_FEEDBACK];
    assert_close(answer_sample_count(&s.baseline, ANSWER_MEASURE_FEEDBACK), 200, 0);
    assert_close(answer_sample_hits(&s.baseline, ANSWER_MEASURE_FEEDBACK), 40, 0);
    assert_true(f->is_judged && s.drifts[ANSWER_MEASURE_FEEDBACK] == 0);
    assert_close(f->difference, 0, 0.03);
    feed_spoken(&s, &set, 2000, 700, 1, &seen);
    assert_true(s.drifts[ANSWER_MEASURE_FEEDBACK] != 0);
}

/* As behind a restart: nobody can speak of what was answered before it. */
static void nothing_is_known_of_answers_that_were_forgotten_untold(void **state)
{
    (void)state;
    static struct drift_series s;
    struct seen_looks seen = {0};
    struct drift_settings set = drift_settings_default();
    set.window = 50;
    set.baseline = 200;
    s = (struct drift_series){0};
    feed_spoken(&s, &set, 1000, 100, 5, &seen);
    feed(&s, &set, 1000, 5, &seen); /* feedback is off */
    assert_true(s.drifts[ANSWER_MEASURE_FEEDBACK] == 0);
    assert_false(s.findings[ANSWER_MEASURE_FEEDBACK].is_judged);
    feed_spoken(&s, &set, 1000, 100, 5, &seen);
    assert_true(s.findings[ANSWER_MEASURE_FEEDBACK].is_judged);
    assert_true(s.drifts[ANSWER_MEASURE_FEEDBACK] == 0);
}

static void a_new_baseline_has_the_feedback_of_its_own_answers(void **state)
{
    (void)state;
    static struct drift_series s;
    static struct answer_sample newest;
    struct seen_looks seen = {0};
    struct drift_settings set = drift_settings_default();
    set.window = 50;
    set.baseline = 200;
    s = (struct drift_series){0};
    feed_spoken(&s, &set, 700, 400, 1, &seen); /* all are spoken of */
    drift_series_restart(&s, NULL);
    seen.n = 0;
    feed_spoken(&s, &set, 400, 400, 1, &seen);
    assert_close(answer_sample_count(&s.baseline, ANSWER_MEASURE_FEEDBACK), 0, 0);
    feed_spoken(&s, &set, 300, 400, 1000000, &seen);
    assert_close(answer_sample_count(&s.baseline, ANSWER_MEASURE_FEEDBACK), 200, 0);
    assert_close(answer_sample_hits(&s.baseline, ANSWER_MEASURE_FEEDBACK), 0, 0);
    assert_true(s.drifts[ANSWER_MEASURE_FEEDBACK] == 0);

    drift_series_newest(&s, &newest);
    answer_sample_drop_feedback(&newest);
    uint64_t first = s.answers - newest.answers;
    drift_series_restart(&s, &newest);
    struct answer_feedback f = {.number = first - 1, .is_spoken_of = true};
    drift_series_add_feedback(&s, &f);
    assert_close(answer_sample_count(&s.baseline, ANSWER_MEASURE_FEEDBACK), 0, 0);
    f.number = first;
    drift_series_add_feedback(&s, &f);
    assert_close(answer_sample_hits(&s.baseline, ANSWER_MEASURE_FEEDBACK), 1, 0);
}

/* --- how often it is wrong --- */

static double uniform(struct rng *r)
{
    return ((double)(rng_next(r) >> 11) + 0.5) / 9007199254740992.0;
}

/* Whether answers with these means, behind a baseline with the usual ones, raise an alert
 * within so many windows. callers: with a factor each, or 0. */
static bool alarms(struct rng *r, double tokens, double refusals, int windows, int callers)
{
    static struct drift_series s;
    struct seen_looks seen = {0};
    const struct drift_settings set = drift_settings_default();
    double factors[64] = {0};
    s = (struct drift_series){0};
    for (int i = 0; i < callers; i++) {
        factors[i] = exp(0.7 * (double)rng_normal(r) - 0.245);
    }
    for (uint32_t i = 0; i < set.baseline + (uint32_t)windows * set.window; i++) {
        bool is_later = i >= set.baseline;
        uint32_t caller = callers ? rng_below(r, (uint32_t)callers) : 0;
        double factor = callers ? factors[caller] : 1;
        double mean = (is_later ? tokens : 120) * factor;
        const struct answer_seen a = {
            .is_blocked = uniform(r) < 0.02,
            .is_refusal = uniform(r) < (is_later ? refusals : 0.05),
            .tokens = 1 + floor(log(uniform(r)) / log1p(-1 / fmax(mean, 1.5))),
            .entropy = 0.6 * factor * exp(0.5 * (double)rng_normal(r))};
        drift_series_add(&s, &set, &a, on_look, &seen);
        for (int m = 0; m < ANSWER_MEASURE_COUNT; m++) {
            if (s.drifts[m]) {
                return true;
            }
        }
    }
    return false;
}

static int count(uint64_t seed, int runs, double tokens, double refusals, int windows,
                 int callers)
{
    struct rng r;
    int n = 0;
    rng_seed(&r, seed);
    for (int i = 0; i < runs; i++) {
        n += alarms(&r, tokens, refusals, windows, callers);
    }
    return n;
}

/* alpha is 0.01, and margins make it far less. */
static void answers_that_do_not_change_raise_no_alarm(void **state)
{
    (void)state;
    assert_in_range(count(11, 40, 120, 0.05, 16, 0), 0, 1);
    assert_in_range(count(12, 20, 120, 0.05, 16, 40), 0, 1);
}

static void answers_that_change_do(void **state)
{
    (void)state;
    assert_int_equal(count(13, 20, 60, 0.05, 8, 0), 20);
    assert_int_equal(count(14, 20, 120, 0.3, 8, 0), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_are_in_order_and_lengths_to_eight_are_exact),
        cmocka_unit_test(blocked_answers_count_as_blocked_alone),
        cmocka_unit_test(an_answer_is_spoken_of_or_not),
        cmocka_unit_test(a_sample_survives_being_stored),
        cmocka_unit_test(distance_and_its_error_have_known_values),
        cmocka_unit_test(what_differs_entirely_differs_by_one_less_the_error),
        cmocka_unit_test(levels_of_all_looks_sum_to_alpha),
        cmocka_unit_test(windows_double_and_each_is_one_look),
        cmocka_unit_test(an_alert_begins_once_and_ends_when_it_is_over),
        cmocka_unit_test(feedback_may_come_after_the_baseline_is_complete),
        cmocka_unit_test(nothing_is_known_of_answers_that_were_forgotten_untold),
        cmocka_unit_test(a_new_baseline_has_the_feedback_of_its_own_answers),
        cmocka_unit_test(answers_that_do_not_change_raise_no_alarm),
        cmocka_unit_test(answers_that_change_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
