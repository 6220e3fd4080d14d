/* The float forward pass and every parameter tensor's gradient, of models and of adapters
 * beside them, against a double-precision model and its central differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/train/lora.h"
#include "models/train/transformer.h"
#include "runtime/base/rng.h"
#include "tests/unit/train/reference_model.h"

#define DIFFERENCE 1e-5
/* Largest error allowed, as a part of the tensor's largest gradient. Float sums give about
 * 1e-6. */
#define TOLERANCE  2e-5
#define SAMPLES    10 /* parameters looked at in each tensor */
#define SCALE      0.25f
#define MAX_TOKENS 96

#define PLAIN                                                                            \
    .d_model = 16, .n_layers = 2, .n_heads = 4, .n_kv_heads = 2, .ffn = 32, .vocab = 48, \
    .context = 80, .rope_base = 10000.0f, .norm_eps = 1e-5f

/* What the architectures differ in, and a vocabulary that is not whole vectors. */
static const struct train_shape llama = {PLAIN};
static const struct train_shape qwen2 = {PLAIN, .head_dim = 6, .rope_halves = true,
                                         .qkv_bias = true, .untied = true};
static const struct train_shape qwen3 = {PLAIN, .head_dim = 16, .rope_halves = true,
                                         .qk_norm = true};
static const struct train_shape stretched = {PLAIN, .no_rope_period = 2, .rope_magnitude = 1.1f,
                                             .rope_factor = {1.0f, 4.0f}};

static const struct lora all = {.rank = 3, .alpha = 6.0f, .targets = LORA_ALL};
static const struct lora some = {
    .rank = 5, .alpha = 4.0f, .targets = LORA_Q | LORA_V | LORA_UP};

struct fixture {
    struct train_shape shape;
    struct lora lora;
    struct train_slice slice;
    struct transformer *model;
    struct train_params params;
    size_t n, n_adapter;
    float *block, *grads, *adapter, *dadapter;
    double *exact, *exact_adapter; /* the numbers once more */
};

/* Documents of `longest`, 1 and 9 tokens; three positions of five learn nothing, the first and
 * the last among them. */
static void fill_slice(struct train_slice *s, uint32_t longest, uint32_t vocab, struct rng *rng)
{
    const uint32_t lengths[] = {longest, 1, 9};
    for (size_t doc = 0; doc < 3; doc++) {
        for (uint32_t i = 0; i < lengths[doc]; i++) {
            uint32_t t = s->n_tokens++;
            s->tokens[t] = rng_below(rng, vocab);
            s->positions[t] = i;
            s->targets[t] = t % 5 != 1 && t % 5 != 3 ? TRAIN_NO_TARGET : rng_below(rng, vocab);
            s->n_targets += s->targets[t] != TRAIN_NO_TARGET;
        }
        s->doc_ends[s->n_docs++] = s->n_tokens;
    }
}

/* Far from the tame start, so that every nonlinearity bends. */
static void unsettle(float *block, double *exact, size_t n, struct rng *rng)
{
    for (size_t i = 0; i < n; i++) {
        block[i] += 0.25f * rng_normal(rng);
        exact[i] = (double)block[i];
    }
}

static void open_fixture(struct fixture *f, const struct train_shape *shape,
                         const struct lora *lora)
{
    struct err e;
    struct rng rng;
    rng_seed(&rng, 7);
    *f = (struct fixture){.shape = *shape, .lora = lora ? *lora : (struct lora){0}};
    f->n = train_shape_param_count(shape);
    f->n_adapter = lora ? lora_param_count(shape, lora) : 0;
    f->block = calloc(f->n, sizeof(float));
    f->grads = calloc(f->n, sizeof(float));
    f->exact = calloc(f->n, sizeof(double));
    f->adapter = calloc(f->n_adapter + 1, sizeof(float));
    f->dadapter = calloc(f->n_adapter + 1, sizeof(float));
    f->exact_adapter = calloc(f->n_adapter + 1, sizeof(double));
    f->model = transformer_create(shape, MAX_TOKENS, &e);
    assert_non_null(f->model);
    assert_int_equal(train_slice_init(&f->slice, MAX_TOKENS, &e), 0);
    /* More than one block of queries; the others need not be as slow. */
    fill_slice(&f->slice, shape == &llama && !lora ? 70 : 10, shape->vocab, &rng);
    train_params_init(shape, f->block, 1);
    unsettle(f->block, f->exact, f->n, &rng);
    train_params_bind(&f->params, shape, f->block);
    if (lora) {
        assert_int_equal(lora_check(lora, &e), 0);
        lora_init(shape, lora, f->adapter, 2);
        unsettle(f->adapter, f->exact_adapter, f->n_adapter, &rng);
        lora_bind(&f->params, shape, lora, f->adapter);
    }
}

