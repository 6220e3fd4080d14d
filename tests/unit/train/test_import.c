/* Models of each architecture into the trainer, whose logits are those of the serving step, and
 * back out: the same numbers and all metadata. What cannot be trained is refused by name. */
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
#include "models/format/gguf_write.h"
#include "models/train/export.h"
#include "models/train/frozen.h"
#include "models/train/import.h"
#include "models/train/lora.h"
#include "models/train/transformer.h"
#include "quant/cpu.h"
#include "runtime/base/rng.h"

#define TOKENS  40
#define CONTEXT 64
/* Of logits around 1: the sums of both sides run in different orders. */
#define LOGIT_TOLERANCE 2e-5

#define SIZES                                                                             \
    .d_model = 64, .n_layers = 4, .n_heads = 4, .n_kv_heads = 2, .ffn = 96, .vocab = 101, \
    .context = CONTEXT, .rope_base = 10000.0f, .norm_eps = 1e-5f

struct sample {
    const char *name, *arch;
    struct train_shape shape;
    float linear; /* factor of linear scaling, 0: none */
    bool factors; /* a tensor of them, as Llama 3 has */
};

static const struct sample samples[] = {
    {.name = "llama", .arch = "llama", .shape = {SIZES}},
    {.name = "mistral", .arch = "llama", .shape = {SIZES, .head_dim = 32, .untied = true}},
    {.name = "heads40", .arch = "llama", .shape = {SIZES, .head_dim = 40}},
    {.name = "heads24",
     .arch = "qwen2",
     .shape = {SIZES, .head_dim = 24, .rope_halves = true, .qkv_bias = true}},
    {.name = "llama3",
     .arch = "llama",
     .shape = {SIZES, .rope_factor = {0.0f, 2.0f, 3.5f, 8.0f, 8.0f, 8.0f, 8.0f, 8.0f}},
     .factors = true},
    {.name = "linear",
     .arch = "llama",
     .shape = {SIZES, .rope_factor = {4.0f, 4.0f, 4.0f, 4.0f, 4.0f, 4.0f, 4.0f, 4.0f}},
     .linear = 4.0f},
    {.name = "qwen2", .arch = "qwen2", .shape = {SIZES, .rope_halves = true, .qkv_bias = true}},
    {.name = "qwen3",
     .arch = "qwen3",
     .shape = {SIZES, .head_dim = 32, .rope_halves = true, .qk_norm = true, .untied = true}},
    {.name = "smollm3", .arch = "smollm3", .shape = {SIZES, .no_rope_period = 4}},
};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

struct fixture {
    char folder[32], path[64], out[64];
    float *params, *again;
    size_t n;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f) {
        return -1;
    }
    snprintf(f->folder, sizeof(f->folder), "/tmp/weir-import-XXXXXX");
    *state = f;
    if (!mkdtemp(f->folder)) {
        return -1;
    }
    snprintf(f->path, sizeof(f->path), "%s/model.gguf", f->folder);
    snprintf(f->out, sizeof(f->out), "%s/out.gguf", f->folder);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->path);
    unlink(f->out);
    rmdir(f->folder);
    free(f);
    return 0;
}

static void put_size(struct gguf_writer *w, const char *arch, const char *rest, uint32_t value)
{
    char key[96];
    snprintf(key, sizeof(key), "%s.%s", arch, rest);
    gguf_put_u32(w, key, value);
}

static void put_number(struct gguf_writer *w, const char *arch, const char *rest, float value)
{
    char key[96];
    snprintf(key, sizeof(key), "%s.%s", arch, rest);
    gguf_put_f32(w, key, value);
}

