#include "models/train/frozen.h"

#include <stdio.h>

#include "models/train/import.h"
#include "runtime/base/mem.h"

struct frozen_model {
    struct train_params params;
    float *small; /* norms and biases, one block */
};

struct loader {
    const struct gguf *g;
    float *small; /* what is left of the block */
    float *row;   /* (longest row) for checking */
    struct err *e;
    bool failed;
};

static struct train_tensor tensor_of(int layer, const char *name, uint32_t rows, uint32_t cols)
{
    struct train_tensor t = {.rows = rows, .cols = cols};
    if (layer < 0) {
        snprintf(t.name, sizeof(t.name), "%s", name);
    } else {
        snprintf(t.name, sizeof(t.name), "blk.%d.%s", layer, name);
    }
    return t;
}

/* A norm or a bias, copied. */
static float *load_vector(struct loader *l, int layer, const char *name, uint32_t n)
{
    struct train_tensor want = tensor_of(layer, name, 1, n);
    float *out = l->small;
    l->failed = l->failed || import_tensor(l->g, &want, out, l->e);
    l->small += n;
    return out;
}

/* A matrix, where it is. Its numbers are looked at once. */
static struct train_stored load_matrix(struct loader *l, int layer, const char *name,
                                       uint32_t rows, uint32_t cols)
{
    struct train_tensor want = tensor_of(layer, name, rows, cols);
    const struct gguf_tensor *t = l->failed ? NULL : import_find(l->g, &want, l->e);
    l->failed = !t || import_scan(l->g, &want, l->row, l->e);
    struct train_stored stored = {0};
    if (!l->failed) {
        stored = (struct train_stored){.type = t->type, .rows = rows, .data = t->data};
    }
    return stored;
}

static void load_attention(struct loader *l, const struct train_shape *s, int i,
                           struct train_layer *to)
{
    uint32_t d = s->d_model, q = train_shape_q_dim(s), kv = train_shape_kv_dim(s);
    to->attn_norm = load_vector(l, i, "attn_norm.weight", d);
    to->qkv.stored[0] = load_matrix(l, i, "attn_q.weight", q, d);
    to->qkv.stored[1] = load_matrix(l, i, "attn_k.weight", kv, d);
    to->qkv.stored[2] = load_matrix(l, i, "attn_v.weight", kv, d);
    if (s->qkv_bias) {
        to->qkv.bias = load_vector(l, i, "attn_q.bias", q);
        load_vector(l, i, "attn_k.bias", kv);
        load_vector(l, i, "attn_v.bias", kv);
    }
    if (s->qk_norm) {
        to->q_norm = load_vector(l, i, "attn_q_norm.weight", train_shape_head_dim(s));
        to->k_norm = load_vector(l, i, "attn_k_norm.weight", train_shape_head_dim(s));
    }
    to->out.stored[0] = load_matrix(l, i, "attn_output.weight", d, q);
}

static void load_all(struct loader *l, const struct train_shape *s, struct train_params *p)
{
    uint32_t d = s->d_model;
    train_params_clear(p, s);
    p->embed_stored = load_matrix(l, -1, "token_embd.weight", s->vocab, d);
    p->out_norm = load_vector(l, -1, "output_norm.weight", d);
    p->output_stored =
        s->untied ? load_matrix(l, -1, "output.weight", s->vocab, d) : p->embed_stored;
    for (uint32_t i = 0; i < s->n_layers && !l->failed; i++) {
        struct train_layer *to = &p->layers[i];
        load_attention(l, s, (int)i, to);
        to->ffn_norm = load_vector(l, (int)i, "ffn_norm.weight", d);
        to->gate_up.stored[0] = load_matrix(l, (int)i, "ffn_gate.weight", s->ffn, d);
        to->gate_up.stored[1] = load_matrix(l, (int)i, "ffn_up.weight", s->ffn, d);
        to->down.stored[0] = load_matrix(l, (int)i, "ffn_down.weight", d, s->ffn);
    }
}

/* Floats of all vectors, and the longest row of all. */
static size_t count_small(const struct train_shape *s, uint32_t *longest)
{
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    size_t count = train_shape_tensors(s, tensors), small = 0;
    *longest = 0;
    for (size_t i = 0; i < count; i++) {
        small += tensors[i].rows == 1 ? tensors[i].cols : 0;
        *longest = tensors[i].cols > *longest ? tensors[i].cols : *longest;
    }
    return small;
}

struct frozen_model *frozen_create(const struct gguf *g, const struct train_shape *s,
                                   struct err *e)
{
    uint32_t longest;
    size_t small = count_small(s, &longest);
    if (import_check(g, s, e)) {
        return NULL;
    }
    struct frozen_model *f = mem_zalloc(sizeof(*f));
    float *row = mem_array(longest, sizeof(*row));
    if (f) {
        f->small = mem_array(small, sizeof(*f->small));
    }
    if (!f || !row || !f->small) {
        err_nomem(e);
        mem_free(row);
        frozen_destroy(f);
        return NULL;
    }
    struct loader l = {.g = g, .small = f->small, .row = row, .e = e};
    load_all(&l, s, &f->params);
    mem_free(row);
    if (l.failed || gguf_check_whole(g, e)) {
        frozen_destroy(f);
        return NULL;
    }
    return f;
}

void frozen_destroy(struct frozen_model *f)
{
    if (f) {
        mem_free(f->small);
        mem_free(f);
    }
}

const struct train_params *frozen_params(const struct frozen_model *f)
{
    return &f->params;
}
