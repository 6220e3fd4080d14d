/* Adapters: files that are wrong are refused by name; a row's logits depend on its own adapter
 * alone; what an adapter does is what adding its product to the weights does. */
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

#include "models/arch/llama_step.h"
#include "quant/cpu.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/engine/parallel_team.h"
#include "runtime/engine/team.h"
#include "tests/unit/engine/engine_fixture.h"
#include "tests/unit/engine/tiny_adapter.h"
#include "tests/unit/engine/tiny_model.h"

#define TOKENS   50
#define ADAPTERS 3 /* the first one is none */

static const struct tiny_adapter plain = {
    .seed = 1, .rank = 8, .type = TENSOR_F32, .arch = "llama"};

/* --- the step --- */

struct scene {
    struct model *model;
    struct team *team;
    struct llama_state *state;
    struct kv_cache kv;
    const struct llama_adapter *adapters[ADAPTERS];
    size_t vocab;
    int32_t tokens[TOKENS];
};

static void open_scene(struct scene *s, struct model *m, int threads)
{
    struct err e = {0};
    struct rng r;
    *s = (struct scene){.model = m, .vocab = (size_t)m->config.vocab};
    s->team = team_create(threads, &e);
    struct llama_state_settings set = {
        .max_rows = ADAPTERS * TOKENS,
        .max_logits = ADAPTERS * TOKENS,
        .context = m->config.context,
        .precision = m->weights.precision,
        .kernel = q8_kernel_select(cpu_features()),
        .ops = ops_select(cpu_features()),
        .parallel = parallel_team(s->team),
        .adapters = true,
    };
    s->state = llama_state_create(&m->config, &set, &e);
    if (!s->state ||
        kv_cache_init(&s->kv, &m->config, OPS_F32, ADAPTERS, m->config.context, 0, &e) != 0) {
        fail_msg("%s", e.message);
    }
    rng_seed(&r, 3);
    for (size_t i = 0; i < TOKENS; i++) {
        s->tokens[i] = (int32_t)rng_below(&r, (uint32_t)m->config.vocab);
    }
}

static void close_scene(struct scene *s)
{
    kv_cache_deinit(&s->kv);
    llama_state_destroy(s->state);
    team_destroy(s->team);
}

static struct llama_row row_of(const struct scene *s, int slot, int position, bool want)
{
    return (struct llama_row){.token = s->tokens[position],
                              .position = position,
                              .slot = slot,
                              .want_logits = want,
                              .adapter = s->adapters[slot]};
}

/* Token by token, alone. logits: (TOKENS, vocab) */
static void run_alone(struct scene *s, int slot, float *logits)
{
    for (int i = 0; i < TOKENS; i++) {
        const struct llama_row row = row_of(s, slot, i, true);
        llama_step(s->state, &s->model->weights, &s->kv, &row, 1);
        memcpy(logits + (size_t)i * s->vocab, llama_logits(s->state, 0),
               s->vocab * sizeof(float));
    }
}

/* All slots beside each other in chunks of random lengths, their order another each time, with
 * logits wanted here and there. */
static void run_together(struct scene *s, struct rng *r, float *const logits[ADAPTERS])
{
    int done[ADAPTERS] = {0};
    while (done[0] < TOKENS || done[1] < TOKENS || done[2] < TOKENS) {
        struct llama_row rows[ADAPTERS * TOKENS];
        int n = 0, n_wanted = 0, first = (int)rng_below(r, ADAPTERS);
        int wanted[ADAPTERS * TOKENS];
        for (int k = 0; k < ADAPTERS; k++) {
            int slot = (first + k) % ADAPTERS;
            int chunk = (int)rng_below(r, 2) == 0 ? 1 : (int)rng_below(r, 30);
            for (; chunk > 0 && done[slot] < TOKENS; chunk--, done[slot]++) {
                bool want = rng_below(r, 2) == 0;
                if (want) {
                    wanted[n_wanted++] = slot * TOKENS + done[slot];
                }
                rows[n++] = row_of(s, slot, done[slot], want);
            }
        }
        if (n == 0) {
            continue;
        }
        llama_step(s->state, &s->model->weights, &s->kv, rows, n);
        for (int i = 0; i < n_wanted; i++) {
            const float *want =
                logits[wanted[i] / TOKENS] + (size_t)(wanted[i] % TOKENS) * s->vocab;
            if (memcmp(llama_logits(s->state, i), want, s->vocab * sizeof(float)) != 0) {
                fail_msg("logits of slot %d after token %d are others", wanted[i] / TOKENS,
                         wanted[i] % TOKENS);
            }
        }
    }
}

