/* Ranks that share a model compute what one process computes, bit for bit, each with its part
 * of the matrices and of the cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "models/arch/llama_share.h"
#include "models/arch/llama_step.h"
#include "quant/cpu.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/engine/parallel_team.h"
#include "tests/unit/engine/thread_ranks.h"
#include "tests/unit/engine/tiny_model.h"

#define TOKENS 90

/* One process, or one rank's part. */
struct runner {
    struct model *model;
    struct team *team;
    struct llama_state *state;
    struct kv_cache kv;
    atomic_bool give_up;
};

static void open_runner(struct runner *r, enum tiny_model kind, const struct ranks *ranks,
                        int threads, enum ops_type kv_type)
{
    struct err e = {0};
    *r = (struct runner){.team = team_create(threads, &e)};
    assert_non_null(r->team);
    struct parallel parallel = parallel_team(r->team);
    parallel.ranks = ranks;
    r->model = tiny_model_open_share(kind, &parallel);
    struct llama_state_settings set = {
        .max_rows = TOKENS,
        .max_logits = TOKENS,
        .context = r->model->config.context,
        .precision = r->model->weights.precision,
        .kernel = q8_kernel_select(cpu_features()),
        .ops = ops_select(cpu_features()),
        .parallel = parallel,
    };
    set.give_up = &r->give_up;
    r->state = llama_state_create(&r->model->config, &set, &e);
    if (!r->state ||
        kv_cache_init(&r->kv, &r->model->config, kv_type, 1, set.context, 0, &e) != 0) {
        fail_msg("%s", e.message);
    }
}

static void close_runner(struct runner *r)
{
    kv_cache_deinit(&r->kv);
    llama_state_destroy(r->state);
    model_close(r->model);
    team_destroy(r->team);
}

/* Chunks of random sizes, in which every third row wants logits. */
static size_t run_chunks(struct runner *r, float *logits)
{
    struct rng rng;
    size_t vocab = (size_t)r->model->config.vocab, n_logits = 0;
    rng_seed(&rng, 11);
    for (int first = 0; first < TOKENS;) {
        struct llama_row rows[TOKENS] = {{0}};
        int n = 1 + (int)rng_below(&rng, 40);
        size_t wanted = 0;
        n = n < TOKENS - first ? n : TOKENS - first;
        for (int i = 0; i < n; i++) {
            rows[i].token = (int32_t)rng_below(&rng, (uint32_t)vocab);
            rows[i].position = first + i;
            rows[i].want_logits = rng_below(&rng, 3) == 0;
            wanted += rows[i].want_logits;
        }
        assert_true(llama_step(r->state, &r->model->weights, &r->kv, rows, n));
        if (logits && wanted > 0) {
            memcpy(logits + n_logits * vocab, llama_logits(r->state, 0),
                   wanted * vocab * sizeof(float));
        }
        n_logits += wanted;
        first += n;
    }
    return n_logits;
}

struct together {
    struct runner runners[THREAD_RANKS_MAX];
    float *logits; /* of rank 0 */
};

static void run_rank(void *ctx, int rank)
{
    struct together *t = ctx;
    run_chunks(&t->runners[rank], rank == 0 ? t->logits : NULL);
}

static void expect_same_logits(enum tiny_model kind, int n_ranks, int threads,
                               enum ops_type kv_type)
{
    struct thread_ranks ranks;
    struct runner alone;
    struct together t;
    open_runner(&alone, kind, NULL, 1, kv_type);
    size_t numbers = TOKENS * (size_t)alone.model->config.vocab;
    float *want = test_malloc(numbers * sizeof(float));
    t.logits = test_malloc(numbers * sizeof(float));
    size_t n = run_chunks(&alone, want);
    assert_true(n > 0);

    thread_ranks_init(&ranks, n_ranks);
    for (int i = 0; i < n_ranks; i++) {
        open_runner(&t.runners[i], kind, &ranks.ranks[i], threads, kv_type);
        assert_true(t.runners[i].model->weights.block_bytes <
                    alone.model->weights.block_bytes * 6 / 10);
        /* The model has two KV heads. */
        assert_int_equal(t.runners[i].kv.page_bytes, alone.kv.page_bytes / 2);
    }
    thread_ranks_run(&ranks, run_rank, &t);
    size_t compared = n * (size_t)alone.model->config.vocab;
    assert_memory_equal(t.logits, want, compared * sizeof(float));
    for (int i = 0; i < n_ranks; i++) {
        close_runner(&t.runners[i]);
    }
    close_runner(&alone);
    thread_ranks_deinit(&ranks);
    test_free(want);
    test_free(t.logits);
}

