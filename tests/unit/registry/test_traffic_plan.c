/* traffic_plan.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "runtime/base/fnv.h"
#include "runtime/registry/traffic_plan.h"

#define CALLERS 100000

/* Numbers as they come: counted, far apart, hashes of texts. */
static uint64_t caller(int kind, unsigned i)
{
    char text[32];
    switch (kind) {
    case 0:
        return i;
    case 1:
        return (uint64_t)i << 40;
    default:
        return fnv64(FNV64_BASIS, text,
                     (size_t)snprintf(text, sizeof(text), "conversation %u", i));
    }
}

/* Five standard deviations of a binomial count: one run in a million is outside. */
static double bound(double p)
{
    return 5.0 * sqrt(CALLERS * p * (1.0 - p));
}

static void a_share_is_its_percentage(void **state)
{
    static const int shares[] = {1, 5, 10, 33, 50, 90, 99};
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        for (size_t s = 0; s < sizeof(shares) / sizeof(shares[0]); s++) {
            int taken = 0;
            for (unsigned i = 0; i < CALLERS; i++) {
                taken += traffic_plan_takes("3", caller(kind, i), shares[s]);
            }
            double p = shares[s] / 100.0;
            assert_true(fabs(taken - CALLERS * p) <= bound(p));
        }
    }
}

static void nobody_and_everybody(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CALLERS; i++) {
        assert_false(traffic_plan_takes("3", caller(2, i), 0));
        assert_true(traffic_plan_takes("3", caller(2, i), 100));
    }
}

static void who_is_in_stays_in(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CALLERS; i++) {
        int from = -1;
        for (int percent = 0; percent <= 100; percent += 5) {
            bool taken = traffic_plan_takes("2026.11", caller(2, i), percent);
            assert_true(taken || from < 0);
            from = taken && from < 0 ? percent : from;
        }
    }
}

/* prompt_set_choose's way, which a share of a model's version must not follow. */
static bool prompt_takes(uint64_t sticky, int percent)
{
    return (int)((sticky * 0x9E3779B97F4A7C15u >> 32) % 100) < percent;
}

/* As many are in both shares as independence says. Of numbers that are no hashes a prompt's
 * trial need not take half. */
static void check_independent(bool (*first)(uint64_t), bool (*second)(uint64_t))
{
    for (int kind = 0; kind < 3; kind++) {
        int n[2] = {0}, both = 0;
        for (unsigned i = 0; i < CALLERS; i++) {
            bool in[2] = {first(caller(kind, i)), second(caller(kind, i))};
            n[0] += in[0];
            n[1] += in[1];
            both += in[0] && in[1];
        }
        double p = (double)n[0] / CALLERS * n[1] / CALLERS;
        assert_true(p > 0.04 && p < 0.3);
        assert_true(fabs(both - CALLERS * p) <= bound(p));
    }
}

static bool half_of_prompt(uint64_t c)
{
    return prompt_takes(c, 50);
}

static bool half_of_3(uint64_t c)
{
    return traffic_plan_takes("3", c, 50);
}

static bool half_of_4(uint64_t c)
{
    return traffic_plan_takes("4", c, 50);
}

static bool tenth_of_10(uint64_t c)
{
    return traffic_plan_takes("10", c, 10);
}

static void shares_are_independent(void **state)
{
    (void)state;
    check_independent(half_of_3, half_of_prompt);
    check_independent(half_of_3, half_of_4);
    check_independent(tenth_of_10, half_of_4);
    check_independent(tenth_of_10, half_of_prompt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share_is_its_percentage),
        cmocka_unit_test(nobody_and_everybody),
        cmocka_unit_test(who_is_in_stays_in),
        cmocka_unit_test(shares_are_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