static void expect_rows_to_be_independent(struct model *m)
{
    const struct tiny_adapter other = {
        .seed = 2, .rank = 5, .type = TENSOR_F32, .arch = "llama", .only = "attn_v"};
    struct llama_adapter *a = tiny_adapter_open(&plain, m, 1.0f);
    struct llama_adapter *b = tiny_adapter_open(&other, m, 1.0f);
    float *logits[ADAPTERS];
    struct rng r;
    rng_seed(&r, 5);
    for (int i = 0; i < ADAPTERS; i++) {
        logits[i] = test_malloc((size_t)TOKENS * (size_t)m->config.vocab * sizeof(float));
    }
    for (int threads = 1; threads <= 4; threads *= 2) {
        struct scene s;
        open_scene(&s, m, threads);
        s.adapters[1] = a;
        s.adapters[2] = b;
        for (int i = 0; i < ADAPTERS && threads == 1; i++) {
            run_alone(&s, i, logits[i]);
        }
        for (int i = 0; i < 4; i++) {
            run_together(&s, &r, logits);
        }
        close_scene(&s);
    }
    for (int i = 0; i < ADAPTERS; i++) {
        assert_memory_not_equal(logits[i], logits[(i + 1) % ADAPTERS],
                                (size_t)m->config.vocab * sizeof(float));
    }
    for (int i = 0; i < ADAPTERS; i++) {
        test_free(logits[i]);
    }
    llama_adapter_close(a);
    llama_adapter_close(b);
    model_close(m);
}

static void logits_depend_on_the_rows_own_adapter_alone(void **state)
{
    (void)state;
    expect_rows_to_be_independent(tiny_model_open());
    expect_rows_to_be_independent(tiny_model_open_f32());
}

/* Adds the product of the pair to the model's own float matrix. */
static void merge(const struct llama_matrix *m, const struct llama_pair *pair)
{
    float *w = (float *)(uintptr_t)m->f32 + pair->first * m->k;
    for (size_t o = 0; o < pair->n_out; o++) {
        for (size_t i = 0; i < pair->n_in; i++) {
            double sum = 0.0;
            for (size_t r = 0; r < pair->rank; r++) {
                size_t at = (o / 16 * pair->rank + r) * 16 + o % 16;
                sum += (double)pair->b[at] * (double)pair->a[r * pair->n_in + i];
            }
            w[o * m->k + i] += pair->scale * (float)sum;
        }
    }
}

static void an_adapter_does_what_merging_it_does(void **state)
{
    (void)state;
    struct model *m = tiny_model_open_f32();
    struct llama_adapter *a = tiny_adapter_open(&plain, m, 0.5f);
    assert_true(a->layers[0].pairs[0][0].scale == 0.5f * 24.0f / 8.0f);
    assert_int_equal(a->n_pairs, 14);
    size_t n = (size_t)TOKENS * (size_t)m->config.vocab;
    float *adapted = test_malloc(n * sizeof(float)), *merged = test_malloc(n * sizeof(float));
    struct scene s;
    open_scene(&s, m, 1);
    s.adapters[1] = a;
    run_alone(&s, 1, adapted);
    for (int i = 0; i < m->config.n_layers; i++) {
        const struct llama_layer *layer = &m->weights.layers[i];
        const struct llama_matrix *matrices[] = {&layer->qkv.matrix, &layer->out.matrix,
                                                 &layer->gate_up.matrix, &layer->down.matrix};
        for (size_t p = 0; p < LLAMA_ADAPTER_PRODUCTS; p++) {
            for (size_t k = 0; k < LLAMA_ADAPTER_PARTS; k++) {
                merge(matrices[p], &a->layers[i].pairs[p][k]);
            }
        }
    }
    run_alone(&s, 0, merged);
    double low = 0.0, high = 0.0, worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, (double)merged[i]);
        high = fmax(high, (double)merged[i]);
        worst = fmax(worst, fabs((double)merged[i] - (double)adapted[i]));
    }
    if (!(worst < 1e-4 * (high - low))) {
        fail_msg("the merged model differs by %g, of %g", worst, high - low);
    }
    close_scene(&s);
    test_free(adapted);
    test_free(merged);
    llama_adapter_close(a);
    model_close(m);
}