static void ranks_compute_the_same_bits(void **state)
{
    (void)state;
    const enum tiny_model kinds[] = {TINY_MODEL, TINY_MODEL_QWEN2, TINY_MODEL_F32,
                                     TINY_MODEL_MIXTURE};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        expect_same_logits(kinds[i], 2, 1, OPS_F16);
    }
}

/* Four query heads in two groups: of three ranks one has two of them, of four each has one. */
static void ranks_share_kv_heads_where_there_are_few(void **state)
{
    (void)state;
    expect_same_logits(TINY_MODEL, 3, 1, OPS_F16);
    expect_same_logits(TINY_MODEL_QWEN2, 4, 1, OPS_I8);
    expect_same_logits(TINY_MODEL_F32, 4, 1, OPS_F32);
}

static void ranks_have_threads_of_their_own(void **state)
{
    (void)state;
    expect_same_logits(TINY_MODEL, 2, 2, OPS_I8);
    expect_same_logits(TINY_MODEL_MIXTURE, 2, 2, OPS_F16);
}

static void give_up_a_step(void *ctx, int rank)
{
    struct together *t = ctx;
    struct runner *r = &t->runners[rank];
    const struct llama_row rows[] = {{.token = 3}, {.token = 4, .position = 1}};
    assert_false(llama_step(r->state, &r->model->weights, &r->kv, rows, 2));
    atomic_store(&r->give_up, false);
    assert_true(llama_step(r->state, &r->model->weights, &r->kv, rows, 2));
}

static void all_ranks_give_a_step_up_when_rank_0_does(void **state)
{
    (void)state;
    struct thread_ranks ranks;
    struct together t;
    thread_ranks_init(&ranks, 2);
    for (int i = 0; i < 2; i++) {
        open_runner(&t.runners[i], TINY_MODEL, &ranks.ranks[i], 1, OPS_F16);
    }
    atomic_store(&t.runners[0].give_up, true);
    thread_ranks_run(&ranks, give_up_a_step, &t);
    for (int i = 0; i < 2; i++) {
        close_runner(&t.runners[i]);
    }
    thread_ranks_deinit(&ranks);
}

/* --- shares --- */

static void shares_cover_everything_once(void **state)
{
    (void)state;
    for (int n = 1; n <= 7; n++) {
        struct llama_config c = {.n_ranks = n, .n_heads = 21, .n_kv_heads = 7, .head_dim = 16};
        size_t rows = 0, heads = 0, queries = 0;
        for (c.rank = 0; c.rank < n; c.rank++) {
            struct llama_range tiles = llama_share_rows(&c, 1003, LLAMA_ROWS_PLAIN);
            struct llama_range kv = llama_share_rows(&c, 7 * 16, LLAMA_ROWS_KV);
            struct llama_range q = llama_share_rows(&c, 21 * 16, LLAMA_ROWS_QUERIES);
            assert_int_equal(tiles.first, rows);
            assert_int_equal(tiles.first % 16, 0);
            assert_int_equal(kv.first, heads);
            assert_int_equal(q.first, queries);
            assert_int_equal(q.first, 3 * kv.first);
            rows = tiles.end;
            heads = kv.end;
            queries = q.end;
        }
        assert_int_equal(rows, 1003);
        assert_int_equal(heads, 7 * 16);
        assert_int_equal(queries, 21 * 16);
    }
}

static void ranks_that_share_a_kv_head_all_have_it(void **state)
{
    (void)state;
    struct llama_config c = {.n_ranks = 4, .n_heads = 9, .n_kv_heads = 3, .head_dim = 16};
    const struct llama_share_heads want[] = {
        {{0, 2}, {0, 1}}, {{2, 4}, {0, 2}}, {{4, 6}, {1, 2}}, {{6, 9}, {2, 3}}};
    for (c.rank = 0; c.rank < 4; c.rank++) {
        struct llama_share_heads own = llama_share_heads(&c);
        assert_memory_equal(&own, &want[c.rank], sizeof(own));
    }
    c.n_layers = 1;
    c.rank = 1; /* it has most */
    assert_int_equal(kv_cache_page_bytes_most(&c, OPS_F16), kv_cache_page_bytes(&c, OPS_F16));
}

