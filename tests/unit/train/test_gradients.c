/* The float forward pass and every parameter tensor's gradient, against a double-precision
 * model and its central differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/train/transformer.h"
#include "runtime/base/rng.h"
#include "tests/unit/train/reference_model.h"

#define DIFFERENCE 1e-5
/* Largest error allowed, as a part of the tensor's largest gradient. Float sums give about
 * 1e-6. */
#define TOLERANCE 2e-5
#define SAMPLES   60 /* parameters looked at in each tensor */
#define SCALE     0.25f

static const struct train_shape shape = {
    .d_model = 16,
    .n_layers = 2,
    .n_heads = 4,
    .n_kv_heads = 2,
    .ffn = 32,
    .vocab = 48,
    .context = 80,
    .rope_base = 10000.0f,
    .norm_eps = 1e-5f,
};

struct fixture {
    struct train_slice slice;
    struct transformer *model;
    float *params, *grads;
    double *exact; /* the parameters once more */
    size_t n;
};

/* Documents of 70 (more than one block of queries), 1 and 9 tokens; three positions of five
 * learn nothing, the first and the last among them. */
static void fill_slice(struct train_slice *s, struct rng *rng)
{
    const uint32_t lengths[] = {70, 1, 9};
    for (size_t doc = 0; doc < 3; doc++) {
        for (uint32_t i = 0; i < lengths[doc]; i++) {
            uint32_t t = s->n_tokens++;
            s->tokens[t] = rng_below(rng, shape.vocab);
            s->positions[t] = i;
            s->targets[t] =
                t % 5 != 1 && t % 5 != 3 ? TRAIN_NO_TARGET : rng_below(rng, shape.vocab);
            s->n_targets += s->targets[t] != TRAIN_NO_TARGET;
        }
        s->doc_ends[s->n_docs++] = s->n_tokens;
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err e;
    struct rng rng;
    rng_seed(&rng, 7);
    f->n = train_shape_param_count(&shape);
    f->params = calloc(f->n, sizeof(float));
    f->grads = calloc(f->n, sizeof(float));
    f->exact = calloc(f->n, sizeof(double));
    f->model = transformer_create(&shape, 96, &e);
    if (!f->model || train_slice_init(&f->slice, 96, &e)) {
        return -1;
    }
    fill_slice(&f->slice, &rng);
    train_params_init(&shape, f->params, 1);
    /* Far from the tame start, so that every nonlinearity bends. */
    for (size_t i = 0; i < f->n; i++) {
        f->params[i] += 0.25f * rng_normal(&rng);
        f->exact[i] = (double)f->params[i];
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    train_slice_deinit(&f->slice);
    transformer_destroy(f->model);
    free(f->params);
    free(f->grads);
    free(f->exact);
    free(f);
    return 0;
}

static void loss_is_that_of_the_double_model(void **state)
{
    struct fixture *f = *state;
    struct train_params p;
    train_params_bind(&p, &shape, f->params);
    double expected = reference_loss(&shape, f->exact, &f->slice);
    assert_true(fabs(transformer_loss(f->model, &p, &f->slice) - expected) < 1e-5 * expected);
}

static void nothing_is_learnt_without_a_target(void **state)
{
    struct fixture *f = *state;
    struct train_params p, g;
    train_params_bind(&p, &shape, f->params);
    train_params_bind(&g, &shape, f->grads);
    for (uint32_t t = 0; t < f->slice.n_tokens; t++) {
        f->slice.targets[t] = TRAIN_NO_TARGET;
    }
    assert_true(transformer_gradients(f->model, &p, &g, &f->slice, SCALE) == 0.0);
    for (size_t i = 0; i < f->n; i++) {
        assert_true(f->grads[i] == 0.0f);
    }
}

static double difference(struct fixture *f, size_t at)
{
    double keep = f->exact[at];
    f->exact[at] = keep + DIFFERENCE;
    double above = reference_loss(&shape, f->exact, &f->slice);
    f->exact[at] = keep - DIFFERENCE;
    double below = reference_loss(&shape, f->exact, &f->slice);
    f->exact[at] = keep;
    return (double)SCALE * (above - below) / (2.0 * DIFFERENCE);
}

static double largest(const float *a, size_t n)
{
    double max = 0.0;
    for (size_t i = 0; i < n; i++) {
        max = fmax(max, fabs((double)a[i]));
    }
    return max;
}

static void check_gradients(struct fixture *f)
{
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    size_t count = train_shape_tensors(&shape, tensors), failed = 0;
    struct train_params p, g;
    struct rng rng;
    rng_seed(&rng, 11);
    train_params_bind(&p, &shape, f->params);
    train_params_bind(&g, &shape, f->grads);
    transformer_gradients(f->model, &p, &g, &f->slice, SCALE);
    for (size_t i = 0; i < count; i++) {
        uint32_t n = tensors[i].rows * tensors[i].cols;
        double scale = largest(f->grads + tensors[i].offset, n), worst = 0.0;
        assert_true(scale > 1e-3);
        for (uint32_t k = 0; k < SAMPLES; k++) {
            size_t at = tensors[i].offset + (n <= SAMPLES ? k % n : rng_below(&rng, n));
            worst = fmax(worst, fabs((double)f->grads[at] - difference(f, at)) / scale);
        }
        print_message("%-28s largest %8.4f, error %.1e\n", tensors[i].name, scale, worst);
        failed += worst > TOLERANCE;
    }
    assert_int_equal(failed, 0);
}

static void every_tensor_s_gradient_is_the_central_difference(void **state)
{
    check_gradients(*state);
}

static void weights_scale_the_loss_and_gradient_of_targets(void **state)
{
    struct fixture *f = *state;
    struct train_params p;
    float weights[96];
    for (uint32_t t = 0; t < f->slice.n_tokens; t++) {
        weights[t] = 0.5f * (float)(t % 7) - 1.0f; /* negative and zero among them */
    }
    f->slice.weights = weights;
    train_params_bind(&p, &shape, f->params);
    double expected = reference_loss(&shape, f->exact, &f->slice);
    double loss = transformer_loss(f->model, &p, &f->slice);
    assert_true(fabs(loss - expected) < 1e-5 * fabs(expected) + 1e-4);
    check_gradients(f);
    f->slice.weights = NULL;
}

static void logprobs_are_those_that_the_loss_adds_up(void **state)
{
    struct fixture *f = *state;
    struct train_params p;
    float out[96], weights[96] = {0};
    double sum = 0.0;
    train_params_bind(&p, &shape, f->params);
    transformer_logprobs(f->model, &p, &f->slice, out);
    f->slice.weights = weights;
    for (uint32_t t = 0; t < f->slice.n_tokens; t++) {
        if (f->slice.targets[t] == TRAIN_NO_TARGET) {
            assert_true(out[t] == 0.0f);
            continue;
        }
        weights[t] = 1.0f;
        assert_true(fabs(reference_loss(&shape, f->exact, &f->slice) + (double)out[t]) < 1e-4);
        weights[t] = 0.0f;
        sum -= (double)out[t];
    }
    f->slice.weights = NULL;
    assert_true(fabs(transformer_loss(f->model, &p, &f->slice) - sum) < 1e-3);
}

static void gradients_add_up_over_calls(void **state)
{
    struct fixture *f = *state;
    struct train_params p, g;
    float *once = calloc(f->n, sizeof(float));
    train_params_bind(&p, &shape, f->params);
    train_params_bind(&g, &shape, once);
    transformer_gradients(f->model, &p, &g, &f->slice, SCALE);
    train_params_bind(&g, &shape, f->grads);
    for (size_t i = 0; i < f->n; i++) {
        f->grads[i] = 1.0f;
    }
    transformer_gradients(f->model, &p, &g, &f->slice, SCALE);
    for (size_t i = 0; i < f->n; i++) {
        assert_true(fabsf(f->grads[i] - 1.0f - once[i]) <= 1e-4f + 1e-4f * fabsf(once[i]));
    }
    free(once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loss_is_that_of_the_double_model, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_learnt_without_a_target, setup, teardown),
        cmocka_unit_test_setup_teardown(every_tensor_s_gradient_is_the_central_difference,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(weights_scale_the_loss_and_gradient_of_targets, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(logprobs_are_those_that_the_loss_adds_up, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(gradients_add_up_over_calls, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