static void the_order_of_rows_in_the_file_changes_nothing(void **state)
{
    (void)state;
    struct tiny_adapter halves = plain;
    halves.arch = "qwen2";
    struct model *models[] = {tiny_model_open(), tiny_model_open_qwen2()};
    struct llama_adapter *adapters[] = {tiny_adapter_open(&plain, models[0], 1.0f),
                                        tiny_adapter_open(&halves, models[1], 1.0f)};
    size_t n = (size_t)TOKENS * (size_t)models[0]->config.vocab;
    float *logits[2];
    for (int i = 0; i < 2; i++) {
        struct scene s;
        logits[i] = test_malloc(n * sizeof(float));
        open_scene(&s, models[i], 1);
        s.adapters[1] = adapters[i];
        run_alone(&s, 1, logits[i]);
        close_scene(&s);
    }
    assert_memory_equal(logits[0], logits[1], n * sizeof(float));
    for (int i = 0; i < 2; i++) {
        test_free(logits[i]);
        llama_adapter_close(adapters[i]);
        model_close(models[i]);
    }
}

/* --- the engine --- */

#define REQUESTS 12
#define PROMPT   45 /* a page and a part of one, which all of them share */

static void submit(struct fixture *f, const struct llama_adapter *adapter, int i,
                   struct answer *a)
{
    int32_t prompt[PROMPT];
    uint64_t id;
    struct err e = {0};
    for (int k = 0; k < PROMPT; k++) {
        prompt[k] = 3 + (k < PROMPT - 2 ? k * 17 : i * 31) % 250;
    }
    struct engine_request r = {
        .prompt = prompt,
        .n_prompt = PROMPT,
        .max_tokens = 16,
        .sampling = SAMPLING_DEFAULT,
        .options = {.want_logprobs = true, .ignore_eog = true, .adapter = adapter},
        .user = a};
    r.sampling.temperature = 0.0f;
    *a = (struct answer){0};
    if (engine_submit(f->engine, &r, &id, &e) != 0) {
        fail_msg("%s", e.message);
    }
}

static void answers_with_adapters_share_no_cache(void **state)
{
    (void)state;
    struct tiny_adapter other = plain;
    other.seed = 9;
    struct llama_adapter *a = tiny_adapter_open(&plain, model, 1.0f);
    struct llama_adapter *b = tiny_adapter_open(&other, model, 1.0f);
    const struct llama_adapter *adapters[ADAPTERS] = {NULL, a, b};
    static struct answer alone[REQUESTS], together[REQUESTS];
    struct fixture f;
    for (int i = 0; i < REQUESTS; i++) {
        start(&f, 1, 1, 0);
        submit(&f, adapters[i % ADAPTERS], i, &alone[i]);
        wait_for_ends(&f, &alone[i], 1);
        stop(&f);
    }
    assert_memory_not_equal(alone[0].logprobs, alone[1].logprobs, sizeof(alone[0].logprobs));
    for (int threads = 1; threads <= 2; threads++) {
        start(&f, threads, REQUESTS, 0);
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < REQUESTS; i++) {
                submit(&f, adapters[i % ADAPTERS], i, &together[i]);
            }
            wait_for_ends(&f, together, REQUESTS);
            for (int i = 0; i < REQUESTS; i++) {
                assert_memory_equal(alone[i].tokens, together[i].tokens,
                                    sizeof(alone[i].tokens));
                assert_memory_equal(alone[i].logprobs, together[i].logprobs,
                                    sizeof(alone[i].logprobs));
                /* The first of each adapter reads all of it, in spite of the others. */
                assert_true(round > 0 || i >= ADAPTERS || together[i].cached_tokens == 0);
                assert_true(round == 0 || together[i].cached_tokens >= KV_PAGE_POSITIONS);
            }
        }
        stop(&f);
    }
    llama_adapter_close(a);
    llama_adapter_close(b);
}

