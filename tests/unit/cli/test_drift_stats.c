/* drift_stats.h against values from the literature, against all signs, and against chance. */
#include "runtime/cli/drift_stats.h"

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
    assert_int_equal(drift_wilcoxon(differences, n, &p, &e), 0);
    return p;
}

static void mcnemar_is_the_sign_test_of_those_that_differ(void **state)
{
    (void)state;
    assert_near(drift_mcnemar(0, 0), 1, 0);
    assert_near(drift_mcnemar(5, 5), 1, 0);
    assert_near(drift_mcnemar(0, 5), 0.0625, 1e-12);
    assert_near(drift_mcnemar(1, 8), 0.0390625, 1e-12);
    assert_near(drift_mcnemar(8, 1), 0.0390625, 1e-12);
    /* 2 * sum of C(12, k), k = 0, 1, 2, over 4096 */
    assert_near(drift_mcnemar(10, 2), 2 * (1.0 + 12 + 66) / 4096, 1e-12);
    assert_true(drift_mcnemar(3000, 4000) < 1e-30);
    assert_true(drift_mcnemar(100000, 100100) > 0.5);
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
    double d[DRIFT_EXACT_MAX + 1];
    struct rng rng;
    rng_seed(&rng, 7);
    for (size_t i = 0; i <= DRIFT_EXACT_MAX; i++) {
        d[i] = (double)rng_normal(&rng) + 0.15;
    }
    double exact = wilcoxon(d, DRIFT_EXACT_MAX), normal = wilcoxon(d, DRIFT_EXACT_MAX + 1);
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
        by_coins += drift_mcnemar(only_a, only_b) < 0.05;
    }
    assert_true(by_ranks > 50 && by_ranks < 125);
    assert_true(by_many > 60 && by_many < 140);
    assert_true(by_coins > 30 && by_coins < 125);
}

static void shares_have_wilsons_interval(void **state)
{
    (void)state;
    struct drift_figure f = drift_share(10, 100);
    assert_near(f.value, 0.1, 1e-12);
    assert_near(f.low, 0.05523, 1e-4);
    assert_near(f.high, 0.17437, 1e-4);
    f = drift_share(0, 20);
    assert_near(f.low, 0, 0);
    assert_near(f.high, 0.16113, 1e-4);
    f = drift_share(0, 0);
    assert_true(f.low == 0 && f.high == 1);
}

static void figures_lie_within_their_intervals(void **state)
{
    (void)state;
    struct err e = {0};
    struct drift_figure mean, median, again;
    double values[101];
    for (size_t i = 0; i < 101; i++) {
        values[i] = (double)(i * 37 % 101);
    }
    assert_int_equal(drift_mean(values, 101, &mean, &e), 0);
    assert_int_equal(drift_median(values, 101, &median, &e), 0);
    assert_near(mean.value, 50, 1e-9);
    assert_near(median.value, 50, 1e-9);
    /* 1.96 standard errors, 29.3 / sqrt(101) each */
    assert_near(mean.high - mean.low, 11.4, 1);
    assert_true(median.low < 50 && median.high > 50 && median.high - median.low < 35);
    assert_int_equal(drift_mean(values, 101, &again, &e), 0);
    assert_true(again.low == mean.low && again.high == mean.high);
    assert_int_equal(drift_median(values, 2, &median, &e), 0);
    assert_near(median.value, (values[0] + values[1]) / 2, 1e-12);
    assert_int_equal(drift_mean(values, 0, &mean, &e), 0);
    assert_true(mean.value == 0 && mean.low == 0 && mean.high == 0);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
