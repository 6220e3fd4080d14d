/* shape.h: the sizes of a model in training, and where each of its tensors lies.
 *
 * All parameters live in one block of floats, in the order of train_shape_tensors. So do
 * gradients and both moments of the optimizer, which is why one offset serves all four. Query,
 * key and value matrices of a layer are neighbours, as are gate and up, so that each group is
 * one matrix product.
 *
 * Tensor names are those of a GGUF file of architecture "llama".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"

#define TRAIN_MAX_LAYERS        64
#define TRAIN_TENSORS_PER_LAYER 9
#define TRAIN_MAX_TENSORS       (2 + TRAIN_MAX_LAYERS * TRAIN_TENSORS_PER_LAYER)

struct train_shape {
    uint32_t d_model;  /* multiple of 16, of n_heads */
    uint32_t n_layers; /* 1..TRAIN_MAX_LAYERS */
    uint32_t n_heads;  /* multiple of n_kv_heads; head_dim = d_model / n_heads is even */
    uint32_t n_kv_heads;
    uint32_t ffn;     /* multiple of 16 */
    uint32_t vocab;   /* multiple of 16 */
    uint32_t context; /* longest document, tokens */
    float rope_base;  /* 10000 */
    float norm_eps;   /* 1e-5 */
};

struct train_tensor {
    char name[48];  /* "blk.3.ffn_up.weight" */
    size_t offset;  /* floats from the beginning of the block */
    uint32_t rows;  /* 1 for a norm */
    uint32_t cols;  /* innermost */
    float init_std; /* standard deviation of the seeded start; 0: all ones */
};

/* Pointers into one block (parameters or their gradients). Matrices are (outputs, inputs). */
struct train_layer {
    float *attn_norm; /* (d_model) */
    float *qkv;       /* (d_model + 2 * kv_dim, d_model): query rows, then key, then value */
    float *attn_out;  /* (d_model, d_model) */
    float *ffn_norm;  /* (d_model) */
    float *gate_up;   /* (2 * ffn, d_model): gate rows, then up */
    float *down;      /* (d_model, ffn) */
};

struct train_params {
    float *embed;    /* (vocab, d_model); also the output matrix */
    float *out_norm; /* (d_model) */
    struct train_layer layers[TRAIN_MAX_LAYERS];
};

/* Refuses sizes that are out of range or do not divide; the message names the field. */
int train_shape_check(const struct train_shape *s, struct err *e);

uint32_t train_shape_head_dim(const struct train_shape *s);
uint32_t train_shape_kv_dim(const struct train_shape *s); /* n_kv_heads * head_dim */

/* Fills out[0..count) and returns the count. */
size_t train_shape_tensors(const struct train_shape *s,
                           struct train_tensor out[TRAIN_MAX_TENSORS]);

/* Floats in one block. */
size_t train_shape_param_count(const struct train_shape *s);

void train_params_bind(struct train_params *p, const struct train_shape *s, float *block);

/* The seeded start: normal with each tensor's init_std; norms are ones. */
void train_params_init(const struct train_shape *s, float *block, uint64_t seed);