static void put_metadata(struct gguf_writer *w, const struct sample *s)
{
    const struct train_shape *shape = &s->shape;
    const char *arch = s->arch;
    gguf_put_str(w, "general.architecture", arch);
    gguf_put_str(w, "general.name", s->name);
    gguf_put_u32(w, "general.file_type", 0);
    put_size(w, arch, "context_length", 4 * CONTEXT);
    put_size(w, arch, "embedding_length", shape->d_model);
    put_size(w, arch, "block_count", shape->n_layers);
    put_size(w, arch, "feed_forward_length", shape->ffn);
    put_size(w, arch, "attention.head_count", shape->n_heads);
    put_size(w, arch, "attention.head_count_kv", shape->n_kv_heads);
    put_size(w, arch, "attention.key_length", train_shape_head_dim(shape));
    put_number(w, arch, "attention.layer_norm_rms_epsilon", shape->norm_eps);
    put_number(w, arch, "rope.freq_base", shape->rope_base);
    if (s->linear > 0.0f) {
        put_number(w, arch, "rope.scaling.factor", s->linear);
        gguf_put_str(w, "llama.rope.scaling.type", "linear");
    }
    gguf_put_strs(w, "tokenizer.ggml.tokens",
                  (struct gguf_str[]){{"<s>", 3}, {"a", 1}, {"\0b", 2}}, 3);
    gguf_put_str(w, "tokenizer.chat_template", "{{ messages }}");
    gguf_put_array(w, "tokenizer.ggml.scores", GGUF_F32, (float[]){0.5f, -1.0f, 0.0f}, 3);
}

/* Writes the sample with random weights. skip: a tensor to leave out; extra: one too many. */
static void write_sample(struct fixture *f, const struct sample *s, const char *skip,
                         const char *extra)
{
    struct err e;
    struct rng rng;
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    size_t count = train_shape_tensors(&s->shape, tensors);
    float factors[TRAIN_MAX_HEAD_DIM / 2];
    uint32_t half = train_shape_head_dim(&s->shape) / 2;
    f->n = train_shape_param_count(&s->shape);
    f->params = calloc(f->n, sizeof(float));
    f->again = calloc(f->n, sizeof(float));
    rng_seed(&rng, 5);
    train_params_init(&s->shape, f->params, 3);
    for (size_t i = 0; i < f->n; i++) {
        f->params[i] += 0.1f * rng_normal(&rng);
    }
    struct gguf_writer *w = gguf_writer_create(&e);
    put_metadata(w, s);
    for (size_t i = 0; i < count; i++) {
        const struct train_tensor *t = &tensors[i];
        if (!skip || strcmp(skip, t->name) != 0) {
            gguf_add_tensor(w, t->name, TENSOR_F32, t->rows > 1 ? 2 : 1,
                            (uint64_t[]){t->cols, t->rows}, f->params + t->offset);
        }
    }
    for (uint32_t i = 0; i < half; i++) {
        factors[i] = s->shape.rope_factor[i] > 0.0f ? s->shape.rope_factor[i] : 1.0f;
    }
    if (s->factors) {
        gguf_add_tensor(w, "rope_freqs.weight", TENSOR_F32, 1, (uint64_t[]){half}, factors);
    }
    if (extra) {
        gguf_add_tensor(w, extra, TENSOR_F32, 1, (uint64_t[]){4}, factors);
    }
    assert_int_equal(gguf_writer_write(w, f->path, &e), 0);
    gguf_writer_destroy(w);
}

static void forget_sample(struct fixture *f)
{
    free(f->params);
    free(f->again);
}

static struct gguf *open_imported(const struct fixture *f, const char *path,
                                  struct train_shape *s)
{
    struct err e = {0};
    *s = (struct train_shape){0};
    struct gguf *g = import_open(path, &e);
    if (!g || import_shape(g, CONTEXT, s, &e) || import_params(g, s, f->again, &e)) {
        fail_msg("%s", e.message);
    }
    return g;
}

static void weights_and_shape_come_in_as_they_are(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct train_shape s;
        write_sample(f, &samples[i], NULL, NULL);
        struct gguf *g = open_imported(f, f->path, &s);
        assert_memory_equal(&s, &samples[i].shape, sizeof(s));
        assert_memory_equal(f->again, f->params, f->n * sizeof(float));
        gguf_close(g);
        forget_sample(f);
    }
}

