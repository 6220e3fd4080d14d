/* A step's logits depend on the tokens before them alone: not on how a prompt is cut, on who
 * else runs, on which rows want logits; and not on the order of rows in the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "models/arch/llama_step.h"
#include "quant/cpu.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "tests/unit/engine/tiny_model.h"

#define TOKENS 90 /* more than one worker's turn of attention rows */
#define SLOTS  2

struct fixture {
    struct model *model;
    struct llama_state *state;
    struct kv_cache kv;
    atomic_bool give_up;
    size_t vocab;
    int32_t tokens[SLOTS][TOKENS];
    float *logits; /* (TOKENS, vocab) of slot 0's sequence, all rows at once */
};

static void open_fixture(struct fixture *f, struct model *m, enum ops_type kv_type)
{
    struct err e = {0};
    struct rng r;
    *f = (struct fixture){.model = m, .vocab = (size_t)m->config.vocab};
    struct llama_state_settings set = {
        .max_rows = SLOTS * TOKENS,
        .max_logits = SLOTS * TOKENS,
        .context = m->config.context,
        .precision = m->weights.precision,
        .kernel = q8_kernel_select(cpu_features()),
        .ops = ops_select(cpu_features()),
        .parallel = parallel_none,
    };
    set.give_up = &f->give_up;
    f->state = llama_state_create(&m->config, &set, &e);
    if (!f->state ||
        kv_cache_init(&f->kv, &m->config, kv_type, SLOTS, m->config.context, 0, &e) != 0) {
        fail_msg("%s", e.message);
    }
    rng_seed(&r, 3);
    for (size_t i = 0; i < (size_t)SLOTS * TOKENS; i++) {
        f->tokens[i / TOKENS][i % TOKENS] = (int32_t)rng_below(&r, (uint32_t)m->config.vocab);
    }
    f->logits = test_malloc(TOKENS * f->vocab * sizeof(float));
}

static void close_fixture(struct fixture *f)
{
    test_free(f->logits);
    kv_cache_deinit(&f->kv);
    llama_state_destroy(f->state);
    model_close(f->model);
}

static struct llama_row row_of(const struct fixture *f, int slot, int position, bool want)
{
    return (struct llama_row){.token = f->tokens[slot][position],
                              .position = position,
                              .slot = slot,
                              .want_logits = want};
}

static void run_all_rows(struct fixture *f)
{
    struct llama_row rows[TOKENS];
    for (int i = 0; i < TOKENS; i++) {
        rows[i] = row_of(f, 0, i, true);
    }
    llama_step(f->state, &f->model->weights, &f->kv, rows, TOKENS);
    memcpy(f->logits, llama_logits(f->state, 0), TOKENS * f->vocab * sizeof(float));
}

static void expect_logits(const struct fixture *f, int wanted, int position)
{
    const float *want = f->logits + (size_t)position * f->vocab;
    if (memcmp(llama_logits(f->state, wanted), want, f->vocab * sizeof(float)) != 0) {
        fail_msg("logits after token %d are others", position);
    }
}

/* In chunks of random length, of which the last row wants logits; at times none does. */
static void run_in_chunks(struct fixture *f, struct rng *r)
{
    for (int first = 0; first < TOKENS;) {
        struct llama_row rows[TOKENS];
        int n = 1 + (int)rng_below(r, 40);
        n = n < TOKENS - first ? n : TOKENS - first;
        bool want = rng_below(r, 3) > 0;
        for (int i = 0; i < n; i++) {
            rows[i] = row_of(f, 0, first + i, want && i == n - 1);
        }
        llama_step(f->state, &f->model->weights, &f->kv, rows, n);
        first += n;
        if (want) {
            expect_logits(f, 0, first - 1);
        }
    }
}

/* Another sequence in the same steps, and logits wanted of rows here and there. */
static void run_beside_another(struct fixture *f, struct rng *r)
{
    for (int first = 0; first < TOKENS;) {
        struct llama_row rows[SLOTS * TOKENS];
        int wanted[TOKENS], n_wanted = 0, n = 1 + (int)rng_below(r, 40), at = 0;
        n = n < TOKENS - first ? n : TOKENS - first;
        for (int i = 0; i < n; i++) {
            rows[at++] = row_of(f, 1, first + i, false);
        }
        for (int i = 0; i < n; i++) {
            bool want = rng_below(r, 2) == 0;
            rows[at++] = row_of(f, 0, first + i, want);
            if (want) {
                wanted[n_wanted++] = first + i;
            }
        }
        llama_step(f->state, &f->model->weights, &f->kv, rows, at);
        for (int i = 0; i < n_wanted; i++) {
            expect_logits(f, i, wanted[i]);
        }
        first += n;
    }
}

