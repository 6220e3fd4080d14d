/* One step, runs that are stopped and resumed, and checkpoints that must be refused. */
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

#include "models/train/checkpoint.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

#define STEPS   9
#define STOP_AT 4

static const struct train_shape shape = {
    .d_model = 32,
    .n_layers = 2,
    .n_heads = 4,
    .n_kv_heads = 2,
    .ffn = 64,
    .vocab = 64,
    .context = 48,
    .rope_base = 10000.0f,
    .norm_eps = 1e-5f,
};

struct fixture {
    char folder[32], tok[64], ckpt[64], other[64];
    struct dataset *data;
    struct train_options options;
};

/* Few enough documents that the run goes through them more than once. */
static int write_tokens(const char *path, uint32_t n_docs)
{
    struct dataset_writer w;
    struct err e;
    struct rng rng;
    uint32_t tokens[40];
    int rc = 0;
    rng_seed(&rng, 9);
    dataset_writer_init(&w, shape.vocab);
    for (uint32_t i = 0; i < n_docs; i++) {
        uint32_t n = 2 + rng_below(&rng, 39);
        for (uint32_t j = 0; j < n; j++) {
            tokens[j] = rng_below(&rng, shape.vocab) | DATASET_LEARN;
        }
        rc |= dataset_writer_add(&w, tokens, n, &e);
    }
    rc |= dataset_writer_finish(&w, path, &e);
    dataset_writer_deinit(&w);
    return rc;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err e;
    *state = f;
    snprintf(f->folder, sizeof(f->folder), "/tmp/weir-train-XXXXXX");
    if (!mkdtemp(f->folder)) {
        return -1;
    }
    snprintf(f->tok, sizeof(f->tok), "%s/a.tok", f->folder);
    snprintf(f->ckpt, sizeof(f->ckpt), "%s/a.ckpt", f->folder);
    snprintf(f->other, sizeof(f->other), "%s/b.tok", f->folder);
    f->options = train_options_default();
    f->options.batch_tokens = 400;
    f->options.row = 48;
    f->options.slice_tokens = 64;
    f->options.optimizer.warmup = 2;
    f->options.optimizer.steps = STEPS;
    return write_tokens(f->tok, 60) || !(f->data = dataset_open(f->tok, &e)) ? -1 : 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    dataset_close(f->data);
    unlink(f->tok);
    unlink(f->ckpt);
    unlink(f->other);
    rmdir(f->folder);
    free(f);
    return 0;
}

static struct trainer *new_trainer(const struct fixture *f)
{
    struct err e;
    struct trainer *t = trainer_create(&shape, &f->options, f->data, &e);
    assert_non_null(t);
    return t;
}

static void run_until(struct trainer *t, uint64_t step)
{
    struct err e;
    struct train_stats stats;
    while (trainer_step_count(t) < step) {
        assert_int_equal(trainer_step(t, &stats, &e), 0);
    }
}

static void assert_same_state(struct trainer *a, struct trainer *b)
{
    size_t bytes = train_shape_param_count(&shape) * sizeof(float);
    assert_memory_equal(trainer_params(a), trainer_params(b), bytes);
    assert_memory_equal(trainer_moment1(a), trainer_moment1(b), bytes);
    assert_memory_equal(trainer_moment2(a), trainer_moment2(b), bytes);
}

static void a_run_resumed_from_a_checkpoint_equals_one_that_never_stopped(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct checkpoint_header h;
    struct trainer *straight = new_trainer(f), *first = new_trainer(f);
    run_until(straight, STEPS);
    run_until(first, STOP_AT);
    assert_int_equal(checkpoint_save(f->ckpt, first, f->data, &e), 0);
    trainer_destroy(first);

    assert_int_equal(checkpoint_read_header(f->ckpt, &h, &e), 0);
    struct trainer *second = trainer_create(&h.shape, &h.options, f->data, &e);
    assert_non_null(second);
    assert_int_equal(checkpoint_resume(f->ckpt, second, f->data, &e), 0);
    assert_int_equal(trainer_step_count(second), STOP_AT);
    run_until(second, STEPS);
    assert_true(trainer_epochs(second) > 1.0);
    assert_same_state(straight, second);
    trainer_destroy(straight);
    trainer_destroy(second);
}

