#include "tests/unit/engine/tiny_adapter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/format/tensor_type.h"
#include "runtime/base/rng.h"

#define ALPHA      24.0f
#define FLOATS_MAX ((size_t)1 << 18)

/* Shapes of the tiny model. */
enum { WIDTH = 64, KV_WIDTH = 32, FFN = 96, HEAD_DIM = 16, LAYERS = 2 };

/* From pairs to halves, as tiny_model.c has the base's rows. */
static void part_rows(float *b, size_t rows, size_t rank)
{
    float head[HEAD_DIM * LLAMA_ADAPTER_RANK_MAX];
    for (size_t first = 0; first < rows; first += HEAD_DIM) {
        float *from = b + first * rank;
        for (size_t i = 0; i < HEAD_DIM; i++) {
            size_t to = i % 2 * (HEAD_DIM / 2) + i / 2;
            memcpy(head + to * rank, from + i * rank, rank * sizeof(float));
        }
        memcpy(from, head, HEAD_DIM * rank * sizeof(float));
    }
}

static float *add(struct gguf_writer *w, const char *name, uint32_t type, float *data,
                  size_t rows, size_t width)
{
    size_t row_bytes = (size_t)tensor_type_row_bytes(type, width);
    unsigned char *stored = (unsigned char *)(data + rows * width);
    for (size_t r = 0; r < rows; r++) {
        assert_int_equal(
            tensor_row_from_f32(type, data + r * width, stored + r * row_bytes, width), 0);
    }
    gguf_add_tensor(w, name, type, 2, (uint64_t[]){width, rows}, stored);
    return data + 2 * rows * width + 8;
}

static void add_pairs(struct gguf_writer *w, const struct tiny_adapter *t, float *pool)
{
    static const struct {
        const char *name;
        size_t n_in, n_out;
    } parts[] = {
        {"attn_q", WIDTH, WIDTH},      {"attn_k", WIDTH, KV_WIDTH}, {"attn_v", WIDTH, KV_WIDTH},
        {"attn_output", WIDTH, WIDTH}, {"ffn_gate", WIDTH, FFN},    {"ffn_up", WIDTH, FFN},
        {"ffn_down", FFN, WIDTH},
    };
    struct rng rng;
    rng_seed(&rng, t->seed);
    for (int layer = 0; layer < LAYERS; layer++) {
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            char name[64];
            if (t->only && strcmp(t->only, parts[i].name) != 0) {
                continue;
            }
            float *a = pool;
            for (size_t k = 0; k < t->rank * parts[i].n_in; k++) {
                a[k] = 0.2f * rng_normal(&rng);
            }
            snprintf(name, sizeof(name), "blk.%d.%s.weight.lora_a", layer, parts[i].name);
            float *b = add(w, name, t->type, a, t->rank, parts[i].n_in);
            for (size_t k = 0; k < t->rank * parts[i].n_out; k++) {
                b[k] = 0.2f * rng_normal(&rng);
            }
            if (i < 2 && strcmp(t->arch, "qwen2") == 0) {
                part_rows(b, parts[i].n_out, t->rank);
            }
            snprintf(name, sizeof(name), "blk.%d.%s.weight.lora_b", layer, parts[i].name);
            pool = add(w, name, t->type, b, parts[i].n_out, t->rank);
        }
    }
}

void tiny_adapter_write(const struct tiny_adapter *t, char path[TINY_ADAPTER_PATH_MAX],
                        void (*change)(struct gguf_writer *w))
{
    struct err e = {0};
    struct gguf_writer *w = gguf_writer_create(&e);
    float *pool = test_malloc(FLOATS_MAX * sizeof(float));
    snprintf(path, TINY_ADAPTER_PATH_MAX, "/tmp/weir-test-adapter-%ld.gguf", (long)getpid());
    if (change) {
        change(w);
    }
    gguf_put_str(w, "general.type", "adapter");
    gguf_put_str(w, "general.architecture", t->arch);
    gguf_put_str(w, "adapter.type", "lora");
    gguf_put_f32(w, "adapter.lora.alpha", ALPHA);
    if (t->base_sha256) {
        gguf_put_str(w, "weir.adapter.base_sha256", t->base_sha256);
    }
    add_pairs(w, t, pool);
    if (gguf_writer_write(w, path, &e) != 0) {
        fail_msg("%s", e.message);
    }
    gguf_writer_destroy(w);
    test_free(pool);
}

struct llama_adapter *tiny_adapter_open(const struct tiny_adapter *t, const struct model *m,
                                        float strength)
{
    char path[TINY_ADAPTER_PATH_MAX];
    struct err e = {0};
    tiny_adapter_write(t, path, NULL);
    struct llama_adapter *a = llama_adapter_open(path, &m->config, m->sha256, strength, &e);
    unlink(path);
    if (!a) {
        fail_msg("%s", e.message);
    }
    return a;
}
