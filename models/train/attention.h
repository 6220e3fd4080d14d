/* attention.h: causal attention inside each document, forward and backward.
 *
 * Works through blocks of queries, so that the scores of a block stay in cache and what lies in
 * the future is mostly not computed. The way back recomputes probabilities from the saved
 * log-sum-exp instead of keeping them (Dao 2022). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "models/train/shape.h"

#define ATTENTION_BLOCK 64 /* queries at a time */

struct attention_scratch {
    size_t stride;  /* shape.context rounded up to 16 */
    float *scores;  /* (ATTENTION_BLOCK, stride) */
    float *dscores; /* (ATTENTION_BLOCK, stride) */
};

/* One document of n tokens. qkv (n, qkv_dim) with angles applied; out (n, q_dim) is
 * written, and lse (n, n_heads). */
void train_attention_forward(float *out, float *lse, const float *qkv, size_t n,
                             const struct train_shape *s,
                             const struct attention_scratch *scratch);

/* dqkv (n, qkv_dim) is written from dout (n, q_dim). */
void train_attention_backward(float *dqkv, const float *dout, const float *out,
                              const float *lse, const float *qkv, size_t n,
                              const struct train_shape *s,
                              const struct attention_scratch *scratch);