/* The last logits of the serving step with float weights, keys and values. */
static void serve_logits(const struct gguf *g, const uint32_t *tokens, float *out)
{
    struct err e;
    struct llama_config c;
    struct llama_weights w;
    struct kv_cache kv;
    struct llama_row rows[TOKENS];
    assert_int_equal(llama_config_from_gguf(&c, g, &e), 0);
    if (llama_weights_init(&w, &c, g, LLAMA_F32, &parallel_none, &e)) {
        fail_msg("%s", e.message);
    }
    struct llama_state_settings set = {
        .max_rows = TOKENS,
        .max_logits = TOKENS,
        .context = CONTEXT,
        .precision = LLAMA_F32,
        .kernel = q8_kernel_select(cpu_features()),
        .ops = ops_select(cpu_features()),
        .parallel = parallel_none,
    };
    struct llama_state *state = llama_state_create(&c, &set, &e);
    assert_non_null(state);
    assert_int_equal(kv_cache_init(&kv, &c, OPS_F32, 1, CONTEXT, 0, &e), 0);
    for (int i = 0; i < TOKENS; i++) {
        rows[i] = (struct llama_row){(int32_t)tokens[i], i, 0, true, NULL};
    }
    assert_true(llama_step(state, &w, &kv, rows, TOKENS));
    for (int i = 0; i < TOKENS; i++) {
        memcpy(out + (size_t)i * (size_t)c.vocab, llama_logits(state, i),
               (size_t)c.vocab * sizeof(float));
    }
    llama_state_destroy(state);
    kv_cache_deinit(&kv);
    llama_weights_deinit(&w);
}

/* One document, and every token has a target. */
static void fill_slice(struct train_slice *slice, const uint32_t *tokens)
{
    struct err e;
    assert_int_equal(train_slice_init(slice, TOKENS, &e), 0);
    slice->n_tokens = slice->n_targets = TOKENS;
    slice->n_docs = 1;
    slice->doc_ends[0] = TOKENS;
    for (uint32_t i = 0; i < TOKENS; i++) {
        slice->tokens[i] = tokens[i];
        slice->positions[i] = i;
        slice->targets[i] = tokens[(i + 1) % TOKENS];
    }
}

static void train_logits(const struct train_shape *s, float *params, const uint32_t *tokens,
                         float *out)
{
    struct err e;
    struct train_params p;
    struct train_slice slice;
    struct transformer *m = transformer_create(s, TOKENS, &e);
    assert_non_null(m);
    fill_slice(&slice, tokens);
    train_params_bind(&p, s, params);
    transformer_logits(m, &p, &slice, out);
    train_slice_deinit(&slice);
    transformer_destroy(m);
}

static void logits_are_those_of_the_serving_step(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct rng rng;
        struct train_shape s;
        uint32_t tokens[TOKENS];
        size_t n = (size_t)TOKENS * samples[i].shape.vocab;
        float *served = calloc(n, sizeof(float)), *trained = calloc(n, sizeof(float));
        double worst = 0.0, largest = 0.0;
        write_sample(f, &samples[i], NULL, NULL);
        struct gguf *g = open_imported(f, f->path, &s);
        rng_seed(&rng, 9);
        for (size_t t = 0; t < TOKENS; t++) {
            tokens[t] = rng_below(&rng, s.vocab);
        }
        serve_logits(g, tokens, served);
        train_logits(&s, f->again, tokens, trained);
        for (size_t j = 0; j < n; j++) {
            worst = fmax(worst, fabs((double)served[j] - (double)trained[j]));
            largest = fmax(largest, fabs((double)served[j]));
        }
        print_message("%-8s largest logit %.2f, difference %.1e\n", samples[i].name, largest,
                      worst);
        assert_true(largest > 0.5 && worst < LOGIT_TOLERANCE * fmax(largest, 1.0));
        gguf_close(g);
        free(served);
        free(trained);
        forget_sample(f);
    }
}

static void check_metadata(const struct gguf *from, const struct gguf *to)
{
    assert_int_equal(gguf_kv_count(to), gguf_kv_count(from));
    for (size_t i = 0; i < gguf_kv_count(from); i++) {
        const struct gguf_kv *a = gguf_kv_at(from, i), *b = gguf_kv_find(to, a->key);
        assert_non_null(b);
        assert_int_equal(b->type, a->type);
        assert_int_equal(b->size, a->size);
        assert_memory_equal(b->data, a->data, a->size);
    }
}

