#include "models/train/block.h"

#include <string.h>

/* x (n, width) -> out; where there is no gradient of the norm's weight it goes nowhere. */
static void norm_backward(const struct block_scratch *b, float *dweight, const float *dout,
                          const float *x, const float *weight, const float *rstd, size_t n)
{
    b->kernels->rmsnorm_backward(b->dstream, dweight ? dweight : b->ignored, dout, x, weight,
                                 rstd, n, b->shape->d_model);
}

/* Norms of heads: qkv (n, qkv_dim) becomes normalised, heads keeps what it was. */
static void heads_forward(const struct block_scratch *b, struct layer_state *l,
                          const struct train_layer *w, size_t n)
{
    const struct train_shape *s = b->shape;
    size_t wide = train_shape_qkv_dim(s), q = train_shape_q_dim(s),
           head_dim = train_shape_head_dim(s), heads = (size_t)s->n_heads + s->n_kv_heads;
    memcpy(l->heads, l->qkv, n * wide * sizeof(float));
    for (size_t t = 0; t < n; t++) {
        const float *from = l->heads + t * wide;
        float *to = l->qkv + t * wide, *rstd = l->rstd_qk + t * heads;
        b->kernels->rmsnorm_forward(to, rstd, from, w->q_norm, s->n_heads, head_dim,
                                    s->norm_eps);
        b->kernels->rmsnorm_forward(to + q, rstd + s->n_heads, from + q, w->k_norm,
                                    s->n_kv_heads, head_dim, s->norm_eps);
    }
}

/* dqkv: the gradient of normalised heads becomes that of heads. */
static void heads_backward(const struct block_scratch *b, const struct layer_state *l,
                           const struct train_layer *w, const struct train_layer *dw, size_t n)
{
    const struct train_shape *s = b->shape;
    size_t wide = train_shape_qkv_dim(s), q = train_shape_q_dim(s), kv = train_shape_kv_dim(s),
           head_dim = train_shape_head_dim(s), heads = (size_t)s->n_heads + s->n_kv_heads;
    float *dq = dw->q_norm ? dw->q_norm : b->ignored,
          *dk = dw->k_norm ? dw->k_norm : b->ignored;
    for (size_t t = 0; t < n; t++) {
        const float *x = l->heads + t * wide, *rstd = l->rstd_qk + t * heads;
        float *dx = b->dqkv + t * wide;
        memcpy(b->row, dx, (q + kv) * sizeof(float));
        memset(dx, 0, (q + kv) * sizeof(float));
        b->kernels->rmsnorm_backward(dx, dq, b->row, x, w->q_norm, rstd, s->n_heads, head_dim);
        b->kernels->rmsnorm_backward(dx + q, dk, b->row + q, x + q, w->k_norm,
                                     rstd + s->n_heads, s->n_kv_heads, head_dim);
    }
}

/* Turns queries and keys by their positions, or back: direction 1 or -1. */
static void turn(const struct block_scratch *b, float *qkv, const struct train_slice *slice,
                 float direction)
{
    const struct train_shape *s = b->shape;
    size_t heads = (size_t)s->n_heads + s->n_kv_heads;
    (s->rope_halves ? b->kernels->rope_halves : b->kernels->rope)(
        qkv, slice->n_tokens, train_shape_qkv_dim(s), heads, train_shape_head_dim(s), b->angles,
        slice->positions, direction);
}

void block_qkv_forward(struct block_scratch *b, struct layer_state *l,
                       const struct train_layer *w, const struct train_slice *slice)
{
    const struct train_shape *s = b->shape;
    size_t n = slice->n_tokens, d = s->d_model;
    b->kernels->rmsnorm_forward(l->norm1, l->rstd1, l->input, w->attn_norm, n, d, s->norm_eps);
    train_linear_forward(l->qkv, l->norm1, &w->qkv, n, &b->linear);
    if (s->qk_norm) {
        heads_forward(b, l, w, n);
    }
    if (l->turns) {
        turn(b, l->qkv, slice, 1.0f);
    }
}