/* --- files --- */

static void expect_refusal(const struct tiny_adapter *t, void (*change)(struct gguf_writer *),
                           const char *base_sha256, const char *message)
{
    char path[TINY_ADAPTER_PATH_MAX];
    struct err e = {0};
    tiny_adapter_write(t, path, change);
    struct llama_adapter *a = llama_adapter_open(path, &model->config, base_sha256, 1.0f, &e);
    unlink(path);
    assert_null(a);
    if (!strstr(e.message, message) || strncmp(e.message, path, strlen(path)) != 0) {
        fail_msg("\"%s\" does not say \"%s\"", e.message, message);
    }
}

static const float zeros[4096];

static void add_unknown(struct gguf_writer *w)
{
    gguf_add_tensor(w, "token_embd.weight.lora_a", TENSOR_F32, 2, (uint64_t[]){64, 8}, zeros);
}

static void add_layer(struct gguf_writer *w)
{
    gguf_add_tensor(w, "blk.2.attn_q.weight.lora_a", TENSOR_F32, 2, (uint64_t[]){64, 8}, zeros);
    gguf_add_tensor(w, "blk.2.attn_q.weight.lora_b", TENSOR_F32, 2, (uint64_t[]){8, 64}, zeros);
}

static void add_half_a_pair(struct gguf_writer *w)
{
    gguf_add_tensor(w, "blk.0.attn_k.weight.lora_a", TENSOR_F32, 2, (uint64_t[]){64, 8}, zeros);
}

static void add_wrong_inputs(struct gguf_writer *w)
{
    gguf_add_tensor(w, "blk.0.attn_k.weight.lora_a", TENSOR_F32, 2, (uint64_t[]){32, 8}, zeros);
    gguf_add_tensor(w, "blk.0.attn_k.weight.lora_b", TENSOR_F32, 2, (uint64_t[]){8, 32}, zeros);
}

static void add_wrong_rank(struct gguf_writer *w)
{
    gguf_add_tensor(w, "blk.0.attn_k.weight.lora_a", TENSOR_F32, 2, (uint64_t[]){64, 8}, zeros);
    gguf_add_tensor(w, "blk.0.attn_k.weight.lora_b", TENSOR_F32, 2, (uint64_t[]){7, 32}, zeros);
}

static void add_type(struct gguf_writer *w)
{
    gguf_put_f32(w, "adapter.lora.dropout", 0.0f);
    gguf_put_bool(w, "adapter.alora.invocation_tokens", true);
}

static void add_infinity(struct gguf_writer *w)
{
    static const float bad[8 * 64] = {[100] = INFINITY};
    gguf_add_tensor(w, "blk.0.attn_k.weight.lora_a", TENSOR_F32, 2, (uint64_t[]){64, 8}, bad);
    gguf_add_tensor(w, "blk.0.attn_k.weight.lora_b", TENSOR_F32, 2, (uint64_t[]){8, 32}, zeros);
}

static void wrong_files_are_refused_by_name(void **state)
{
    (void)state;
    const char *hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    struct tiny_adapter only = plain, wide = plain, named = plain, spoiled = plain;
    only.only = "attn_q";
    wide.rank = LLAMA_ADAPTER_RANK_MAX + 1;
    wide.only = "attn_q";
    named.base_sha256 = hash;
    spoiled.base_sha256 = "0123";
    expect_refusal(&plain, add_unknown, "", "tensor \"token_embd.weight.lora_a\"");
    expect_refusal(&plain, add_layer, "", "tensor \"blk.2.attn_q.weight.lora_a\"");
    expect_refusal(&only, add_half_a_pair, "", "\"blk.0.attn_k.weight.lora_b\" is missing");
    expect_refusal(&only, add_wrong_inputs, "",
                   "\"blk.0.attn_k.weight.lora_a\" is 8 x 32, 8 x 64 was expected");
    expect_refusal(&only, add_wrong_rank, "",
                   "\"blk.0.attn_k.weight.lora_b\" is 32 x 7, 32 x 8 was expected");
    expect_refusal(&only, add_infinity, "", "\"blk.0.attn_k.weight.lora_a\" has broken rows");
    expect_refusal(&plain, add_type, "", "adapter.alora.invocation_tokens");
    expect_refusal(&wide, NULL, "", "has rank 257, at most 256");
    expect_refusal(&named, NULL, model->sha256, "is for another base model");
    expect_refusal(&spoiled, NULL, "", "weir.adapter.base_sha256");
    struct tiny_adapter qwen = plain;
    qwen.arch = "qwen2";
    expect_refusal(&qwen, NULL, "", "\"general.architecture\" is \"qwen2\", not \"llama\"");
    struct tiny_adapter none = plain;
    none.only = "nothing";
    expect_refusal(&none, NULL, "", "has no tensors");
}

