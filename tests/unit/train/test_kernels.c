/* Elementwise kernels: the exponential they share, and that every instruction set gives the
 * same bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "models/train/kernels.h"
#include "runtime/base/rng.h"

#define ROWS   3
#define WIDTH  64
#define STRIDE 48

struct kernel_results {
    float norm[ROWS * WIDTH], rstd[ROWS], dx[ROWS * WIDTH], dweight[WIDTH];
    float act[ROWS * WIDTH / 2], dgate_up[ROWS * WIDTH];
    float turned[ROWS * WIDTH], probs[ROWS * STRIDE], dscores[ROWS * STRIDE], lse[ROWS];
    float logits[WIDTH], params[WIDTH], m[WIDTH], v[WIDTH];
    double loss, squares;
    float dot;
};

static void run_kernels(const struct train_kernels *k, struct kernel_results *r)
{
    float x[ROWS * WIDTH], weight[WIDTH], dout[ROWS * WIDTH], table[4 * 16],
        dot[ROWS] = {0.1f, 0.2f, 0};
    const uint32_t positions[ROWS] = {0, 3, 1};
    const struct train_adamw o = {0.01f, 0.9f, 0.95f, 1e-8f, 0.1f, 10.0f, 20.0f, 0.7f};
    struct rng rng;
    rng_seed(&rng, 5);
    memset(r, 0, sizeof(*r));
    for (size_t i = 0; i < ROWS * WIDTH; i++) {
        x[i] = 3.0f * rng_normal(&rng);
        dout[i] = rng_normal(&rng);
        weight[i % WIDTH] = rng_normal(&rng);
        table[i % 64] = rng_normal(&rng);
    }
    k->rmsnorm_forward(r->norm, r->rstd, x, weight, ROWS, WIDTH, 1e-5f);
    k->rmsnorm_backward(r->dx, r->dweight, dout, x, weight, r->rstd, ROWS, WIDTH);
    k->swiglu_forward(r->act, x, ROWS, WIDTH / 2);
    k->swiglu_backward(r->dgate_up, dout, x, ROWS, WIDTH / 2);
    memcpy(r->turned, x, sizeof(x));
    k->rope(r->turned, ROWS, WIDTH, WIDTH / 8, 8, table, positions, -1.0f);
    memcpy(r->probs, x, sizeof(r->probs));
    k->softmax_forward(r->probs, STRIDE, 40, r->lse, 1, ROWS, 37);
    memcpy(r->probs, x, sizeof(r->probs));
    memcpy(r->dscores, dout, sizeof(r->dscores));
    k->softmax_backward(r->probs, r->dscores, STRIDE, 40, r->lse, 1, dot, ROWS, 37);
    memcpy(r->logits, x, sizeof(r->logits));
    r->loss = k->cross_entropy(r->logits, WIDTH, 17, 0.5f);
    r->dot = k->dot(x, dout, ROWS * WIDTH - 5);
    r->squares = k->sum_squares(x, ROWS * WIDTH - 5);
    memcpy(r->params, x, sizeof(r->params));
    k->add(r->params, dout, WIDTH - 3);
    k->adamw(r->params, dout, r->m, r->v, WIDTH - 3, &o);
}

static void every_instruction_set_gives_the_same_bits(void **state)
{
    (void)state;
    static struct kernel_results expected, got;
    run_kernels(train_kernels_at(0), &expected);
    for (size_t i = 1; train_kernels_at(i); i++) {
        run_kernels(train_kernels_at(i), &got);
        print_message("%s\n", train_kernels_at(i)->name);
        assert_memory_equal(&got, &expected, sizeof(got));
    }
}

/* softmax_backward with lse = 0 shows exp(x) as it is. x has room for 16, n <= 16. */
static void exponential(float *x, size_t n)
{
    float unused[16] = {0}, zero = 0.0f;
    train_kernels_get()->softmax_backward(x, unused, 16, n, &zero, 1, &zero, 1, n - 1);
}

static void exponential_is_within_two_units_in_the_last_place(void **state)
{
    (void)state;
    for (double start = -86.9; start < 87.9; start += 0.003) {
        float x[16], y[16];
        for (size_t i = 0; i < 16; i++) {
            y[i] = x[i] = (float)(start + 0.0001 * (double)i);
        }
        exponential(y, 16);
        for (size_t i = 0; i < 16; i++) {
            double exact = exp((double)x[i]), unit = ldexp(1.0, ilogb(exact) - 23);
            assert_true(fabs((double)y[i] - exact) <= 2.0 * unit);
        }
    }
}

static void exponential_of_very_small_numbers_is_zero_and_of_large_ones_finite(void **state)
{
    (void)state;
    float x[16] = {-INFINITY, -87.5f, -1e30f, 1e30f};
    exponential(x, 4);
    assert_true(x[0] == 0.0f && x[1] == 0.0f && x[2] == 0.0f);
    assert_true(isfinite(x[3]) && x[3] > 1e38f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction_set_gives_the_same_bits),
        cmocka_unit_test(exponential_is_within_two_units_in_the_last_place),
        cmocka_unit_test(exponential_of_very_small_numbers_is_zero_and_of_large_ones_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
