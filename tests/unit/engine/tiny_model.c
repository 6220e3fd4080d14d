#include "tests/unit/engine/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
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

struct weights {
    struct gguf_writer *out;
    float *next; /* unused numbers of the pool */
};

static size_t pool_numbers(void)
{
    size_t layer = 2 * WIDTH + 2 * WIDTH * WIDTH + 2 * WIDTH * KV_WIDTH + 3 * WIDTH * FFN;
    return SMALL_VOCAB_SIZE * WIDTH + LAYERS * layer + WIDTH;
}

/* One row is a norm. */
static void add(struct weights *w, struct rng *rng, const char *name, size_t rows, size_t width)
{
    float *data = w->next;
    w->next += rows * width;
    for (size_t i = 0; i < rows * width; i++) {
        data[i] = rows == 1 ? 1.0f : 0.3f * rng_normal(rng);
    }
    gguf_add_tensor(w->out, name, TENSOR_F32, rows == 1 ? 1 : 2, (uint64_t[]){width, rows},
                    data);
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
    struct rng rng;
    rng_seed(&rng, 7);
    add(w, &rng, "token_embd.weight", SMALL_VOCAB_SIZE, WIDTH);
    for (int layer = 0; layer < LAYERS; layer++) {
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            char name[64];
            snprintf(name, sizeof(name), "blk.%d.%s.weight", layer, parts[i].name);
            add(w, &rng, name, parts[i].rows, parts[i].width);
        }
    }
    add(w, &rng, "output_norm.weight", 1, WIDTH);
}

static void put_metadata(struct gguf_writer *w, const struct gguf *vocab)
{
    gguf_put_str(w, "general.architecture", "llama");
    gguf_put_u32(w, "llama.context_length", CONTEXT);
    gguf_put_u32(w, "llama.embedding_length", WIDTH);
    gguf_put_u32(w, "llama.block_count", LAYERS);
    gguf_put_u32(w, "llama.feed_forward_length", FFN);
    gguf_put_u32(w, "llama.attention.head_count", HEADS);
    gguf_put_u32(w, "llama.attention.head_count_kv", HEADS * KV_WIDTH / WIDTH);
    gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_put_copies(w, vocab, "tokenizer.");
}

struct model *tiny_model_open(void)
{
    char path[64];
    struct err e = {0};
    struct gguf *vocab = small_vocab_open();
    float *pool = test_malloc(pool_numbers() * sizeof(float));
    struct weights w = {.out = gguf_writer_create(&e), .next = pool};

    snprintf(path, sizeof(path), "/tmp/weir-test-model-%ld.gguf", (long)getpid());
    assert_non_null(w.out);
    put_metadata(w.out, vocab);
    add_tensors(&w);
    if (gguf_writer_write(w.out, path, &e) != 0) {
        fail_msg("%s", e.message);
    }
    struct model *m = model_open(path, MODEL_HASHED, &parallel_none, &e);
    unlink(path);
    if (!m) {
        fail_msg("%s", e.message);
    }
    gguf_writer_destroy(w.out);
    gguf_close(vocab);
    test_free(pool);
    return m;
}