static void close_fixture(struct fixture *f)
{
    train_slice_deinit(&f->slice);
    transformer_destroy(f->model);
    free(f->block);
    free(f->grads);
    free(f->exact);
    free(f->adapter);
    free(f->dadapter);
    free(f->exact_adapter);
}

static double exact_loss(const struct fixture *f)
{
    return f->n_adapter > 0
               ? reference_loss_lora(&f->shape, f->exact, &f->lora, f->exact_adapter, &f->slice)
               : reference_loss(&f->shape, f->exact, &f->slice);
}

static double difference(struct fixture *f, double *number)
{
    double keep = *number;
    *number = keep + DIFFERENCE;
    double above = exact_loss(f);
    *number = keep - DIFFERENCE;
    double below = exact_loss(f);
    *number = keep;
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

/* Holds the gradients of all tensors against differences; exact holds the same numbers. */
static void check_tensors(struct fixture *f, const struct train_tensor *tensors, size_t count,
                          const float *grads, double *exact)
{
    struct rng rng;
    size_t failed = 0;
    rng_seed(&rng, 11);
    for (size_t i = 0; i < count; i++) {
        uint32_t n = tensors[i].rows * tensors[i].cols;
        double scale = largest(grads + tensors[i].offset, n), worst = 0.0;
        assert_true(scale > 1e-3);
        for (uint32_t k = 0; k < SAMPLES; k++) {
            size_t at = tensors[i].offset + (n <= SAMPLES ? k % n : rng_below(&rng, n));
            worst = fmax(worst, fabs((double)grads[at] - difference(f, &exact[at])) / scale);
        }
        print_message("%-32s largest %8.4f, error %.1e\n", tensors[i].name, scale, worst);
        failed += worst > TOLERANCE;
    }
    assert_int_equal(failed, 0);
}

static void check_gradients(struct fixture *f)
{
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    struct train_params g;
    train_params_bind(&g, &f->shape, f->grads);
    transformer_gradients(f->model, &f->params, &g, &f->slice, SCALE);
    check_tensors(f, tensors, train_shape_tensors(&f->shape, tensors), f->grads, f->exact);
}

static void check_shape(const struct train_shape *shape)
{
    struct fixture f;
    open_fixture(&f, shape, NULL);
    double expected = exact_loss(&f);
    assert_true(fabs(transformer_loss(f.model, &f.params, &f.slice) - expected) <
                1e-5 * expected);
    check_gradients(&f);
    close_fixture(&f);
}

static void gradients_of_llama(void **state)
{
    (void)state;
    check_shape(&llama);
}

static void gradients_of_qwen2(void **state)
{
    (void)state;
    struct train_shape odd = qwen2;
    odd.vocab = 45;
    check_shape(&odd);
}

static void gradients_of_qwen3(void **state)
{
    (void)state;
    check_shape(&qwen3);
}

static void gradients_with_stretched_and_missing_positions(void **state)
{
    (void)state;
    check_shape(&stretched);
}

/* Only the adapter's gradients are there, and the base is as it was. */
static void check_adapter(const struct train_shape *shape, const struct lora *lora)
{
    struct train_tensor tensors[LORA_MAX_TENSORS];
    struct train_params g;
    struct fixture f;
    open_fixture(&f, shape, lora);
    double expected = exact_loss(&f);
    assert_true(fabs(transformer_loss(f.model, &f.params, &f.slice) - expected) <
                1e-5 * expected);
    train_params_clear(&g, shape);
    lora_bind(&g, shape, lora, f.dadapter);
    transformer_gradients(f.model, &f.params, &g, &f.slice, SCALE);
    size_t n = lora_tensors(shape, lora, tensors);
    check_tensors(&f, tensors, n, f.dadapter, f.exact_adapter);
    close_fixture(&f);
}

static void gradients_of_an_adapter(void **state)
{
    (void)state;
    check_adapter(&llama, &all);
    check_adapter(&llama, &some);
}

static void gradients_of_an_adapter_beside_biases_and_norms(void **state)
{
    (void)state;
    check_adapter(&qwen2, &some);
    check_adapter(&qwen3, &all);
}

static void base_and_adapter_can_be_trained_together(void **state)
{
    (void)state;
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    struct train_params g;
    struct fixture f;
    open_fixture(&f, &qwen2, &all);
    train_params_bind(&g, &f.shape, f.grads);
    lora_bind(&g, &f.shape, &all, f.dadapter);
    transformer_gradients(f.model, &f.params, &g, &f.slice, SCALE);
    size_t n = train_shape_tensors(&f.shape, tensors);
    check_tensors(&f, tensors, n, f.grads, f.exact);
    n = lora_tensors(&f.shape, &all, tensors);
    check_tensors(&f, tensors, n, f.dadapter, f.exact_adapter);
    close_fixture(&f);
}

static void a_merged_adapter_says_the_same(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, &qwen2, &all);
    double beside = transformer_loss(f.model, &f.params, &f.slice);
    train_params_bind(&f.params, &f.shape, f.block);
    double before = transformer_loss(f.model, &f.params, &f.slice);
    lora_merge(&f.shape, &all, f.adapter, f.block);
    double merged = transformer_loss(f.model, &f.params, &f.slice);
    assert_true(fabs(beside - before) > 1e-2);
    assert_true(fabs(beside - merged) < 1e-5 * beside);
    close_fixture(&f);
}

