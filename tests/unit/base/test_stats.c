/* stats.h against values from the literature, against all signs, and against chance. */
#include "runtime/base/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/rng.h"

static void assert_near(double value, double wanted, double by)
{
    if (!(fabs(value - wanted) <= by)) {
        fail_msg("%.9g is not %.9g", value, wanted);
    }
}

static double wilcoxon(const double *differences, size_t n)
{
    struct err e = {0};
    double p = -1;
    assert_int_equal(stats_wilcoxon(differences, n, &p, &e), 0);
    return p;
}

static void mcnemar_is_the_sign_test_of_those_that_differ(void **state)
{
    (void)state;
    assert_near(stats_mcnemar(0, 0), 1, 0);
    assert_near(stats_mcnemar(5, 5), 1, 0);
    assert_near(stats_mcnemar(0, 5), 0.0625, 1e-12);
    assert_near(stats_mcnemar(1, 8), 0.0390625, 1e-12);
    assert_near(stats_mcnemar(8, 1), 0.0390625, 1e-12);
    /* 2 * sum of C(12, k), k = 0, 1, 2, over 4096 */
    assert_near(stats_mcnemar(10, 2), 2 * (1.0 + 12 + 66) / 4096, 1e-12);
    assert_true(stats_mcnemar(3000, 4000) < 1e-30);
    assert_true(stats_mcnemar(100000, 100100) > 0.5);
}

/* Hollander and Wolfe (1973), depression before and after: V = 40, p = 0.03906. */
static void the_example_of_the_textbook(void **state)
{
    (void)state;
    static const double before[] = {1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30};
    static const double after[] = {0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29};
    double d[9];
    for (size_t i = 0; i < 9; i++) {
        d[i] = before[i] - after[i];
    }
    assert_near(wilcoxon(d, 9), 0.0390625, 1e-9);
    for (size_t i = 0; i < 9; i++) {
        d[i] = -d[i];
    }
    assert_near(wilcoxon(d, 9), 0.0390625, 1e-9);
}

/* The two-sided p by going through all signs. */
static double by_all_signs(const double *ranks, size_t n, double seen)
{
    size_t as_far = 0, all = (size_t)1 << n;
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        total += ranks[i];
    }
    double less = seen < total - seen ? seen : total - seen;
    for (size_t signs = 0; signs < all; signs++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            sum += signs >> i & 1 ? ranks[i] : 0;
        }
        as_far += sum <= less;
    }
    double p = 2 * (double)as_far / (double)all;
    return p < 1 ? p : 1;
}

static void it_is_exact_with_ties_and_zeros(void **state)
{
    (void)state;
    static const double d[] = {0, 3, -1, 1, 1, 0, -2, 3, 3, 5, -3};
    /* |1| three times: 2 each; |2|: 4; |3| four times: 6.5 each; |5|: 9 */
    static const double ranks[] = {6.5, 2, 2, 2, 4, 6.5, 6.5, 9, 6.5};
    assert_near(wilcoxon(d, 11), by_all_signs(ranks, 9, 6.5 + 2 + 2 + 6.5 + 6.5 + 9), 1e-12);
    static const double none[] = {0, 0};
    assert_near(wilcoxon(none, 2), 1, 0);
    assert_near(wilcoxon(none, 0), 1, 0);
    static const double same[] = {2, 2, 2, 2, 2, 2};
    assert_near(wilcoxon(same, 6), 2.0 / 64, 1e-12);
}

static void many_are_nearly_as_exact(void **state)
{
    (void)state;
    double d[STATS_EXACT_MAX + 1];
    struct rng rng;
    rng_seed(&rng, 7);
    for (size_t i = 0; i <= STATS_EXACT_MAX; i++) {
        d[i] = (double)rng_normal(&rng) + 0.15;
    }
    double exact = wilcoxon(d, STATS_EXACT_MAX), normal = wilcoxon(d, STATS_EXACT_MAX + 1);
    assert_true(exact > 0.001 && exact < 0.5);
    assert_near(log(normal), log(exact), 0.6); /* one more value, another formula */
}

/* Without a difference 5 of 100 are below 0.05, and not more. */
static void without_a_difference_few_are_significant(void **state)
{
    (void)state;
    struct rng rng;
    int by_ranks = 0, by_coins = 0, by_many = 0;
    rng_seed(&rng, 3);
    for (int round = 0; round < 2000; round++) {
        double d[300];
        size_t only_a = 0, only_b = 0;
        for (size_t i = 0; i < 300; i++) {
            d[i] = (double)rng_below(&rng, 11) - 5;
            only_a += rng_below(&rng, 10) == 0;
            only_b += rng_below(&rng, 10) == 0;
        }
        by_ranks += wilcoxon(d, 30) < 0.05;
        by_many += wilcoxon(d, 300) < 0.05;
        by_coins += stats_mcnemar(only_a, only_b) < 0.05;
    }
    assert_true(by_ranks > 50 && by_ranks < 125);
    assert_true(by_many > 60 && by_many < 140);
    assert_true(by_coins > 30 && by_coins < 125);
}

