#include "models/train/shape.h"

#include <math.h>
#include <stdio.h>

#include "runtime/base/rng.h"

#define INIT_STD 0.02f
#define ONES     0.0f
#define ZEROS    (-1.0f)

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

static int check_heads(const struct train_shape *s, struct err *e)
{
    uint32_t head_dim = train_shape_head_dim(s);
    if (s->head_dim == 0 && s->d_model % s->n_heads != 0) {
        return err_set_param(e, ERR_INVALID, "heads",
                             "model shape: d_model %u over %u heads is not a whole number",
                             s->d_model, s->n_heads);
    }
    if (head_dim < 2 || head_dim > TRAIN_MAX_HEAD_DIM || head_dim % 2 != 0 ||
        (s->qk_norm && head_dim % 16 != 0)) {
        return err_set_param(e, ERR_INVALID, "heads",
                             "model shape: heads of %u numbers; an even number up to %d is "
                             "needed, and with norms of heads a multiple of 16",
                             head_dim, TRAIN_MAX_HEAD_DIM);
    }
    if (s->n_heads % s->n_kv_heads != 0) {
        return err_set_param(e, ERR_INVALID, "kv_heads",
                             "model shape: %u heads cannot share %u kv_heads evenly",
                             s->n_heads, s->n_kv_heads);
    }
    return 0;
}

static int check_rope(const struct train_shape *s, struct err *e)
{
    bool fine = s->rope_base > 1.0f && s->rope_base < 1e9f && s->norm_eps > 0.0f &&
                s->norm_eps < 1e-2f && s->rope_magnitude >= 0.0f && s->rope_magnitude < 100.0f;
    for (uint32_t i = 0; i < TRAIN_MAX_HEAD_DIM / 2; i++) {
        fine = fine && s->rope_factor[i] >= 0.0f && s->rope_factor[i] < 1e6f;
    }
    return fine ? 0
                : err_set(e, ERR_INVALID,
                          "model shape: rope base, rope scaling or norm epsilon out of range");
}

int train_shape_check(const struct train_shape *s, struct err *e)
{
    return check_range("d_model", s->d_model, 16, 8192, 16, e) ||
                   check_range("layers", s->n_layers, 1, TRAIN_MAX_LAYERS, 1, e) ||
                   check_range("heads", s->n_heads, 1, 256, 1, e) ||
                   check_range("kv_heads", s->n_kv_heads, 1, 256, 1, e) ||
                   check_range("ffn", s->ffn, 16, 65536, 16, e) ||
                   check_range("vocab", s->vocab, 2, 1u << 20, 1, e) ||
                   check_range("context", s->context, 2, 65536, 1, e) || check_heads(s, e) ||
                   check_rope(s, e)
               ? -1
               : 0;
}

uint32_t train_shape_head_dim(const struct train_shape *s)
{
    return s->head_dim > 0 ? s->head_dim : s->d_model / s->n_heads;
}

uint32_t train_shape_q_dim(const struct train_shape *s)
{
    return s->n_heads * train_shape_head_dim(s);
}

uint32_t train_shape_kv_dim(const struct train_shape *s)
{
    return s->n_kv_heads * train_shape_head_dim(s);
}

uint32_t train_shape_qkv_dim(const struct train_shape *s)
{
    return train_shape_q_dim(s) + 2 * train_shape_kv_dim(s);
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
    snprintf(full, sizeof(full), "blk.%u.%s", layer, name);
    list_add(l, full, rows, cols, std);
}

static void list_add_attention(struct tensor_list *l, const struct train_shape *s,
                               uint32_t layer, float residual_std)
{
    uint32_t d = s->d_model, q = train_shape_q_dim(s), kv = train_shape_kv_dim(s);
    list_add_layer(l, layer, "attn_norm.weight", 1, d, ONES);
    list_add_layer(l, layer, "attn_q.weight", q, d, INIT_STD);
    list_add_layer(l, layer, "attn_k.weight", kv, d, INIT_STD);
    list_add_layer(l, layer, "attn_v.weight", kv, d, INIT_STD);
    if (s->qkv_bias) {
        list_add_layer(l, layer, "attn_q.bias", 1, q, ZEROS);
        list_add_layer(l, layer, "attn_k.bias", 1, kv, ZEROS);
        list_add_layer(l, layer, "attn_v.bias", 1, kv, ZEROS);
    }
    if (s->qk_norm) {
        list_add_layer(l, layer, "attn_q_norm.weight", 1, train_shape_head_dim(s), ONES);
        list_add_layer(l, layer, "attn_k_norm.weight", 1, train_shape_head_dim(s), ONES);
    }
    list_add_layer(l, layer, "attn_output.weight", d, q, residual_std);
}

