#include "models/train/shape.h"

#include <math.h>
#include <stdio.h>

#include "runtime/base/rng.h"

#define INIT_STD 0.02f

struct tensor_list {
    struct train_tensor *items;
    size_t count;
    size_t offset;
};

static int check_range(const char *name, uint32_t value, uint32_t min, uint32_t max,
                       uint32_t step, struct err *e)
{
    if (value < min || value > max || value % step != 0) {
        return err_set_param(e, ERR_INVALID, name,
                             "model shape: %s is %u; it must be a multiple of %u from %u to %u",
                             name, value, step, min, max);
    }
    return 0;
}

int train_shape_check(const struct train_shape *s, struct err *e)
{
    if (check_range("d_model", s->d_model, 16, 8192, 16, e) ||
        check_range("layers", s->n_layers, 1, TRAIN_MAX_LAYERS, 1, e) ||
        check_range("heads", s->n_heads, 1, 256, 1, e) ||
        check_range("kv_heads", s->n_kv_heads, 1, 256, 1, e) ||
        check_range("ffn", s->ffn, 16, 65536, 16, e) ||
        check_range("vocab", s->vocab, 16, 1u << 20, 16, e) ||
        check_range("context", s->context, 2, 65536, 1, e)) {
        return -1;
    }
    if (s->d_model % s->n_heads != 0 || (s->d_model / s->n_heads) % 2 != 0) {
        return err_set_param(
            e, ERR_INVALID, "heads",
            "model shape: d_model %u over %u heads is not an even whole number", s->d_model,
            s->n_heads);
    }
    if (s->n_heads % s->n_kv_heads != 0) {
        return err_set_param(e, ERR_INVALID, "kv_heads",
                             "model shape: %u heads cannot share %u kv_heads evenly",
                             s->n_heads, s->n_kv_heads);
    }
    if (!(s->rope_base > 1.0f && s->rope_base < 1e9f) ||
        !(s->norm_eps > 0.0f && s->norm_eps < 1e-2f)) {
        return err_set(e, ERR_INVALID, "model shape: rope base or norm epsilon out of range");
    }
    return 0;
}

uint32_t train_shape_head_dim(const struct train_shape *s)
{
    return s->d_model / s->n_heads;
}

uint32_t train_shape_kv_dim(const struct train_shape *s)
{
    return s->n_kv_heads * train_shape_head_dim(s);
}

static void list_add(struct tensor_list *l, const char *name, uint32_t rows, uint32_t cols,
                     float std)
{
    struct train_tensor *t = &l->items[l->count++];
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->offset = l->offset;
    t->rows = rows;
    t->cols = cols;
    t->init_std = std;
    l->offset += (size_t)rows * cols;
}

static void list_add_layer(struct tensor_list *l, uint32_t layer, const char *name,
                           uint32_t rows, uint32_t cols, float std)
{
    char full[48];
    snprintf(full, sizeof(full), "blk.%u.%s.weight", layer, name);
    list_add(l, full, rows, cols, std);
}

size_t train_shape_tensors(const struct train_shape *s,
                           struct train_tensor out[TRAIN_MAX_TENSORS])
{
    struct tensor_list l = {.items = out};
    uint32_t d = s->d_model, kv = train_shape_kv_dim(s);
    /* Radford 2019 (GPT-2): what is added to the residual stream starts smaller in deep models.
     */
    float residual_std = INIT_STD / sqrtf(2.0f * (float)s->n_layers);

    list_add(&l, "token_embd.weight", s->vocab, d, INIT_STD);
    list_add(&l, "output_norm.weight", 1, d, 0.0f);
    for (uint32_t i = 0; i < s->n_layers; i++) {
        list_add_layer(&l, i, "attn_norm", 1, d, 0.0f);
        list_add_layer(&l, i, "attn_q", d, d, INIT_STD);
        list_add_layer(&l, i, "attn_k", kv, d, INIT_STD);
        list_add_layer(&l, i, "attn_v", kv, d, INIT_STD);
        list_add_layer(&l, i, "attn_output", d, d, residual_std);
        list_add_layer(&l, i, "ffn_norm", 1, d, 0.0f);
        list_add_layer(&l, i, "ffn_gate", s->ffn, d, INIT_STD);
        list_add_layer(&l, i, "ffn_up", s->ffn, d, INIT_STD);
        list_add_layer(&l, i, "ffn_down", d, s->ffn, residual_std);
    }
    return l.count;
}

size_t train_shape_param_count(const struct train_shape *s)
{
    size_t d = s->d_model;
    size_t layer = 2 * d + (2 * d + 2 * train_shape_kv_dim(s)) * d + 3 * (size_t)s->ffn * d;
    return ((size_t)s->vocab + 1) * d + s->n_layers * layer;
}

void train_params_bind(struct train_params *p, const struct train_shape *s, float *block)
{
    size_t d = s->d_model, kv = train_shape_kv_dim(s), ffn = s->ffn;
    float *at = block;
    p->embed = at;
    at += s->vocab * d;
    p->out_norm = at;
    at += d;
    for (uint32_t i = 0; i < s->n_layers; i++) {
        struct train_layer *l = &p->layers[i];
        l->attn_norm = at;
        at += d;
        l->qkv = at;
        at += (d + 2 * kv) * d;
        l->attn_out = at;
        at += d * d;
        l->ffn_norm = at;
        at += d;
        l->gate_up = at;
        at += 2 * ffn * d;
        l->down = at;
        at += d * ffn;
    }
}

void train_params_init(const struct train_shape *s, float *block, uint64_t seed)
{
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    size_t count = train_shape_tensors(s, tensors);
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < count; i++) {
        const struct train_tensor *t = &tensors[i];
        size_t n = (size_t)t->rows * t->cols;
        for (size_t j = 0; j < n; j++) {
            block[t->offset + j] = t->init_std > 0.0f ? t->init_std * rng_normal(&rng) : 1.0f;
        }
    }
}
