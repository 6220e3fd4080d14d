/* Distribution functions against values of mpmath with 30 digits, and against each other. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/distributions.h"

static void assert_close(double got, double wanted, double relative)
{
    if (!(fabs(got - wanted) <= relative * fabs(wanted))) {
        fail_msg("%.15g, not %.15g", got, wanted);
    }
}

static void beta_has_known_values(void **state)
{
    (void)state;
    static const double known[][4] = {
        {2, 3, 0.25, 0.26171875},
        {0.5, 0.5, 0.1, 0.204832764699133},
        {8, 194, 0.01, 0.00104538700230409},
        {2000, 18000, 0.105, 0.990080271994773},
        {1.5, 400, 0.0005, 0.0598298072236794},
        {30, 2, 0.9, 0.169564633100865},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const double *k = known[i];
        assert_close(beta_below(k[0], k[1], k[2]), k[3], 1e-9);
        assert_close(beta_quantile(k[0], k[1], k[3]), k[2], 1e-8);
    }
    assert_true(beta_below(2, 3, 0) == 0 && beta_below(2, 3, -1) == 0);
    assert_true(beta_below(2, 3, 1) == 1 && beta_below(2, 3, 2) == 1);
}

static void student_has_known_values(void **state)
{
    (void)state;
    static const double known[][3] = {
        {0.025, 1, 12.7062047362},    {0.05, 10, 1.81246112281},
        {0.00025, 30, 3.90164267774}, {0.00025, 2000, 3.48647140539},
        {0.005, 4.5, 4.27282399301},  {1e-6, 200, 4.89730210283},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const double *k = known[i];
        assert_close(student_quantile_above(k[0], k[1]), k[2], 1e-8);
        assert_close(student_above(k[2], k[1]), k[0], 1e-7);
        assert_close(student_above(-k[2], k[1]), 1 - k[0], 1e-9);
    }
    assert_close(student_above(0, 3), 0.5, 1e-12);
}

static void limits_of_a_share_have_known_values(void **state)
{
    (void)state;
    static const double known[][5] = {
        {7, 200, 0.00025, 0.00606871292331, 0.104395474932},
        {0, 60, 0.025, 0.0, 0.0596294922862},
        {1, 10, 0.05, 0.00511619689182, 0.394163302437},
        {100, 2000, 0.0001, 0.0337767793168, 0.0705915657015},
        {200, 200, 0.01, 0.977237220956, 1.0},
        {2.5, 30.5, 0.01, 0.0092751381418, 0.271193155412},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const double *k = known[i];
        assert_close(binomial_low(k[0], k[1], k[2]), k[3], 1e-8);
        assert_close(binomial_high(k[0], k[1], k[2]), k[4], 1e-8);
    }
    assert_true(binomial_low(0, 0, 0.01) == 0 && binomial_high(0, 0, 0.01) == 1);
}

/* What they are by definition, by adding up the binomial distribution. */
static void limits_of_a_share_are_exact(void **state)
{
    (void)state;
    const int n = 40;
    const double p = 0.003;
    for (int hits = 1; hits < n; hits++) {
        double low = binomial_low(hits, n, p), high = binomial_high(hits, n, p);
        double at_least = 0, at_most = 0;
        for (int k = 0; k <= n; k++) {
            double ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
            at_least += k >= hits ? exp(ways + k * log(low) + (n - k) * log1p(-low)) : 0;
            at_most += k <= hits ? exp(ways + k * log(high) + (n - k) * log1p(-high)) : 0;
        }
        assert_close(at_least, p, 1e-7);
        assert_close(at_most, p, 1e-7);
    }
}

/* 15 of 100 against 5 of 100 at 2.5 %: Clopper and Pearson's limits are 0.0864531 .. 0.2353075
 * and 0.0164318 .. 0.1128349; joined by squares. */
static void interval_of_shares_has_known_values(void **state)
{
    (void)state;
    struct interval i = share_difference_interval(5, 100, 15, 100, 0.025);
    assert_close(i.low, 0.1 - hypot(0.15 - 0.0864531, 0.1128349 - 0.05), 1e-4);
    assert_close(i.high, 0.1 + hypot(0.2353075 - 0.15, 0.05 - 0.0164318), 1e-4);
    i = share_difference_interval(0, 0, 3, 10, 0.01);
    assert_true(i.low == -1 && i.high == 1);
}

static double binomial(int k, int n, double p)
{
    double ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
    return exp(ways + k * log(p) + (n - k) * log1p(-p));
}

/* Every outcome, weighed by its probability: the share of those whose interval lies above the
 * true difference is the level at most. */
static void interval_of_shares_keeps_its_level_exactly(void **state)
{
    (void)state;
    static const double shares[] = {0.01, 0.05, 0.2, 0.5}, margins[] = {0, 0.02, 0.1};
    const int n_stable = 60, n_canary = 40;
    const double level = 0.002;
    for (size_t s = 0; s < 4; s++) {
        for (size_t m = 0; m < 3; m++) {
            double above = 0, below = 0, canary = shares[s] + margins[m];
            for (int x = 0; x <= n_stable; x++) {
                for (int y = 0; y <= n_canary; y++) {
                    double p = binomial(x, n_stable, shares[s]) * binomial(y, n_canary, canary);
                    if (p < 1e-9) {
                        continue;
                    }
                    struct interval i =
                        share_difference_interval(x, n_stable, y, n_canary, level);
                    above += i.low > margins[m] ? p : 0;
                    below += i.high < margins[m] ? p : 0;
                }
            }
            assert_true(above <= level && below <= level);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beta_has_known_values),
        cmocka_unit_test(student_has_known_values),
        cmocka_unit_test(limits_of_a_share_have_known_values),
        cmocka_unit_test(limits_of_a_share_are_exact),
        cmocka_unit_test(interval_of_shares_has_known_values),
        cmocka_unit_test(interval_of_shares_keeps_its_level_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
