/* Whole steps of training against a double-precision model whose gradients are central
 * differences and whose optimizer is written from the paper; and that a batch in parts is the
 * batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/train/trainer.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "tests/unit/train/reference_model.h"

#define STEPS    4
#define DOC      8
#define N_SLICES 2

static const struct train_shape shape = {
    .d_model = 16,
    .n_layers = 1,
    .n_heads = 4,
    .n_kv_heads = 2,
    .ffn = 16,
    .vocab = 16,
    .context = DOC,
    .rope_base = 100.0f,
    .norm_eps = 1e-5f,
};

struct fixture {
    char path[48];
    struct dataset *data;
    struct train_options options;
};

/* Documents of one length, so that they fill every batch exactly, however it is cut. Their
 * tokens rise by one or two, which can be learnt. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct dataset_writer w;
    struct err e;
    struct rng rng;
    int rc = 0;
    *state = f;
    snprintf(f->path, sizeof(f->path), "/tmp/weir-training-%d.tok", (int)getpid());
    rng_seed(&rng, 4);
    dataset_writer_init(&w, shape.vocab);
    for (int i = 0; i < 64; i++) {
        uint32_t tokens[DOC], next = rng_below(&rng, shape.vocab);
        for (uint32_t k = 0; k < DOC; k++) {
            tokens[k] = next | (rng_below(&rng, 4) ? DATASET_LEARN : 0);
            next = (next + 1 + rng_below(&rng, 2)) % shape.vocab;
        }
        tokens[1] |= DATASET_LEARN;
        rc |= dataset_writer_add(&w, tokens, DOC, &e);
    }
    rc |= dataset_writer_finish(&w, f->path, &e);
    dataset_writer_deinit(&w);
    f->data = dataset_open(f->path, &e);
    f->options = train_options_default();
    f->options.row = DOC;
    f->options.batch_tokens = N_SLICES * DOC;
    f->options.slice_tokens = DOC;
    f->options.optimizer.shards = N_SLICES;
    f->options.optimizer.steps = STEPS;
    f->options.optimizer.warmup = 2;
    f->options.optimizer.lr = 0.02f;
    f->options.optimizer.min_lr = 0.002f;
    f->options.optimizer.clip = 0.5f; /* less than the norm at the beginning */
    return rc || !f->data ? -1 : 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    dataset_close(f->data);
    unlink(f->path);
    free(f);
    return 0;
}

/* --- the reference --- */

struct reference {
    struct batcher *batcher;
    struct train_slice slices[N_SLICES];
    size_t n;
    double *x, *m, *v, *g; /* (n) */
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    size_t n_tensors;
};

static double batch_loss(const struct reference *r, const double *x, uint32_t targets)
{
    double loss = 0.0;
    for (size_t i = 0; i < N_SLICES; i++) {
        loss += reference_loss(&shape, x, &r->slices[i]);
    }
    return loss / targets;
}

static double step_rate(const struct optimizer_options *o, int t)
{
    double top = (double)o->lr, low = (double)o->min_lr;
    if (t <= (int)o->warmup) {
        return top * t / o->warmup;
    }
    double done = (double)(t - 1 - (int)o->warmup) / (double)(o->steps - 1 - o->warmup);
    return low + (top - low) * 0.5 * (1.0 + cos(acos(-1.0) * done));
}

/* Loshchilov and Hutter 2019, algorithm 2, with the gradient clipped by its norm. Returns the
 * loss before the step. */
static double reference_step(struct reference *r, const struct optimizer_options *o, int t)
{
    uint32_t targets = batcher_fill(r->batcher, r->slices, N_SLICES, false);
    double loss = batch_loss(r, r->x, targets), squares = 0.0, h = 1e-5;
    for (size_t i = 0; i < r->n; i++) {
        double keep = r->x[i];
        r->x[i] = keep + h;
        double above = batch_loss(r, r->x, targets);
        r->x[i] = keep - h;
        r->g[i] = (above - batch_loss(r, r->x, targets)) / (2.0 * h);
        r->x[i] = keep;
        squares += r->g[i] * r->g[i];
    }
    double norm = sqrt(squares), clip = (double)o->clip, rate = step_rate(o, t);
    double b1 = (double)o->beta1, b2 = (double)o->beta2;
    for (size_t k = 0; k < r->n_tensors; k++) {
        double decay = r->tensors[k].rows > 1 ? (double)o->weight_decay : 0.0;
        for (size_t j = 0; j < (size_t)r->tensors[k].rows * r->tensors[k].cols; j++) {
            size_t i = r->tensors[k].offset + j;
            double g = r->g[i] * (norm > clip ? clip / norm : 1.0);
            r->m[i] = b1 * r->m[i] + (1.0 - b1) * g;
            r->v[i] = b2 * r->v[i] + (1.0 - b2) * g * g;
            double m_hat = r->m[i] / (1.0 - pow(b1, t)), v_hat = r->v[i] / (1.0 - pow(b2, t));
            r->x[i] -= rate * (m_hat / (sqrt(v_hat) + (double)o->eps) + decay * r->x[i]);
        }
    }
    return loss;
}