static void a_models_own_file_is_no_adapter(void **state)
{
    (void)state;
    struct err e = {0};
    struct gguf_writer *w = gguf_writer_create(&e);
    char path[TINY_ADAPTER_PATH_MAX];
    snprintf(path, sizeof(path), "/tmp/weir-test-adapter-%ld.gguf", (long)getpid());
    gguf_put_str(w, "general.architecture", "llama");
    assert_int_equal(gguf_writer_write(w, path, &e), 0);
    gguf_writer_destroy(w);
    assert_null(llama_adapter_open(path, &model->config, "", 1.0f, &e));
    assert_non_null(strstr(e.message, "general.type"));
    unlink(path);
}

static void every_type_of_a_file_is_read(void **state)
{
    (void)state;
    struct tiny_adapter halves = plain, blocks = plain;
    halves.type = TENSOR_F16;
    blocks.type = TENSOR_Q8_0;
    blocks.rank = 32;
    struct llama_adapter *f32 = tiny_adapter_open(&plain, model, 1.0f);
    struct llama_adapter *f16 = tiny_adapter_open(&halves, model, 1.0f);
    struct llama_adapter *q8 = tiny_adapter_open(&blocks, model, 1.0f);
    assert_int_equal(f32->block_bytes, f16->block_bytes);
    assert_int_equal(q8->rank, 32);
    assert_true(f32->id != f16->id && f16->id != q8->id);
    for (size_t i = 0; i < f32->block_bytes / sizeof(float); i++) {
        assert_true(fabsf(f32->block[i] - f16->block[i]) < 1e-3f);
    }
    llama_adapter_close(f32);
    llama_adapter_close(f16);
    llama_adapter_close(q8);
}

/* Whatever byte of its head is another one, and wherever it is cut: it is read or refused. */
static void spoiled_files_break_nothing(void **state)
{
    (void)state;
    char path[TINY_ADAPTER_PATH_MAX];
    struct err e = {0};
    struct tiny_adapter small = plain;
    small.only = "attn_v";
    size_t len;
    tiny_adapter_write(&small, path, NULL);
    char *bytes = file_read_regular(path, 1 << 20, &len, &e);
    unlink(path);
    assert_non_null(bytes);
    struct rng r;
    rng_seed(&r, 1);
    for (int i = 0; i < 3000; i++) {
        size_t n = i % 10 == 0 ? rng_below(&r, (uint32_t)len) : len;
        char *copy = malloc(n > 0 ? n : 1);
        memcpy(copy, bytes, n);
        if (n == len) {
            copy[rng_below(&r, 800)] = (char)rng_below(&r, 256);
        }
        struct gguf *g = gguf_open_memory(copy, n, "spoiled", &e);
        if (g) {
            llama_adapter_close(llama_adapter_from_gguf(g, &model->config, "", 1.0f, &e));
        }
        gguf_close(g);
        free(copy);
    }
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_depend_on_the_rows_own_adapter_alone),
        cmocka_unit_test(an_adapter_does_what_merging_it_does),
        cmocka_unit_test(the_order_of_rows_in_the_file_changes_nothing),
        cmocka_unit_test(answers_with_adapters_share_no_cache),
        cmocka_unit_test(wrong_files_are_refused_by_name),
        cmocka_unit_test(a_models_own_file_is_no_adapter),
        cmocka_unit_test(every_type_of_a_file_is_read),
        cmocka_unit_test(spoiled_files_break_nothing),
    };
    return cmocka_run_group_tests(tests, engine_fixture_open_model, engine_fixture_close_model);
}
