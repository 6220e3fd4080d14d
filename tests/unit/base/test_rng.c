/* rng.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "runtime/base/rng.h"

/* The first outputs of xoshiro256** for the state that splitmix64 makes of seed 0. */
static void a_seed_means_the_same_numbers_everywhere(void **state)
{
    (void)state;
    struct rng a;
    struct rng b;
    rng_seed(&a, 0);
    assert_true(a.s[0] == 0xE220A8397B1DCDAFu);
    assert_true(a.s[1] == 0x6E789E6AA1B965F4u);
    assert_true(rng_next(&a) == 0x99EC5F36CB75F2B4u);
    rng_seed(&a, 42);
    rng_seed(&b, 42);
    for (int i = 0; i < 100; i++) {
        assert_true(rng_next(&a) == rng_next(&b));
    }
}

static void below_is_in_range_and_even(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 7);
    int seen[6] = {0};
    for (int i = 0; i < 60000; i++) {
        uint32_t n = rng_below(&r, 6);
        assert_true(n < 6);
        seen[n]++;
    }
    for (int i = 0; i < 6; i++) {
        assert_in_range(seen[i], 9600, 10400);
    }
    assert_int_equal(rng_below(&r, 1), 0);
}

static void uniform_and_normal_have_their_moments(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 9);
    double sum = 0.0;
    double normal = 0.0;
    double squares = 0.0;
    enum { N = 100000 };
    for (int i = 0; i < N; i++) {
        float u = rng_uniform(&r);
        assert_true(u >= 0.0F && u < 1.0F);
        double x = (double)rng_normal(&r);
        assert_true(isfinite(x));
        sum += (double)u;
        normal += x;
        squares += x * x;
    }
    assert_true(fabs(sum / N - 0.5) < 0.01);
    assert_true(fabs(normal / N) < 0.02);
    assert_true(fabs(squares / N - 1.0) < 0.03);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_means_the_same_numbers_everywhere),
        cmocka_unit_test(below_is_in_range_and_even),
        cmocka_unit_test(uniform_and_normal_have_their_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