/* After the first step m = 0.1 g, so that the update is known for each parameter. */
static void a_step_clips_the_global_norm_and_decays_matrices_only(void **state)
{
    struct fixture *f = *state;
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    size_t count = train_shape_tensors(&shape, tensors), n = train_shape_param_count(&shape);
    float *before = mem_array(n, sizeof(float));
    double squares = 0.0;
    f->options.optimizer.clip = 0.01f;
    f->options.optimizer.warmup = 0;
    f->options.optimizer.lr = 0.1f;
    struct trainer *t = new_trainer(f);
    memcpy(before, trainer_params(t), n * sizeof(float));
    run_until(t, 1);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < (size_t)tensors[i].rows * tensors[i].cols; j++) {
            size_t at = tensors[i].offset + j;
            double g = (double)trainer_moment1(t)[at] / (1.0 - (double)0.9f);
            double decay = tensors[i].rows > 1 ? 0.1 * (double)before[at] : 0.0;
            double expected = (double)before[at] - 0.1 * (g / (fabs(g) + 1e-8) + decay);
            squares += g * g;
            assert_true(fabs((double)trainer_params(t)[at] - expected) < 1e-5);
        }
    }
    assert_true(fabs(sqrt(squares) - 0.01) < 1e-6);
    trainer_destroy(t);
    mem_free(before);
}

/* Two slices of one shard hold the same documents as one slice of each of two. */
static void every_shard_s_gradient_counts(void **state)
{
    struct fixture *f = *state;
    size_t n = train_shape_param_count(&shape);
    f->options.slice_tokens = 200;
    f->options.optimizer.shards = 1;
    struct trainer *one = new_trainer(f);
    f->options.optimizer.shards = 2;
    struct trainer *two = new_trainer(f);
    run_until(one, 1);
    run_until(two, 1);
    for (size_t i = 0; i < n; i++) {
        assert_true(fabsf(trainer_moment1(one)[i] - trainer_moment1(two)[i]) < 1e-7f);
    }
    trainer_destroy(one);
    trainer_destroy(two);
}

static void training_lowers_the_loss(void **state)
{
    struct fixture *f = *state;
    struct err e;
    double before, after;
    f->options.optimizer.steps = 60;
    struct trainer *t = new_trainer(f);
    assert_int_equal(trainer_validate(t, f->data, UINT64_MAX, &before, &e), 0);
    run_until(t, 60);
    assert_int_equal(trainer_validate(t, f->data, UINT64_MAX, &after, &e), 0);
    assert_true(before > 4.0 && before < 4.4); /* ln 64 = 4.16 */
    assert_true(after < before - 0.1);
    trainer_destroy(t);
}

static void other_data_is_refused_on_resume(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct trainer *t = new_trainer(f);
    assert_int_equal(checkpoint_save(f->ckpt, t, f->data, &e), 0);
    assert_int_equal(write_tokens(f->other, 61), 0);
    struct dataset *other = dataset_open(f->other, &e);
    assert_int_equal(checkpoint_resume(f->ckpt, t, other, &e), -1);
    assert_non_null(strstr(e.message, "--init"));
    dataset_close(other);
    trainer_destroy(t);
}