size_t train_shape_tensors(const struct train_shape *s,
                           struct train_tensor out[TRAIN_MAX_TENSORS])
{
    struct tensor_list l = {.items = out};
    uint32_t d = s->d_model;
    /* Radford 2019 (GPT-2): what is added to the residual stream starts smaller in deep models.
     */
    float residual_std = INIT_STD / sqrtf(2.0f * (float)s->n_layers);

    list_add(&l, "token_embd.weight", s->vocab, d, INIT_STD);
    list_add(&l, "output_norm.weight", 1, d, ONES);
    if (s->untied) {
        list_add(&l, "output.weight", s->vocab, d, INIT_STD);
    }
    for (uint32_t i = 0; i < s->n_layers; i++) {
        list_add_attention(&l, s, i, residual_std);
        list_add_layer(&l, i, "ffn_norm.weight", 1, d, ONES);
        list_add_layer(&l, i, "ffn_gate.weight", s->ffn, d, INIT_STD);
        list_add_layer(&l, i, "ffn_up.weight", s->ffn, d, INIT_STD);
        list_add_layer(&l, i, "ffn_down.weight", d, s->ffn, residual_std);
    }
    return l.count;
}

/* Hands out the block's floats in order; with no block only sizes are counted. */
struct cursor {
    float *block;
    size_t used;
};

static float *take(struct cursor *c, size_t count)
{
    float *p = c->block ? c->block + c->used : NULL;
    c->used += count;
    return p;
}

static struct train_linear take_linear(struct cursor *c, uint32_t n_out, uint32_t n_in,
                                       bool has_bias)
{
    struct train_linear l = {.n_in = n_in, .n_out = n_out};
    l.weight = take(c, (size_t)n_out * n_in);
    l.bias = has_bias ? take(c, n_out) : NULL;
    return l;
}

/* In the order of train_shape_tensors. */
static void bind(struct train_params *p, const struct train_shape *s, struct cursor *c)
{
    uint32_t d = s->d_model, q = train_shape_q_dim(s), ffn = s->ffn;
    size_t head_dim = train_shape_head_dim(s);
    p->embed = take(c, (size_t)s->vocab * d);
    p->out_norm = take(c, d);
    p->output = s->untied ? take(c, (size_t)s->vocab * d) : p->embed;
    p->embed_stored = p->output_stored = (struct train_stored){0};
    for (uint32_t i = 0; i < s->n_layers; i++) {
        struct train_layer *l = &p->layers[i];
        l->attn_norm = take(c, d);
        l->qkv = take_linear(c, train_shape_qkv_dim(s), d, s->qkv_bias);
        l->q_norm = s->qk_norm ? take(c, head_dim) : NULL;
        l->k_norm = s->qk_norm ? take(c, head_dim) : NULL;
        l->out = take_linear(c, d, q, false);
        l->ffn_norm = take(c, d);
        l->gate_up = take_linear(c, 2 * ffn, d, false);
        l->down = take_linear(c, d, ffn, false);
    }
}

void train_params_bind(struct train_params *p, const struct train_shape *s, float *block)
{
    bind(p, s, &(struct cursor){.block = block});
}

void train_params_clear(struct train_params *p, const struct train_shape *s)
{
    bind(p, s, &(struct cursor){.block = NULL});
}

size_t train_shape_param_count(const struct train_shape *s)
{
    struct train_params p;
    struct cursor c = {.block = NULL};
    bind(&p, s, &c);
    return c.used;
}

/* What each number of a tensor begins as. */
static float draw(const struct train_tensor *t, struct rng *rng)
{
    if (t->init_std > 0.0f) {
        return t->init_std * rng_normal(rng);
    }
    return t->init_std < 0.0f ? 0.0f : 1.0f;
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
            block[t->offset + j] = draw(t, &rng);
        }
    }
}