static void shares_have_wilsons_interval(void **state)
{
    (void)state;
    struct stats_figure f = stats_share(10, 100);
    assert_near(f.value, 0.1, 1e-12);
    assert_near(f.low, 0.05523, 1e-4);
    assert_near(f.high, 0.17437, 1e-4);
    f = stats_share(0, 20);
    assert_near(f.low, 0, 0);
    assert_near(f.high, 0.16113, 1e-4);
    f = stats_share(0, 0);
    assert_true(f.low == 0 && f.high == 1);
}

static void figures_lie_within_their_intervals(void **state)
{
    (void)state;
    struct err e = {0};
    struct stats_figure mean, median, again;
    double values[101];
    for (size_t i = 0; i < 101; i++) {
        values[i] = (double)(i * 37 % 101);
    }
    assert_int_equal(stats_mean(values, 101, &mean, &e), 0);
    assert_int_equal(stats_median(values, 101, &median, &e), 0);
    assert_near(mean.value, 50, 1e-9);
    assert_near(median.value, 50, 1e-9);
    /* 1.96 standard errors, 29.3 / sqrt(101) each */
    assert_near(mean.high - mean.low, 11.4, 1);
    assert_true(median.low < 50 && median.high > 50 && median.high - median.low < 35);
    assert_int_equal(stats_mean(values, 101, &again, &e), 0);
    assert_true(again.low == mean.low && again.high == mean.high);
    assert_int_equal(stats_median(values, 2, &median, &e), 0);
    assert_near(median.value, (values[0] + values[1]) / 2, 1e-12);
    assert_int_equal(stats_mean(values, 0, &mean, &e), 0);
    assert_true(mean.value == 0 && mean.low == 0 && mean.high == 0);
}

static void differences_of_shares_have_an_interval_where_all_agree(void **state)
{
    (void)state;
    struct stats_figure f = stats_share_difference(10, 25, 100);
    assert_near(f.value, 0.15, 1e-12);
    assert_near(f.low, 0.035354888, 1e-8);
    assert_near(f.high, 0.258762759, 1e-8);
    f = stats_share_difference(0, 0, 20);
    assert_near(f.value, 0, 0);
    assert_near(f.low, -0.089089272, 1e-8);
    assert_near(f.high, 0.089089272, 1e-8);
    f = stats_share_difference(0, 0, 0);
    assert_true(f.low == -1 && f.high == 1);
}

/* The sum of the values drawn over the sum of the weights behind them. */
static double ratio_of(void *ctx, const uint32_t *drawn, size_t n)
{
    const double *values = ctx;
    double sum = 0, weight = 0;
    for (size_t i = 0; i < n; i++) {
        sum += values[drawn[i]];
        weight += values[40 + drawn[i]];
    }
    return sum / weight;
}

static void any_statistic_can_be_resampled(void **state)
{
    (void)state;
    struct err e = {0};
    struct stats_figure f;
    double values[80], p;
    for (size_t i = 0; i < 40; i++) {
        values[i] = (double)(i % 5) - 1; /* -1 .. 3: mean 1 */
        values[40 + i] = 2;
    }
    assert_int_equal(stats_bootstrap(40, ratio_of, values, &f, &p, &e), 0);
    assert_near(f.value, 0.5, 1e-12);
    /* 1.96 standard errors: sqrt(2) / sqrt(40) / 2 each */
    assert_near(f.high - f.low, 2 * 1.96 * 0.1118, 0.05);
    assert_near(p, 2.0 / 2001, 1e-12);
    for (size_t i = 0; i < 40; i++) {
        values[i] -= 1;
    }
    assert_int_equal(stats_bootstrap(40, ratio_of, values, &f, &p, &e), 0);
    assert_near(f.value, 0, 1e-12);
    assert_true(p > 0.5);
    assert_int_equal(stats_bootstrap(0, ratio_of, values, &f, &p, &e), 0);
    assert_true(p == 1 && f.high == 0);
}

static void holm_goes_from_the_smallest(void **state)
{
    (void)state;
    struct err e = {0};
    double p[] = {0.01, 0.04, 0.03, 0.005, 0.9};
    const double wanted[] = {0.04, 0.09, 0.09, 0.025, 0.9};
    assert_int_equal(stats_holm(p, 5, &e), 0);
    for (size_t i = 0; i < 5; i++) {
        assert_near(p[i], wanted[i], 1e-12);
    }
    assert_int_equal(stats_holm(p, 0, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mcnemar_is_the_sign_test_of_those_that_differ),
        cmocka_unit_test(the_example_of_the_textbook),
        cmocka_unit_test(it_is_exact_with_ties_and_zeros),
        cmocka_unit_test(many_are_nearly_as_exact),
        cmocka_unit_test(without_a_difference_few_are_significant),
        cmocka_unit_test(shares_have_wilsons_interval),
        cmocka_unit_test(figures_lie_within_their_intervals),
        cmocka_unit_test(differences_of_shares_have_an_interval_where_all_agree),
        cmocka_unit_test(any_statistic_can_be_resampled),
        cmocka_unit_test(holm_goes_from_the_smallest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
