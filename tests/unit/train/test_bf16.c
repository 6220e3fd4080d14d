/* Products through bfloat16 against the same in double, of every form and of sizes that fit no
 * tile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/train/bf16.h"
#include "runtime/base/rng.h"

#define MARK 12345.0f

static float rounded(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    bits += 0x7fff + (bits >> 16 & 1); /* to nearest, ties to even */
    bits &= 0xffff0000;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static float *random_floats(struct rng *rng, size_t n)
{
    float *x = malloc(n * sizeof(float)); /* exactly, so that a read behind it is found */
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) {
        x[i] = rng_normal(rng);
    }
    return x;
}

static double element(const struct bf16_factor *f, size_t i, size_t k)
{
    return (double)rounded(f->data[f->transposed ? k * f->ld + i : i * f->ld + k]);
}

static void check(size_t m, size_t n, size_t k, bool ta, bool tb, bool add)
{
    struct rng rng;
    rng_seed(&rng, m * 31 + n * 7 + k);
    size_t ldc = n + 3;
    float *a = random_floats(&rng, m * k), *b = random_floats(&rng, n * k);
    float *c = random_floats(&rng, m * ldc), *before = malloc(m * ldc * sizeof(float));
    assert_non_null(before);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = n; j < ldc; j++) {
            c[i * ldc + j] = MARK;
        }
    }
    memcpy(before, c, m * ldc * sizeof(float));
    const struct bf16_factor fa = {a, ta ? m : k, ta}, fb = {b, tb ? n : k, tb};
    train_bf16_product(c, ldc, &fa, &fb, m, n, k, add);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = add ? (double)before[i * ldc + j] : 0.0, size = 1.0;
            for (size_t l = 0; l < k; l++) {
                double term = element(&fa, i, l) * element(&fb, j, l);
                sum += term;
                size += fabs(term);
            }
            assert_true(fabs((double)c[i * ldc + j] - sum) < 1e-6 * size);
        }
        for (size_t j = n; j < ldc; j++) {
            assert_true(c[i * ldc + j] == MARK);
        }
    }
    free(a);
    free(b);
    free(c);
    free(before);
}

static void products_are_those_of_rounded_factors(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {{1, 1, 1},    {12, 32, 32},  {13, 33, 31}, {7, 80, 257},
                                      {97, 16, 48}, {100, 801, 3}, {5, 47, 513}};
    if (!train_bf16_available()) {
        print_message("this processor has no AVX512_BF16\n");
        skip();
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (int form = 0; form < 8; form++) {
            check(sizes[i][0], sizes[i][1], sizes[i][2], form & 1, form & 2, form & 4);
        }
    }
}

static void the_same_call_gives_the_same_bits(void **state)
{
    (void)state;
    struct rng rng;
    if (!train_bf16_available()) {
        skip();
    }
    rng_seed(&rng, 5);
    float *a = random_floats(&rng, 50 * 300), *b = random_floats(&rng, 70 * 300);
    float *c = random_floats(&rng, 50 * 70), *d = random_floats(&rng, 50 * 70);
    const struct bf16_factor fa = {a, 300, false}, fb = {b, 300, false};
    train_bf16_product(c, 70, &fa, &fb, 50, 70, 300, false);
    train_bf16_product(d, 70, &fa, &fb, 50, 70, 300, false);
    assert_memory_equal(c, d, 50 * 70 * sizeof(float));
    free(a);
    free(b);
    free(c);
    free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_those_of_rounded_factors),
        cmocka_unit_test(the_same_call_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
