/* AdamW, the learning-rate schedule, and that every level of the kernels gives the same bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "models/train/kernels.h"
#include "models/train/trainer.h"
#include "runtime/base/rng.h"

#define N     77
#define STEPS 25

/* Loshchilov and Hutter 2019, algorithm 2, in double and as it is printed there. */
static void reference_adamw(double *x, double *m, double *v, double g, double t, double lr,
                            double wd)
{
    *m = 0.9 * *m + 0.1 * g;
    *v = 0.95 * *v + 0.05 * g * g;
    double m_hat = *m / (1.0 - pow(0.9, t)), v_hat = *v / (1.0 - pow(0.95, t));
    *x = *x - lr * (m_hat / (sqrt(v_hat) + 1e-8) + wd * *x);
}

static void adamw_follows_the_paper(void **state)
{
    (void)state;
    float x[N], g[N], m[N] = {0}, v[N] = {0};
    double rx[N], rm[N] = {0}, rv[N] = {0};
    struct rng rng;
    rng_seed(&rng, 3);
    for (size_t i = 0; i < N; i++) {
        x[i] = rng_normal(&rng);
        rx[i] = (double)x[i];
    }
    for (int t = 1; t <= STEPS; t++) {
        struct train_adamw o = {.lr = 0.01f,
                                .beta1 = 0.9f,
                                .beta2 = 0.95f,
                                .eps = 1e-8f,
                                .weight_decay = 0.1f,
                                .correction1 = (float)(1.0 / (1.0 - pow(0.9, t))),
                                .correction2 = (float)(1.0 / (1.0 - pow(0.95, t))),
                                .grad_scale = 0.5f};
        for (size_t i = 0; i < N; i++) {
            g[i] = rng_normal(&rng);
            reference_adamw(&rx[i], &rm[i], &rv[i], 0.5 * (double)g[i], t, 0.01, 0.1);
        }
        train_kernels_get()->adamw(x, g, m, v, N, &o);
    }
    for (size_t i = 0; i < N; i++) {
        assert_true(fabs((double)x[i] - rx[i]) < 2e-6);
    }
}

static void learning_rate_rises_then_falls_to_its_minimum(void **state)
{
    (void)state;
    struct train_options o = train_options_default();
    o.lr = 1.0f;
    o.min_lr = 0.1f;
    o.warmup = 10;
    o.steps = 111;
    assert_true(fabsf(train_learning_rate(&o, 0) - 0.1f) < 1e-6f);
    assert_true(fabsf(train_learning_rate(&o, 9) - 1.0f) < 1e-6f);
    assert_true(fabsf(train_learning_rate(&o, 10) - 1.0f) < 1e-6f);
    assert_true(fabsf(train_learning_rate(&o, 60) - 0.55f) < 1e-6f);
    assert_true(fabsf(train_learning_rate(&o, 110) - 0.1f) < 1e-6f);
    assert_true(fabsf(train_learning_rate(&o, 5000) - 0.1f) < 1e-6f);
    for (uint64_t step = 11; step < 111; step++) {
        assert_true(train_learning_rate(&o, step) < train_learning_rate(&o, step - 1));
    }
    o.warmup = 200; /* longer than the run: only ever rises */
    assert_true(train_learning_rate(&o, 110) < 1.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_follows_the_paper),
        cmocka_unit_test(learning_rate_rises_then_falls_to_its_minimum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
