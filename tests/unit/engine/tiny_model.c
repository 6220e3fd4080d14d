#include "tests/unit/engine/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/format/gguf_write.h"
#include "runtime/base/rng.h"
#include "tests/unit/models/small_vocab.h"

#define WIDTH    64
#define LAYERS   2
#define HEADS    4
#define KV_WIDTH 32
#define FFN      96
#define CONTEXT  96

#define HEAD_DIM (WIDTH / HEADS)
#define EXPERTS  6
#define USED     2

enum ffn { DENSE, MIXTURE, SAME_EXPERTS };

struct weights {
    struct gguf_writer *out;
    const char *arch;
    enum ffn ffn;
    float *next; /* unused numbers of the pool */
};

static bool is_qwen2(const struct weights *w)
{
    return strcmp(w->arch, "qwen2") == 0;
}

static size_t pool_numbers(void)
{
    size_t layer = 2 * WIDTH + 2 * WIDTH * WIDTH + 2 * WIDTH * KV_WIDTH + 3 * WIDTH * FFN;
    size_t biases = WIDTH + 2 * KV_WIDTH, experts = EXPERTS * (WIDTH + 3 * WIDTH * FFN);
    return SMALL_VOCAB_SIZE * WIDTH + LAYERS * (layer + biases + experts) + WIDTH;
}

/* One row is a norm. */
static float *fill(struct weights *w, struct rng *rng, size_t rows, size_t width)
{
    float *data = w->next;
    w->next += rows * width;
    for (size_t i = 0; i < rows * width; i++) {
        data[i] = rows == 1 ? 1.0f : 0.3f * rng_normal(rng);
    }
    return data;
}

static void add(struct weights *w, struct rng *rng, const char *name, size_t rows, size_t width)
{
    float *data = fill(w, rng, rows, width);
    gguf_add_tensor(w->out, name, TENSOR_F32, rows == 1 ? 1 : 2, (uint64_t[]){width, rows},
                    data);
}

/* From pairs to halves: of each head first the even rows, then the odd ones. */
static void part_rows(float *data, size_t rows)
{
    float head[HEAD_DIM * WIDTH];
    for (size_t first = 0; first < rows; first += HEAD_DIM) {
        float *from = data + first * WIDTH;
        for (size_t i = 0; i < HEAD_DIM; i++) {
            size_t to = i % 2 * (HEAD_DIM / 2) + i / 2;
            memcpy(head + to * WIDTH, from + i * WIDTH, WIDTH * sizeof(float));
        }
        memcpy(from, head, sizeof(head));
    }
}

static void add_bias(struct weights *w, int layer, const char *part, size_t width)
{
    char name[64];
    snprintf(name, sizeof(name), "blk.%d.%s.bias", layer, part);
    memset(w->next, 0, width * sizeof(float));
    gguf_add_tensor(w->out, name, TENSOR_F32, 1, (uint64_t[]){width}, w->next);
    w->next += width;
}

/* A layer's feed-forward network `data` once for each expert, in SAME_EXPERTS; else networks of
 * their own. */
static void add_experts(struct weights *w, struct rng *rng, int layer, const char *part,
                        const float *data, size_t rows, size_t width)
{
    char name[64];
    float *to = w->next;
    w->next += EXPERTS * rows * width;
    for (size_t i = 0; i < EXPERTS * rows * width; i++) {
        to[i] = w->ffn == SAME_EXPERTS ? data[i % (rows * width)] : 0.3f * rng_normal(rng);
    }
    snprintf(name, sizeof(name), "blk.%d.%s_exps.weight", layer, part);
    gguf_add_tensor(w->out, name, TENSOR_F32, 3, (uint64_t[]){width, rows, EXPERTS}, to);
}

static void add_router(struct weights *w, int layer)
{
    char name[64];
    struct rng rng; /* of its own, so that all other numbers are the same */
    rng_seed(&rng, 100 + (uint64_t)layer);
    snprintf(name, sizeof(name), "blk.%d.ffn_gate_inp.weight", layer);
    add(w, &rng, name, EXPERTS, WIDTH);
}

