/* AdamW, the learning-rate schedule, and that every level of the kernels gives the same bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "models/train/kernels.h"
#include "models/train/optimizer.h"
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
    struct optimizer_options o = optimizer_options_default();
    o.lr = 1.0f;
    o.min_lr = 0.1f;
    o.warmup = 10;
    o.steps = 111;
    assert_true(fabsf(optimizer_learning_rate(&o, 0) - 0.1f) < 1e-6f);
    assert_true(fabsf(optimizer_learning_rate(&o, 9) - 1.0f) < 1e-6f);
    assert_true(fabsf(optimizer_learning_rate(&o, 10) - 1.0f) < 1e-6f);
    assert_true(fabsf(optimizer_learning_rate(&o, 60) - 0.55f) < 1e-6f);
    assert_true(fabsf(optimizer_learning_rate(&o, 110) - 0.1f) < 1e-6f);
    assert_true(fabsf(optimizer_learning_rate(&o, 5000) - 0.1f) < 1e-6f);
    for (uint64_t step = 11; step < 111; step++) {
        assert_true(optimizer_learning_rate(&o, step) < optimizer_learning_rate(&o, step - 1));
    }
    o.warmup = 200; /* longer than the run: only ever rises */
    assert_true(optimizer_learning_rate(&o, 110) < 1.0f);
}

/* Half the squared distance of two tensors from 1 and from 2: each shard has every second of
 * the numbers. */
struct distance {
    struct optimizer_tensor tensors[2];
    bool broken;
};

static double distance_work(void *ctx, uint32_t shard, float *grads)
{
    const struct distance *d = ctx;
    double loss = 0.0;
    for (size_t k = 0; k < 2; k++) {
        const struct optimizer_tensor *t = &d->tensors[k];
        for (size_t i = shard; i < t->count; i += 2) {
            float off = t->param[i] - (float)(k + 1);
            loss += 0.5 * (double)off * (double)off;
            if (grads) {
                grads[t->offset + i] += d->broken ? NAN : off;
            }
        }
    }
    return loss;
}

static struct optimizer *distance_optimizer(struct distance *d, float *a, float *b,
                                            struct optimizer_options *options)
{
    struct err e;
    *options = optimizer_options_default();
    options->lr = options->min_lr = 0.01f;
    options->warmup = 0;
    options->clip = 1e6f;
    *d = (struct distance){.tensors = {{.param = a, .count = N, .decays = true},
                                       {.param = b, .count = 3, .decays = false}}};
    assert_int_equal(optimizer_place(d->tensors, 2), 80 + 16);
    struct optimizer *o = optimizer_create(options, d->tensors, 2, &e);
    assert_non_null(o);
    assert_int_equal(optimizer_block(o), 96);
    return o;
}

static void any_loss_can_be_trained_over_a_list_of_tensors(void **state)
{
    (void)state;
    struct err e;
    struct distance d;
    struct optimizer_options options;
    struct optimizer_stats stats;
    float a[N], b[4] = {5.0f, 6.0f, 7.0f, 8.0f};
    double ra[N], rb[3] = {5.0, 6.0, 7.0}, m[N + 3] = {0}, v[N + 3] = {0};
    for (size_t i = 0; i < N; i++) {
        a[i] = 0.1f * (float)i;
        ra[i] = (double)a[i];
    }
    struct optimizer *o = distance_optimizer(&d, a, b, &options);
    double before = optimizer_evaluate(o, distance_work, &d);
    for (int t = 1; t <= STEPS; t++) {
        double loss = 0.0, squares = 0.0;
        for (size_t i = 0; i < N + 3; i++) {
            double *x = i < N ? &ra[i] : &rb[i - N];
            double off = *x - (i < N ? 1.0 : 2.0);
            loss += 0.5 * off * off;
            squares += off * off;
            reference_adamw(x, &m[i], &v[i], off, t, 0.01, i < N ? 0.1 : 0.0);
        }
        assert_int_equal(optimizer_step(o, distance_work, &d, &stats, &e), 0);
        assert_true(fabs(stats.loss - loss) < 1e-4 * loss);
        assert_true(fabs(stats.grad_norm - sqrt(squares)) < 1e-4 * sqrt(squares));
    }
    for (size_t i = 0; i < N; i++) {
        assert_true(fabs((double)a[i] - ra[i]) < 1e-5);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_true(fabs((double)b[i] - rb[i]) < 1e-5);
    }
    assert_true(b[3] == 8.0f);
    assert_true(optimizer_evaluate(o, distance_work, &d) < before);
    assert_int_equal(optimizer_steps_done(o), STEPS);
    optimizer_destroy(o);
}

static void a_step_that_diverges_changes_nothing(void **state)
{
    (void)state;
    struct err e;
    struct distance d;
    struct optimizer_options options;
    struct optimizer_stats stats;
    float a[N] = {0}, b[3] = {1.0f, 1.0f, 1.0f};
    struct optimizer *o = distance_optimizer(&d, a, b, &options);
    d.broken = true;
    assert_int_equal(optimizer_step(o, distance_work, &d, &stats, &e), -1);
    assert_non_null(strstr(e.message, "diverged"));
    for (size_t i = 0; i < 96; i++) {
        assert_true(optimizer_moment1(o)[i] == 0.0f && optimizer_moment2(o)[i] == 0.0f);
    }
    assert_true(a[0] == 0.0f && b[2] == 1.0f);
    assert_int_equal(optimizer_steps_done(o), 0);
    d.broken = false;
    assert_int_equal(optimizer_step(o, distance_work, &d, &stats, &e), 0);
    assert_true(a[0] > 0.0f);
    optimizer_destroy(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_follows_the_paper),
        cmocka_unit_test(learning_rate_rises_then_falls_to_its_minimum),
        cmocka_unit_test(any_loss_can_be_trained_over_a_list_of_tensors),
        cmocka_unit_test(a_step_that_diverges_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