static void the_mean_of_two_checkpoints_has_the_share_asked_for(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct checkpoint_header h;
    char out[80];
    size_t n = train_shape_param_count(&shape);
    struct trainer *t = new_trainer(f);
    snprintf(out, sizeof(out), "%s.mean", f->ckpt);
    for (size_t i = 0; i < n; i++) {
        trainer_params(t)[i] = (float)i;
    }
    assert_int_equal(checkpoint_save(f->ckpt, t, f->data, &e), 0);
    for (size_t i = 0; i < n; i++) {
        trainer_params(t)[i] = (float)i + 4.0f;
    }
    assert_int_equal(checkpoint_save(f->other, t, f->data, &e), 0);
    assert_int_equal(checkpoint_average(f->ckpt, f->other, 0.75f, out, &e), 0);
    float *mean = checkpoint_read_params(out, &h, &e);
    assert_non_null(mean);
    for (size_t i = 0; i < n; i++) {
        assert_true(mean[i] == (float)i + 3.0f);
    }
    assert_int_equal(checkpoint_average(f->ckpt, "/nowhere", 0.5f, out, &e), -1);
    mem_free_aligned(mean);
    unlink(out);
    trainer_destroy(t);
}

static void expect_refused(const struct fixture *f, const char *bytes, size_t len,
                           const char *word)
{
    struct err e;
    struct checkpoint_header h;
    assert_int_equal(file_write_atomic(f->ckpt, bytes, len, &e), 0);
    assert_int_equal(checkpoint_read_header(f->ckpt, &h, &e), -1);
    assert_non_null(strstr(e.message, f->ckpt));
    assert_non_null(strstr(e.message, word));
}

static void damaged_checkpoints_are_refused(void **state)
{
    struct fixture *f = *state;
    struct err e;
    size_t len;
    struct trainer *t = new_trainer(f);
    assert_int_equal(checkpoint_save(f->ckpt, t, f->data, &e), 0);
    trainer_destroy(t);
    char *bytes = file_read(f->ckpt, 1 << 24, &len, &e);
    struct checkpoint_header *h = (struct checkpoint_header *)bytes;
    expect_refused(f, bytes, len - 1, "damaged");
    expect_refused(f, bytes, 20, "WEIRCKP2");
    h->shape.n_layers = 100000;
    expect_refused(f, bytes, len, "layers");
    h->shape.n_layers = 3;
    expect_refused(f, bytes, len, "damaged");
    h->shape.n_layers = 2;
    h->shape.norm_eps = 0.0f;
    expect_refused(f, bytes, len, "epsilon");
    h->magic[0] = 'X';
    expect_refused(f, bytes, len, "WEIRCKP2");
    mem_free(bytes);
}

static void a_failed_allocation_leaks_nothing(void **state)
{
    struct fixture *f = *state;
    struct err e;
    size_t live = mem_live();
    for (size_t nth = 1; nth < 1000; nth++) {
        mem_fail_at(nth);
        struct trainer *t = trainer_create(&shape, &f->options, f->data, &e);
        bool reached = mem_fail_reached();
        mem_fail_at(0);
        assert_true((t == NULL) == reached);
        trainer_destroy(t);
        assert_int_equal(mem_live(), live);
        if (!reached) {
            return;
        }
        assert_int_equal(e.kind, ERR_NOMEM);
    }
    fail();
}

static void options_out_of_range_are_named(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct train_options o = f->options;
    o.row = 49; /* longer than the context */
    assert_null(trainer_create(&shape, &o, f->data, &e));
    assert_string_equal(e.param, "row");
    o = f->options;
    o.batch_tokens = 95; /* less than a row a shard */
    assert_null(trainer_create(&shape, &o, f->data, &e));
    assert_string_equal(e.param, "batch-tokens");
    struct train_shape s = shape;
    s.n_kv_heads = 3;
    assert_null(trainer_create(&s, &f->options, f->data, &e));
    assert_string_equal(e.param, "kv_heads");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_run_resumed_from_a_checkpoint_equals_one_that_never_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_step_clips_the_global_norm_and_decays_matrices_only,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(every_shard_s_gradient_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(training_lowers_the_loss, setup, teardown),
        cmocka_unit_test_setup_teardown(the_mean_of_two_checkpoints_has_the_share_asked_for,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(other_data_is_refused_on_resume, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_checkpoints_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_allocation_leaks_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(options_out_of_range_are_named, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