static void expect_tokens_alone_to_count(struct model *m, enum ops_type kv_type)
{
    struct rng r;
    struct fixture f;
    rng_seed(&r, 5);
    open_fixture(&f, m, kv_type);
    run_all_rows(&f);
    for (int i = 0; i < 5; i++) {
        run_in_chunks(&f, &r);
        run_beside_another(&f, &r);
    }
    close_fixture(&f);
}

static void logits_depend_on_the_tokens_alone(void **state)
{
    (void)state;
    expect_tokens_alone_to_count(tiny_model_open(), OPS_F16);
    expect_tokens_alone_to_count(tiny_model_open(), OPS_I8);
}

static void logits_of_float_weights_depend_on_the_tokens_alone(void **state)
{
    (void)state;
    expect_tokens_alone_to_count(tiny_model_open_f32(), OPS_F32);
}

static void logits_of_a_mixture_depend_on_the_tokens_alone(void **state)
{
    (void)state;
    expect_tokens_alone_to_count(tiny_model_open_mixture(), OPS_F16);
}

/* Root of the mean square of differences, of the range. */
static double difference(const struct fixture *a, const struct fixture *b)
{
    double low = 0.0, high = 0.0, squares = 0.0;
    size_t n = TOKENS * a->vocab;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a->logits[i] - (double)b->logits[i];
        low = fmin(low, (double)a->logits[i]);
        high = fmax(high, (double)a->logits[i]);
        squares += d * d;
    }
    return sqrt(squares / (double)n) / (high - low);
}

static void int8_is_near_to_float(void **state)
{
    (void)state;
    struct fixture int8, f32;
    open_fixture(&int8, tiny_model_open(), OPS_F16);
    open_fixture(&f32, tiny_model_open_f32(), OPS_F32);
    run_all_rows(&int8);
    run_all_rows(&f32);
    double d = difference(&f32, &int8);
    if (!(d > 0.0 && d < 0.03)) {
        fail_msg("int8 differs from float by %g of the range", d);
    }
    close_fixture(&int8);
    close_fixture(&f32);
}

static void a_mixture_of_equal_experts_is_one_network(void **state)
{
    (void)state;
    struct fixture one, mixture;
    open_fixture(&one, tiny_model_open_f32(), OPS_F32);
    open_fixture(&mixture, tiny_model_open_same_experts(), OPS_F32);
    run_all_rows(&one);
    run_all_rows(&mixture);
    double d = difference(&one, &mixture);
    if (!(d < 1e-5)) { /* two weights that sum to 1 */
        fail_msg("a mixture differs from one network by %g of the range", d);
    }
    close_fixture(&one);
    close_fixture(&mixture);
}

static void the_order_of_rows_in_the_file_changes_nothing(void **state)
{
    (void)state;
    struct fixture llama, qwen2;
    open_fixture(&llama, tiny_model_open(), OPS_F16);
    open_fixture(&qwen2, tiny_model_open_qwen2(), OPS_F16);
    assert_string_equal(qwen2.model->config.arch, "qwen2");
    assert_true(qwen2.model->config.qkv_bias);
    run_all_rows(&llama);
    run_all_rows(&qwen2);
    assert_memory_equal(llama.logits, qwen2.logits, TOKENS * llama.vocab * sizeof(float));
    close_fixture(&llama);
    close_fixture(&qwen2);
}

static void a_step_that_was_given_up_can_be_run_again(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f, tiny_model_open(), OPS_F16);
    run_all_rows(&f);
    struct llama_row rows[TOKENS];
    for (int i = 0; i < TOKENS; i++) {
        rows[i] = row_of(&f, 1, i, i == TOKENS - 1);
        rows[i].token = f.tokens[0][i];
    }
    atomic_store(&f.give_up, true);
    assert_false(llama_step(f.state, &f.model->weights, &f.kv, rows, TOKENS));
    atomic_store(&f.give_up, false);
    assert_true(llama_step(f.state, &f.model->weights, &f.kv, rows, TOKENS));
    expect_logits(&f, 0, TOKENS - 1);
    close_fixture(&f);
}

/* Logits of all rows are known; the cache is new, with pages that nothing shows yet. */
/* With float weights the output's row times a vector is the logit. */
static void a_vector_is_what_logits_are_made_of(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = {0};
    open_fixture(&f, tiny_model_open_f32(), OPS_F32);
    run_all_rows(&f);
    struct llama_state_settings set = {.max_rows = TOKENS,
                                       .max_logits = TOKENS,
                                       .context = f.model->config.context,
                                       .precision = LLAMA_F32,
                                       .kernel = q8_kernel_select(cpu_features()),
                                       .ops = ops_select(cpu_features()),
                                       .parallel = parallel_none,
                                       .vectors = true};
    struct llama_state *vectors = llama_state_create(&f.model->config, &set, &e);
    assert_non_null(vectors);
    struct llama_row rows[TOKENS];
    for (int i = 0; i < TOKENS; i++) {
        rows[i] = row_of(&f, 1, i, i % 3 == 0);
        rows[i].token = f.tokens[0][i];
    }
    llama_step(vectors, &f.model->weights, &f.kv, rows, TOKENS);
    size_t d = (size_t)f.model->config.d_model;
    float *row = test_malloc(d * sizeof(float));
    for (size_t i = 0; i < TOKENS; i += 3) {
        const float *vector = llama_vector(vectors, (int)(i / 3));
        for (size_t token = 0; token < f.vocab; token++) {
            llama_matrix_row(row, &f.model->weights.output, token);
            double sum = 0.0;
            for (size_t k = 0; k < d; k++) {
                sum += (double)row[k] * (double)vector[k];
            }
            assert_true(fabs(sum - (double)f.logits[i * f.vocab + token]) < 1e-3);
        }
    }
    test_free(row);
    llama_state_destroy(vectors);
    close_fixture(&f);
}