static void an_export_in_f32_is_the_same_model(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct err e;
        struct train_shape s, back;
        write_sample(f, &samples[i], NULL, NULL);
        struct gguf *g = open_imported(f, f->path, &s);
        assert_int_equal(export_like(g, &s, f->again, TENSOR_F32, NULL, f->out, &e), 0);
        memset(f->again, 0, f->n * sizeof(float));
        struct gguf *out = open_imported(f, f->out, &back);
        assert_memory_equal(&back, &s, sizeof(s));
        assert_memory_equal(f->again, f->params, f->n * sizeof(float));
        assert_int_equal(gguf_tensor_count(out), gguf_tensor_count(g));
        check_metadata(g, out);
        gguf_close(out);
        gguf_close(g);
        forget_sample(f);
    }
}

static void smaller_types_keep_what_they_can(void **state)
{
    struct fixture *f = *state;
    const struct {
        uint32_t type, file_type;
        double error; /* of numbers around 0.1, the largest about 0.5 */
    } types[] = {{TENSOR_F16, 1, 5e-4}, {TENSOR_Q8_0, 7, 4e-3}};
    for (size_t i = 0; i < 2; i++) {
        struct err e;
        struct train_shape s;
        uint32_t file_type = 0;
        struct gguf_str name;
        double worst = 0.0;
        write_sample(f, &samples[1], NULL, NULL);
        struct gguf *g = open_imported(f, f->path, &s);
        assert_int_equal(export_like(g, &s, f->again, types[i].type, "other", f->out, &e), 0);
        struct gguf *out = open_imported(f, f->out, &s);
        for (size_t j = 0; j < f->n; j++) {
            worst = fmax(worst, fabs((double)f->again[j] - (double)f->params[j]));
        }
        assert_true(worst > 0.0 && worst < types[i].error);
        assert_int_equal(gguf_tensor_find(out, "blk.1.ffn_up.weight")->type, types[i].type);
        assert_int_equal(gguf_tensor_find(out, "blk.1.ffn_norm.weight")->type, TENSOR_F32);
        assert_int_equal(gguf_get_u32(out, "general.file_type", &file_type, &e), 0);
        assert_int_equal(file_type, types[i].file_type);
        assert_int_equal(gguf_get_str(out, "general.name", &name, &e), 0);
        assert_true(name.len == 5 && memcmp(name.data, "other", 5) == 0);
        gguf_close(out);
        gguf_close(g);
        forget_sample(f);
    }
}

/* Loss and the gradients of an adapter beside these parameters. */
static double adapter_gradients(const struct train_shape *s, const struct train_params *base,
                                const struct lora *lora, float *adapter, float *grads)
{
    struct err e;
    struct rng rng;
    uint32_t tokens[TOKENS];
    struct train_slice slice;
    struct train_params p = *base, g;
    struct transformer *m = transformer_create(s, TOKENS, &e);
    assert_non_null(m);
    rng_seed(&rng, 17);
    for (size_t t = 0; t < TOKENS; t++) {
        tokens[t] = rng_below(&rng, s->vocab);
    }
    fill_slice(&slice, tokens);
    lora_bind(&p, s, lora, adapter);
    train_params_clear(&g, s);
    lora_bind(&g, s, lora, grads);
    double loss = transformer_gradients(m, &p, &g, &slice, 1.0f);
    train_slice_deinit(&slice);
    transformer_destroy(m);
    return loss;
}

/* The model in f->out, in the trainer's floats and where its file has it. */
static void compare_frozen(struct fixture *f, const char *name)
{
    const struct lora lora = {.rank = 4, .alpha = 8.0f, .targets = LORA_ALL};
    struct err e;
    struct rng rng;
    struct train_shape s;
    struct train_params p;
    struct gguf *g = open_imported(f, f->out, &s);
    struct frozen_model *frozen = frozen_create(g, &s, &e);
    assert_non_null(frozen);
    size_t n = lora_param_count(&s, &lora);
    float *adapter = calloc(n, sizeof(float)), *ours = calloc(n, sizeof(float)),
          *theirs = calloc(n, sizeof(float));
    rng_seed(&rng, 21);
    for (size_t i = 0; i < n; i++) {
        adapter[i] = 0.1f * rng_normal(&rng);
    }
    train_params_bind(&p, &s, f->again);
    double expected = adapter_gradients(&s, &p, &lora, adapter, ours);
    double loss = adapter_gradients(&s, frozen_params(frozen), &lora, adapter, theirs);
    double worst = 0.0, largest = 0.0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)ours[i] - (double)theirs[i]));
        largest = fmax(largest, fabs((double)ours[i]));
    }
    print_message("%-8s loss %.4f, largest gradient %.2f, difference %.1e\n", name, loss,
                  largest, worst);
    assert_true(fabs(loss - expected) < 1e-5 * expected);
    assert_true(largest > 0.1 && worst < 1e-5 * largest);
    free(adapter);
    free(ours);
    free(theirs);
    frozen_destroy(frozen);
    gguf_close(g);
}