static void a_new_adapter_changes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, &llama, &all);
    lora_init(&f.shape, &all, f.adapter, 3);
    double with = transformer_loss(f.model, &f.params, &f.slice);
    train_params_bind(&f.params, &f.shape, f.block);
    assert_true(with == transformer_loss(f.model, &f.params, &f.slice));
    close_fixture(&f);
}

/* With the same seed the same inputs are missing, so differences of the float loss itself show
 * whether the way back drops what the way there dropped. */
static void dropout_is_the_same_on_the_way_back(void **state)
{
    (void)state;
    struct lora dropping = all;
    struct train_params g;
    struct fixture f;
    dropping.dropout = 0.3f;
    open_fixture(&f, &llama, &dropping);
    double without = transformer_loss(f.model, &f.params, &f.slice);
    transformer_set_dropout(f.model, 99);
    double one = transformer_loss(f.model, &f.params, &f.slice);
    assert_true(one != without);
    assert_true(one == transformer_loss(f.model, &f.params, &f.slice));
    train_params_clear(&g, &f.shape);
    lora_bind(&g, &f.shape, &dropping, f.dadapter);
    transformer_gradients(f.model, &f.params, &g, &f.slice, 1.0f);
    /* Along the gradient the loss changes by its length. */
    double squares = 0.0;
    for (size_t i = 0; i < f.n_adapter; i++) {
        squares += (double)f.dadapter[i] * (double)f.dadapter[i];
    }
    double length = sqrt(squares), sides[2];
    for (int side = 0; side < 2; side++) {
        double step = (side ? -2e-3 : 2e-3) / length;
        for (size_t i = 0; i < f.n_adapter; i++) {
            f.adapter[i] = (float)(f.exact_adapter[i] + step * (double)f.dadapter[i]);
        }
        sides[side] = transformer_loss(f.model, &f.params, &f.slice);
    }
    double slope = (sides[0] - sides[1]) / 4e-3;
    print_message("slope %g, gradient %g\n", slope, length);
    assert_true(fabs(slope - length) < 5e-3 * length);
    transformer_set_dropout(f.model, 100);
    assert_true(one != transformer_loss(f.model, &f.params, &f.slice));
    close_fixture(&f);
}