static void add_tensors(struct weights *w)
{
    static const struct {
        const char *name;
        size_t rows, width;
    } parts[] = {
        {"attn_norm", 1, WIDTH},     {"attn_q", WIDTH, WIDTH},      {"attn_k", KV_WIDTH, WIDTH},
        {"attn_v", KV_WIDTH, WIDTH}, {"attn_output", WIDTH, WIDTH}, {"ffn_norm", 1, WIDTH},
        {"ffn_gate", FFN, WIDTH},    {"ffn_up", FFN, WIDTH},        {"ffn_down", WIDTH, FFN},
    };
    enum { FIRST_FFN = 6 };
    struct rng rng;
    rng_seed(&rng, 7);
    add(w, &rng, "token_embd.weight", SMALL_VOCAB_SIZE, WIDTH);
    for (int layer = 0; layer < LAYERS; layer++) {
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            char name[64];
            snprintf(name, sizeof(name), "blk.%d.%s.weight", layer, parts[i].name);
            float *data = w->next;
            if (w->ffn != DENSE && i >= FIRST_FFN) {
                fill(w, &rng, parts[i].rows, parts[i].width);
                add_experts(w, &rng, layer, parts[i].name, data, parts[i].rows, parts[i].width);
                continue;
            }
            add(w, &rng, name, parts[i].rows, parts[i].width);
            bool turned =
                strcmp(parts[i].name, "attn_q") == 0 || strcmp(parts[i].name, "attn_k") == 0;
            if (turned && is_qwen2(w)) {
                part_rows(data, parts[i].rows);
            }
        }
        if (w->ffn != DENSE) {
            add_router(w, layer);
        }
        if (is_qwen2(w)) {
            add_bias(w, layer, "attn_q", WIDTH);
            add_bias(w, layer, "attn_k", KV_WIDTH);
            add_bias(w, layer, "attn_v", KV_WIDTH);
        }
    }
    add(w, &rng, "output_norm.weight", 1, WIDTH);
}

static void put_size(struct weights *w, const char *key, uint32_t value)
{
    char full[64];
    snprintf(full, sizeof(full), "%s.%s", w->arch, key);
    gguf_put_u32(w->out, full, value);
}

static void put_metadata(struct weights *w, const struct gguf *vocab)
{
    char eps[64];
    snprintf(eps, sizeof(eps), "%s.attention.layer_norm_rms_epsilon", w->arch);
    gguf_put_str(w->out, "general.architecture", w->arch);
    put_size(w, "context_length", CONTEXT);
    put_size(w, "embedding_length", WIDTH);
    put_size(w, "block_count", LAYERS);
    put_size(w, "feed_forward_length", FFN);
    put_size(w, "attention.head_count", HEADS);
    put_size(w, "attention.head_count_kv", KV_WIDTH / HEAD_DIM);
    if (w->ffn != DENSE) {
        put_size(w, "expert_count", EXPERTS);
        put_size(w, "expert_used_count", USED);
    }
    gguf_put_f32(w->out, eps, 1e-5f);
    gguf_put_copies(w->out, vocab, "tokenizer.");
}

static struct model *open_share(const char *arch, enum ffn ffn, enum llama_precision precision,
                                const struct parallel *parallel)
{
    char path[64];
    struct err e = {0};
    struct gguf *vocab = small_vocab_open();
    float *pool = test_malloc(pool_numbers() * sizeof(float));
    struct weights w = {.out = gguf_writer_create(&e), .arch = arch, .ffn = ffn, .next = pool};

    snprintf(path, sizeof(path), "/tmp/weir-test-model-%ld.gguf", (long)getpid());
    assert_non_null(w.out);
    put_metadata(&w, vocab);
    add_tensors(&w);
    if (gguf_writer_write(w.out, path, &e) != 0) {
        fail_msg("%s", e.message);
    }
    struct model *m = precision == LLAMA_INT8 ? model_open(path, MODEL_HASHED, parallel, &e)
                                              : model_open_as(path, precision, parallel, &e);
    unlink(path);
    if (!m) {
        fail_msg("%s", e.message);
    }
    gguf_writer_destroy(w.out);
    gguf_close(vocab);
    test_free(pool);
    return m;
}

static struct model *open_as(const char *arch, enum ffn ffn, enum llama_precision precision)
{
    return open_share(arch, ffn, precision, &parallel_none);
}

struct model *tiny_model_open_share(enum tiny_model kind, const struct parallel *parallel)
{
    switch (kind) {
    case TINY_MODEL:
        break;
    case TINY_MODEL_QWEN2:
        return open_share("qwen2", DENSE, LLAMA_INT8, parallel);
    case TINY_MODEL_F32:
        return open_share("llama", DENSE, LLAMA_F32, parallel);
    case TINY_MODEL_MIXTURE:
        return open_share("llama", MIXTURE, LLAMA_INT8, parallel);
    }
    return open_share("llama", DENSE, LLAMA_INT8, parallel);
}

struct model *tiny_model_open(void)
{
    return open_as("llama", DENSE, LLAMA_INT8);
}

struct model *tiny_model_open_qwen2(void)
{
    return open_as("qwen2", DENSE, LLAMA_INT8);
}

struct model *tiny_model_open_f32(void)
{
    return open_as("llama", DENSE, LLAMA_F32);
}

struct model *tiny_model_open_mixture(void)
{
    return open_as("llama", MIXTURE, LLAMA_INT8);
}

struct model *tiny_model_open_same_experts(void)
{
    return open_as("llama", SAME_EXPERTS, LLAMA_F32);
}