static void a_frozen_model_computes_the_same_where_its_file_has_it(void **state)
{
    struct fixture *f = *state;
    const uint32_t types[] = {TENSOR_F32, TENSOR_F16, TENSOR_Q8_0};
    for (size_t i = 0; i < SAMPLES; i++) {
        struct err e;
        struct train_shape s;
        write_sample(f, &samples[i], NULL, NULL);
        struct gguf *g = open_imported(f, f->path, &s);
        assert_int_equal(export_like(g, &s, f->again, types[i % 3], NULL, f->out, &e), 0);
        gguf_close(g);
        compare_frozen(f, samples[i].name);
        forget_sample(f);
    }
}

static void expect_refused(const struct fixture *f, uint32_t context, const char *words)
{
    struct err e = {0};
    struct train_shape s;
    struct gguf *g = import_open(f->path, &e);
    assert_non_null(g);
    int rc = import_shape(g, context, &s, &e);
    if (rc == 0) {
        assert_null(frozen_create(g, &s, &e));
        rc = import_params(g, &s, f->again, &e);
    }
    assert_int_equal(rc, -1);
    if (!strstr(e.message, words)) {
        fail_msg("\"%s\" does not say \"%s\"", e.message, words);
    }
    gguf_close(g);
}

static void what_cannot_be_trained_is_refused_by_name(void **state)
{
    struct fixture *f = *state;
    struct sample gemma = samples[0], olmo = samples[0], granite = samples[0];
    gemma.arch = "gemma2";
    write_sample(f, &gemma, NULL, NULL);
    expect_refused(f, 0, "\"gemma2\" has norms behind attention");
    forget_sample(f);
    olmo.arch = "gpt2";
    write_sample(f, &olmo, NULL, NULL);
    expect_refused(f, 0, "gpt2");
    forget_sample(f);
    granite.arch = "mamba";
    write_sample(f, &granite, NULL, NULL);
    expect_refused(f, 0, "\"mamba\" is not supported");
    forget_sample(f);
}

static void files_that_do_not_fit_are_refused_by_tensor(void **state)
{
    struct fixture *f = *state;
    write_sample(f, &samples[0], "blk.2.ffn_up.weight", NULL);
    expect_refused(f, 0, "tensor \"blk.2.ffn_up.weight\" is missing");
    forget_sample(f);
    write_sample(f, &samples[0], NULL, "blk.2.attn_sinks");
    expect_refused(f, 0, "tensor \"blk.2.attn_sinks\" is nothing the trainer knows");
    forget_sample(f);
    write_sample(f, &samples[0], "blk.1.attn_norm.weight", "blk.1.attn_norm.weight");
    expect_refused(f, 0, "\"blk.1.attn_norm.weight\" is 4 by 1, 64 by 1 is expected");
    forget_sample(f);
}

static void a_context_beyond_the_model_s_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct train_shape s;
    write_sample(f, &samples[0], NULL, NULL);
    expect_refused(f, 4 * CONTEXT + 1, "context is 257");
    struct gguf *g = import_open(f->path, &e);
    assert_int_equal(import_shape(g, 0, &s, &e), 0);
    assert_int_equal(s.context, 4 * CONTEXT);
    gguf_close(g);
    forget_sample(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(weights_and_shape_come_in_as_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(logits_are_those_of_the_serving_step, setup, teardown),
        cmocka_unit_test_setup_teardown(an_export_in_f32_is_the_same_model, setup, teardown),
        cmocka_unit_test_setup_teardown(smaller_types_keep_what_they_can, setup, teardown),
        cmocka_unit_test_setup_teardown(a_frozen_model_computes_the_same_where_its_file_has_it,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_trained_is_refused_by_name, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(files_that_do_not_fit_are_refused_by_tensor, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_context_beyond_the_model_s_is_refused, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