void block_attention_forward(struct block_scratch *b, struct layer_state *l,
                             const struct train_slice *slice)
{
    const struct train_shape *s = b->shape;
    size_t wide = train_shape_qkv_dim(s);
    for (uint32_t doc = 0, begin = 0; doc < slice->n_docs; begin = slice->doc_ends[doc++]) {
        train_attention_forward(l->att + begin * (size_t)train_shape_q_dim(s),
                                l->lse + begin * (size_t)s->n_heads, l->qkv + begin * wide,
                                slice->doc_ends[doc] - begin, s, &b->attention);
    }
}

void block_attention_backward(struct block_scratch *b, const struct layer_state *l,
                              const struct train_layer *w, const struct train_layer *dw,
                              const struct train_slice *slice, bool wanted)
{
    const struct train_shape *s = b->shape;
    size_t n = slice->n_tokens, wide = train_shape_qkv_dim(s), q = train_shape_q_dim(s);
    for (uint32_t doc = 0, begin = 0; doc < slice->n_docs; begin = slice->doc_ends[doc++]) {
        train_attention_backward(b->dqkv + begin * wide, b->dnorm + begin * q,
                                 l->att + begin * q, l->lse + begin * (size_t)s->n_heads,
                                 l->qkv + begin * wide, slice->doc_ends[doc] - begin, s,
                                 &b->attention);
    }
    if (l->turns) {
        turn(b, b->dqkv, slice, -1.0f);
    }
    if (s->qk_norm) {
        heads_backward(b, l, w, dw, n);
    }
    train_linear_backward(wanted ? b->dnorm : NULL, &dw->qkv, b->dqkv, l->norm1, &w->qkv, n,
                          &b->linear);
    if (wanted) {
        norm_backward(b, dw->attn_norm, b->dnorm, l->input, w->attn_norm, l->rstd1, n);
    }
}

void block_out_forward(struct block_scratch *b, float *middle, const float *att,
                       const float *input, const struct train_layer *w, size_t n)
{
    train_linear_forward(middle, att, &w->out, n, &b->linear);
    b->kernels->add(middle, input, n * b->shape->d_model);
}

void block_out_backward(struct block_scratch *b, const float *att, const struct train_layer *w,
                        const struct train_layer *dw, size_t n)
{
    train_linear_backward(b->dnorm, &dw->out, b->dstream, att, &w->out, n, &b->linear);
}

void block_ffn_forward(struct block_scratch *b, struct layer_state *l,
                       const struct train_layer *w, size_t n)
{
    const struct train_shape *s = b->shape;
    b->kernels->rmsnorm_forward(l->norm2, l->rstd2, l->middle, w->ffn_norm, n, s->d_model,
                                s->norm_eps);
    train_linear_forward(l->gate_up, l->norm2, &w->gate_up, n, &b->linear);
    b->kernels->swiglu_forward(l->act, l->gate_up, n, s->ffn);
}

void block_restore(const struct block_scratch *b, struct layer_state *l,
                   const struct train_layer *w, size_t n)
{
    const struct train_shape *s = b->shape;
    b->kernels->rmsnorm_forward(l->norm1, l->rstd1, l->input, w->attn_norm, n, s->d_model,
                                s->norm_eps);
    b->kernels->rmsnorm_forward(l->norm2, l->rstd2, l->middle, w->ffn_norm, n, s->d_model,
                                s->norm_eps);
    b->kernels->swiglu_forward(l->act, l->gate_up, n, s->ffn);
}

void block_down_forward(struct block_scratch *b, const struct layer_state *l, float *output,
                        const struct train_layer *w, size_t n)
{
    train_linear_forward(output, l->act, &w->down, n, &b->linear);
    b->kernels->add(output, l->middle, n * b->shape->d_model);
}

void block_ffn_backward(struct block_scratch *b, const struct layer_state *l,
                        const struct train_layer *w, const struct train_layer *dw, size_t n)
{
    train_linear_backward(b->dact, &dw->down, b->dstream, l->act, &w->down, n, &b->linear);
    b->kernels->swiglu_backward(b->dgate_up, b->dact, l->gate_up, n, b->shape->ffn);
    train_linear_backward(b->dnorm, &dw->gate_up, b->dgate_up, l->norm2, &w->gate_up, n,
                          &b->linear);
    norm_backward(b, dw->ffn_norm, b->dnorm, l->middle, w->ffn_norm, l->rstd2, n);
}