static void open_paged_fixture(struct fixture *f, int n_pages)
{
    struct err e = {0};
    open_fixture(f, tiny_model_open(), OPS_F16);
    run_all_rows(f);
    kv_cache_deinit(&f->kv);
    assert_int_equal(kv_cache_init(&f->kv, &f->model->config, OPS_F16, SLOTS,
                                   f->model->config.context, n_pages, &e),
                     0);
}

static void a_page_may_be_shared_up_to_where_sequences_part(void **state)
{
    struct fixture f;
    (void)state;
    open_paged_fixture(&f, 8);
    for (int i = 0; i < 3; i++) {
        kv_cache_map(&f.kv, 0, (size_t)i, i);
    }
    struct llama_row rows[TOKENS];
    for (int i = 0; i < TOKENS; i++) {
        rows[i] = row_of(&f, 0, i, false);
    }
    for (int shared = 1; shared < TOKENS; shared++) {
        /* A sequence with other tokens behind the shared ones has left its own in the page. */
        for (int i = 0; i < TOKENS; i++) {
            rows[i] = row_of(&f, 0, i, false);
            rows[i].token = f.tokens[i < shared ? 0 : 1][i];
        }
        llama_step(f.state, &f.model->weights, &f.kv, rows, TOKENS);
        int page = shared / KV_PAGE_POSITIONS;
        for (int i = 0; i < page; i++) {
            kv_cache_map(&f.kv, 1, (size_t)i, i);
        }
        kv_cache_copy_page(&f.kv, 3, page);
        kv_cache_map(&f.kv, 1, (size_t)page, 3);
        for (int i = page + 1; i < 3; i++) {
            kv_cache_map(&f.kv, 1, (size_t)i, 3 + i);
        }
        for (int i = shared; i < TOKENS; i++) {
            rows[i] = row_of(&f, 1, i, true);
            rows[i].token = f.tokens[0][i];
        }
        llama_step(f.state, &f.model->weights, &f.kv, rows + shared, TOKENS - shared);
        for (int i = shared; i < TOKENS; i++) {
            expect_logits(&f, i - shared, i);
        }
    }
    close_fixture(&f);
}

static void a_step_may_leave_out_positions_that_another_sequence_stored(void **state)
{
    struct fixture f;
    (void)state;
    open_paged_fixture(&f, 6);
    for (int i = 0; i < 3; i++) {
        kv_cache_map(&f.kv, 0, (size_t)i, i);
        kv_cache_map(&f.kv, 1, (size_t)i, i == 1 ? 1 : 3 + i);
    }
    struct llama_row rows[TOKENS];
    int n = 0;
    for (int i = 0; i < TOKENS; i++) {
        rows[i] = row_of(&f, 0, i, false);
    }
    llama_step(f.state, &f.model->weights, &f.kv, rows, TOKENS);
    for (int i = 0; i < TOKENS; i++) {
        if (i / KV_PAGE_POSITIONS != 1) {
            rows[n] = row_of(&f, 1, i, true);
            rows[n++].token = f.tokens[0][i];
        }
    }
    llama_step(f.state, &f.model->weights, &f.kv, rows, n);
    for (int i = 0; i < n; i++) {
        expect_logits(&f, i, rows[i].position);
    }
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_depend_on_the_tokens_alone),
        cmocka_unit_test(logits_of_float_weights_depend_on_the_tokens_alone),
        cmocka_unit_test(logits_of_a_mixture_depend_on_the_tokens_alone),
        cmocka_unit_test(int8_is_near_to_float),
        cmocka_unit_test(a_mixture_of_equal_experts_is_one_network),
        cmocka_unit_test(a_vector_is_what_logits_are_made_of),
        cmocka_unit_test(a_step_that_was_given_up_can_be_run_again),
        cmocka_unit_test(a_page_may_be_shared_up_to_where_sequences_part),
        cmocka_unit_test(a_step_may_leave_out_positions_that_another_sequence_stored),
        cmocka_unit_test(the_order_of_rows_in_the_file_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
