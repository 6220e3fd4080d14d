/* block.h: one layer of the transformer: attention and feed-forward network, forward and
 * backward side by side. Private to transformer.c.
 *
 * Rows are tokens; n of them. The attention works on all tokens of a slice; what stands behind
 * it works on any rows. Layers: Touvron et al. 2023; biases of queries, keys and values as in
 * Qwen 2, norms of heads as in Qwen 3.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "models/train/attention.h"
#include "models/train/kernels.h"
#include "models/train/linear.h"
#include "models/train/shape.h"
#include "models/train/transformer.h"

/* What the way back needs of one layer. n = max_tokens. */
struct layer_state {
    bool turns;     /* queries and keys are turned by their positions */
    float *input;   /* (n, d_model) residual stream on entry */
    float *rstd1;   /* (n) */
    float *norm1;   /* (n, d_model) */
    float *qkv;     /* (n, qkv_dim), angles applied */
    float *heads;   /* (n, qkv_dim) before norms of heads and angles; with qk_norm alone */
    float *rstd_qk; /* (n, n_heads + n_kv_heads); with qk_norm alone */
    float *lse;     /* (n, n_heads) */
    float *att;     /* (n, q_dim) before the output matrix */
    float *middle;  /* (n, d_model) residual stream after attention */
    float *rstd2;   /* (n) */
    float *norm2;   /* (n, d_model) */
    float *gate_up; /* (n, 2 * ffn) */
    float *act;     /* (n, ffn) */
};

/* What layers share. */
struct block_scratch {
    const struct train_shape *shape;
    const struct train_kernels *kernels;
    float *dstream;  /* (n, d_model) gradient of the residual stream */
    float *dnorm;    /* (n, max(d_model, q_dim)) */
    float *dqkv;     /* (n, qkv_dim) */
    float *dact;     /* (n, ffn) */
    float *dgate_up; /* (n, 2 * ffn) */
    float *row;      /* (qkv_dim) */
    float *angles;   /* (context, 2, head_dim) as the kernels take them */
    float *ignored;  /* (max(d_model, head_dim)) where gradients of frozen norms go */
    struct attention_scratch attention;
    struct linear_scratch linear;
};

/* input -> qkv: norm, projections, angles. */
void block_qkv_forward(struct block_scratch *b, struct layer_state *l,
                       const struct train_layer *w, const struct train_slice *slice);

/* qkv -> att: attention, before the output matrix. */
void block_attention_forward(struct block_scratch *b, struct layer_state *l,
                             const struct train_slice *slice);

/* dnorm: on entry the gradient of att. To dstream is added what comes back to input, unless
 * nobody asks for it. */
void block_attention_backward(struct block_scratch *b, const struct layer_state *l,
                              const struct train_layer *w, const struct train_layer *dw,
                              const struct train_slice *slice, bool wanted);

/* middle (n, d_model) = input + att through the output matrix. */
void block_out_forward(struct block_scratch *b, float *middle, const float *att,
                       const float *input, const struct train_layer *w, size_t n);

/* dstream is the gradient of middle and, for the part that went past the attention, of input;
 * that of att goes to dnorm. */
void block_out_backward(struct block_scratch *b, const float *att, const struct train_layer *w,
                        const struct train_layer *dw, size_t n);

/* middle -> act: silu(gate) * up, before the last matrix. */
void block_ffn_forward(struct block_scratch *b, struct layer_state *l,
                       const struct train_layer *w, size_t n);

/* norm1, norm2 and act of n rows once more, from what they were made of. */
void block_restore(const struct block_scratch *b, struct layer_state *l,
                   const struct train_layer *w, size_t n);

/* act, middle -> output (n, d_model): middle + down(act). */
void block_down_forward(struct block_scratch *b, const struct layer_state *l, float *output,
                        const struct train_layer *w, size_t n);

/* dstream: on entry the gradient of output, on return that of middle. */
void block_ffn_backward(struct block_scratch *b, const struct layer_state *l,
                        const struct train_layer *w, const struct train_layer *dw, size_t n);