static void nothing_is_learnt_without_a_target(void **state)
{
    (void)state;
    struct train_params g;
    struct fixture f;
    open_fixture(&f, &llama, NULL);
    train_params_bind(&g, &f.shape, f.grads);
    for (uint32_t t = 0; t < f.slice.n_tokens; t++) {
        f.slice.targets[t] = TRAIN_NO_TARGET;
    }
    assert_true(transformer_gradients(f.model, &f.params, &g, &f.slice, SCALE) == 0.0);
    for (size_t i = 0; i < f.n; i++) {
        assert_true(f.grads[i] == 0.0f);
    }
    close_fixture(&f);
}

static void weights_scale_the_loss_and_gradient_of_targets(void **state)
{
    (void)state;
    float weights[MAX_TOKENS];
    struct fixture f;
    open_fixture(&f, &llama, NULL);
    for (uint32_t t = 0; t < f.slice.n_tokens; t++) {
        weights[t] = 0.5f * (float)(t % 7) - 1.0f; /* negative and zero among them */
    }
    f.slice.weights = weights;
    double expected = exact_loss(&f);
    double loss = transformer_loss(f.model, &f.params, &f.slice);
    assert_true(fabs(loss - expected) < 1e-5 * fabs(expected) + 1e-4);
    check_gradients(&f);
    close_fixture(&f);
}

static void logprobs_are_those_that_the_loss_adds_up(void **state)
{
    (void)state;
    float out[MAX_TOKENS], weights[MAX_TOKENS] = {0};
    double sum = 0.0;
    struct fixture f;
    open_fixture(&f, &llama, NULL);
    transformer_logprobs(f.model, &f.params, &f.slice, out);
    f.slice.weights = weights;
    for (uint32_t t = 0; t < f.slice.n_tokens; t++) {
        if (f.slice.targets[t] == TRAIN_NO_TARGET) {
            assert_true(out[t] == 0.0f);
            continue;
        }
        weights[t] = 1.0f;
        assert_true(fabs(exact_loss(&f) + (double)out[t]) < 1e-4);
        weights[t] = 0.0f;
        sum -= (double)out[t];
    }
    f.slice.weights = NULL;
    assert_true(fabs(transformer_loss(f.model, &f.params, &f.slice) - sum) < 1e-3);
    close_fixture(&f);
}

/* A loss of one's own: half the sum of squares of what stands behind the last norm. Its
 * gradient is that itself, and along the gradient it changes by its length. */
static void features_have_a_way_back(void **state)
{
    (void)state;
    struct train_params g;
    struct fixture f;
    open_fixture(&f, &qwen3, NULL);
    size_t n = (size_t)f.slice.n_targets * f.shape.d_model;
    float *d = calloc(n, sizeof(float));
    memcpy(d, transformer_features(f.model, &f.params, &f.slice), n * sizeof(float));
    train_params_bind(&g, &f.shape, f.grads);
    transformer_features_backward(f.model, &f.params, &g, &f.slice, d);
    double squares = 0.0, sides[2] = {0};
    for (size_t i = 0; i < f.n; i++) {
        squares += (double)f.grads[i] * (double)f.grads[i];
    }
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < f.n; i++) {
            f.block[i] = (float)(f.exact[i] +
                                 (side ? -1e-3 : 1e-3) / sqrt(squares) * (double)f.grads[i]);
        }
        const float *y = transformer_features(f.model, &f.params, &f.slice);
        for (size_t i = 0; i < n; i++) {
            sides[side] += 0.5 * (double)y[i] * (double)y[i];
        }
    }
    assert_true(fabs((sides[0] - sides[1]) / 2e-3 - sqrt(squares)) < 1e-2 * sqrt(squares));
    free(d);
    close_fixture(&f);
}