static void what_cannot_be_shared_is_refused(void **state)
{
    (void)state;
    struct err e = {0};
    struct llama_config c = {
        .n_ranks = 4, .n_heads = 4, .n_kv_heads = 2, .d_model = 64, .d_ff = 64, .vocab = 64};
    assert_int_equal(llama_share_check(&c, &e), 0);
    c.n_heads = 3;
    assert_int_equal(llama_share_check(&c, &e), -1);
    assert_non_null(strstr(e.message, "3 query heads"));
    assert_non_null(strstr(e.message, "at most 3"));
    c.n_heads = 4;
    c.qk_norm = LLAMA_QK_NORM_ROW;
    assert_int_equal(llama_share_check(&c, &e), -1);
    assert_non_null(strstr(e.message, "at most 2"));
    c.qk_norm = LLAMA_QK_NORM_NONE;
    c.encoder = true;
    c.arch = "bert";
    assert_int_equal(llama_share_check(&c, &e), -1);
    assert_non_null(strstr(e.message, "bert"));
}

static void a_share_runs_only_among_its_ranks(void **state)
{
    (void)state;
    struct err e = {0};
    struct thread_ranks ranks;
    thread_ranks_init(&ranks, 2);
    struct parallel parallel = parallel_none;
    parallel.ranks = &ranks.ranks[1];
    struct model *m = tiny_model_open_share(TINY_MODEL, &parallel);
    struct llama_state_settings set = {
        .max_rows = 1,
        .max_logits = 1,
        .context = 8,
        .kernel = q8_kernel_select(cpu_features()),
        .ops = ops_select(cpu_features()),
        .parallel = parallel_none,
    };
    assert_null(llama_state_create(&m->config, &set, &e));
    set.parallel.ranks = &ranks.ranks[0];
    assert_null(llama_state_create(&m->config, &set, &e));
    set.parallel.ranks = &ranks.ranks[1];
    set.adapters = true;
    assert_null(llama_state_create(&m->config, &set, &e));
    assert_non_null(strstr(e.message, "adapters"));
    model_close(m);
    thread_ranks_deinit(&ranks);
}

/* --- the cache of a rank that follows --- */

static void init_cache(struct kv_cache *kv)
{
    struct err e = {0};
    const struct llama_config c = {
        .n_layers = 1, .n_heads = 2, .n_kv_heads = 2, .head_dim = 16};
    assert_int_equal(kv_cache_init(kv, &c, OPS_F16, 2, 96, 5, &e), 0);
    memset(kv->block, 0, 5 * kv->page_bytes);
}

static void a_cache_follows_another_by_its_changes(void **state)
{
    (void)state;
    struct kv_cache a, b;
    init_cache(&a);
    init_cache(&b);
    kv_cache_map(&b, 0, 0, 1); /* noted nowhere, and overwritten */
    kv_cache_note_changes(&a);
    kv_cache_map(&a, 0, 0, 3);
    kv_cache_map(&a, 1, 2, 4);
    b.block[3 * b.page_bytes] = 7;
    kv_cache_copy_page(&a, 2, 3);
    assert_int_equal(a.changes.count, 3);
    assert_int_equal(kv_cache_apply(&b, a.changes.items, a.changes.count), 0);
    assert_ptr_equal(b.tables[0], b.block + 3 * b.page_bytes);
    assert_ptr_equal(b.tables[b.table_size + 2], b.block + 4 * b.page_bytes);
    assert_int_equal(b.block[2 * b.page_bytes], 7);
    assert_int_equal(b.changes.count, 0);
    kv_cache_deinit(&a);
    kv_cache_deinit(&b);
}

static void changes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct kv_cache kv;
    const struct kv_change bad[] = {
        {.slot = 2, .index = 0, .page = 0},  {.slot = 0, .index = 3, .page = 0},
        {.slot = 0, .index = 0, .page = 5},  {.slot = 0, .index = -1, .page = 0},
        {.slot = 0, .index = 0, .page = -1}, {.slot = KV_CHANGE_COPY, .index = 5, .page = 0},
        {.slot = -2, .index = 0, .page = 0}, {.slot = KV_CHANGE_COPY, .index = -1, .page = 0},
    };
    init_cache(&kv);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(kv_cache_apply(&kv, &bad[i], 1), -1);
    }
    kv_cache_deinit(&kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_compute_the_same_bits),
        cmocka_unit_test(ranks_share_kv_heads_where_there_are_few),
        cmocka_unit_test(ranks_have_threads_of_their_own),
        cmocka_unit_test(all_ranks_give_a_step_up_when_rank_0_does),
        cmocka_unit_test(shares_cover_everything_once),
        cmocka_unit_test(ranks_that_share_a_kv_head_all_have_it),
        cmocka_unit_test(what_cannot_be_shared_is_refused),
        cmocka_unit_test(a_share_runs_only_among_its_ranks),
        cmocka_unit_test(a_cache_follows_another_by_its_changes),
        cmocka_unit_test(changes_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