static void reference_init(struct reference *r, const struct fixture *f, struct trainer *t)
{
    struct err e;
    *r = (struct reference){.n = train_shape_param_count(&shape)};
    r->batcher = batcher_create(f->data, f->options.row, f->options.seed, true, &e);
    assert_non_null(r->batcher);
    for (size_t i = 0; i < N_SLICES; i++) {
        assert_int_equal(train_slice_init(&r->slices[i], DOC, &e), 0);
    }
    r->n_tensors = train_shape_tensors(&shape, r->tensors);
    r->x = calloc(4 * r->n, sizeof(double));
    assert_non_null(r->x);
    r->m = r->x + r->n;
    r->v = r->m + r->n;
    r->g = r->v + r->n;
    for (size_t i = 0; i < r->n; i++) {
        r->x[i] = (double)trainer_params(t)[i];
    }
}

static void reference_deinit(struct reference *r)
{
    for (size_t i = 0; i < N_SLICES; i++) {
        train_slice_deinit(&r->slices[i]);
    }
    batcher_destroy(r->batcher);
    free(r->x);
}

static void a_run_follows_the_reference_step_by_step(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct reference r;
    struct train_stats stats;
    struct trainer *t = trainer_create(&shape, &f->options, f->data, &e);
    assert_non_null(t);
    reference_init(&r, f, t);
    for (int step = 1; step <= STEPS; step++) {
        double loss = reference_step(&r, &f->options.optimizer, step);
        assert_int_equal(trainer_step(t, &stats, &e), 0);
        printf("step %d: loss %.9f, reference %.9f\n", step, stats.loss, loss);
        assert_true(fabs(stats.loss - loss) < 1e-5);
        assert_true(fabs((double)stats.lr - step_rate(&f->options.optimizer, step)) < 1e-7);
        if (step == 1) {
            assert_true(stats.grad_norm > (double)f->options.optimizer.clip);
        }
    }
    /* A gradient near zero may be rounded to the other side of it, and AdamW's first steps are
     * as long for small gradients as for large ones. */
    size_t off = 0;
    for (size_t i = 0; i < r.n; i++) {
        off += fabs((double)trainer_params(t)[i] - r.x[i]) > 1e-5;
    }
    assert_true(off * 200 < r.n);
    reference_deinit(&r);
    trainer_destroy(t);
}

static struct trainer *run_with(const struct fixture *f, uint32_t micro_tokens)
{
    struct err e;
    struct train_stats stats;
    struct train_options o = f->options;
    o.batch_tokens = 16 * DOC;
    o.slice_tokens = micro_tokens;
    struct trainer *t = trainer_create(&shape, &o, f->data, &e);
    assert_non_null(t);
    for (int i = 0; i < STEPS; i++) {
        assert_int_equal(trainer_step(t, &stats, &e), 0);
        assert_int_equal(stats.tokens, 16 * DOC);
    }
    return t;
}

static void a_batch_in_parts_is_the_whole_batch(void **state)
{
    struct fixture *f = *state;
    struct trainer *whole = run_with(f, 8 * DOC), *parts = run_with(f, DOC);
    double largest = 0.0;
    for (size_t i = 0; i < train_shape_param_count(&shape); i++) {
        double a = (double)trainer_moment1(whole)[i], b = (double)trainer_moment1(parts)[i];
        largest = fmax(largest, fabs(a - b));
    }
    assert_true(largest < 1e-6);
    trainer_destroy(whole);
    trainer_destroy(parts);
}

static void memory_depends_on_the_part_and_not_on_the_batch(void **state)
{
    struct fixture *f = *state;
    struct train_options o = f->options;
    o.batch_tokens = 1 << 15;
    uint64_t small = trainer_memory(&shape, &o);
    o.batch_tokens = 1 << 16;
    assert_true(trainer_memory(&shape, &o) - small == ((uint64_t)1 << 15) * 16);
    o.slice_tokens = 1 << 12;
    assert_true(trainer_memory(&shape, &o) > 2 * small);
}

/* 6 for each weight and row, and attention's 12 for each pair and number of a head. */
static void the_work_of_a_step_is_counted(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct train_stats stats;
    struct trainer *t = trainer_create(&shape, &f->options, f->data, &e);
    assert_non_null(t);
    assert_int_equal(trainer_step(t, &stats, &e), 0);
    double rows = stats.tokens, targets = stats.targets;
    double qkv = 16 * 32, rest = 16 * 16 + 3 * 16 * 16, pairs = 2 * DOC * (DOC + 1) / 2.0;
    assert_true(stats.flops == 6 * (rows * qkv + targets * (rest + 16 * 16)) + 12 * 16 * pairs);
    trainer_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_follows_the_reference_step_by_step, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_batch_in_parts_is_the_whole_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_depends_on_the_part_and_not_on_the_batch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_work_of_a_step_is_counted, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