/* Workspaces that do not keep everything compute the same bits. */
static void computing_a_second_time_gives_the_same_bits(void **state)
{
    (void)state;
    struct err e;
    struct train_params g;
    struct fixture f;
    open_fixture(&f, &qwen3, NULL);
    float *again = calloc(f.n, sizeof(float));
    train_params_bind(&g, &f.shape, f.grads);
    transformer_gradients(f.model, &f.params, &g, &f.slice, SCALE);
    for (int most = 0; most < 2; most++) {
        struct transformer *frugal = transformer_create_frugal(&qwen3, MAX_TOKENS, most, &e);
        assert_non_null(frugal);
        memset(again, 0, f.n * sizeof(float));
        train_params_bind(&g, &f.shape, again);
        transformer_gradients(frugal, &f.params, &g, &f.slice, SCALE);
        assert_memory_equal(again, f.grads, f.n * sizeof(float));
        transformer_destroy(frugal);
    }
    free(again);
    close_fixture(&f);
}

/* SmolLM2-135M's shape: memory does not grow with the length of documents as it would. */
static void long_slices_keep_less(void **state)
{
    (void)state;
    const struct train_shape shape = {.d_model = 576,
                                      .n_layers = 30,
                                      .n_heads = 9,
                                      .n_kv_heads = 3,
                                      .ffn = 1536,
                                      .vocab = 49152,
                                      .context = 8192,
                                      .rope_base = 100000.0f,
                                      .norm_eps = 1e-5f};
    uint32_t kept = transformer_kept_tokens(&shape);
    assert_in_range(kept, 512, 1024);
    assert_true(transformer_bytes(&shape, kept) < (size_t)1 << 30);
    assert_true(transformer_bytes(&shape, kept + 1) < transformer_bytes(&shape, kept));
    assert_true(transformer_bytes(&shape, 1024) < (size_t)1 << 30);
    assert_true(transformer_bytes(&shape, 2048) < (size_t)1 << 30);
}

static void gradients_add_up_over_calls(void **state)
{
    (void)state;
    struct train_params g;
    struct fixture f;
    open_fixture(&f, &llama, NULL);
    float *once = calloc(f.n, sizeof(float));
    train_params_bind(&g, &f.shape, once);
    transformer_gradients(f.model, &f.params, &g, &f.slice, SCALE);
    train_params_bind(&g, &f.shape, f.grads);
    for (size_t i = 0; i < f.n; i++) {
        f.grads[i] = 1.0f;
    }
    transformer_gradients(f.model, &f.params, &g, &f.slice, SCALE);
    for (size_t i = 0; i < f.n; i++) {
        assert_true(fabsf(f.grads[i] - 1.0f - once[i]) <= 1e-4f + 1e-4f * fabsf(once[i]));
    }
    free(once);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_llama),
        cmocka_unit_test(gradients_of_qwen2),
        cmocka_unit_test(gradients_of_qwen3),
        cmocka_unit_test(gradients_with_stretched_and_missing_positions),
        cmocka_unit_test(gradients_of_an_adapter),
        cmocka_unit_test(gradients_of_an_adapter_beside_biases_and_norms),
        cmocka_unit_test(base_and_adapter_can_be_trained_together),
        cmocka_unit_test(a_merged_adapter_says_the_same),
        cmocka_unit_test(a_new_adapter_changes_nothing),
        cmocka_unit_test(dropout_is_the_same_on_the_way_back),
        cmocka_unit_test(nothing_is_learnt_without_a_target),
        cmocka_unit_test(weights_scale_the_loss_and_gradient_of_targets),
        cmocka_unit_test(logprobs_are_those_that_the_loss_adds_up),
        cmocka_unit_test(features_have_a_way_back),
        cmocka_unit_test(computing_a_second_time_gives_the_same_bits),
        cmocka_unit_test(long_slices_keep_less),
        cmocka_unit_test(gradients_add_up_over_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
