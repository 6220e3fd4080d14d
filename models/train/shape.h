/* shape.h: the sizes of a model in training, and where each of its tensors lies.
 *
 * All parameters live in one block of floats, in the order of train_shape_tensors. So do
 * gradients and both moments of the optimizer, which is why one offset serves all four. Query,
 * key and value matrices of a layer are neighbours, as are gate and up, so that each group is
 * one matrix product.
 *
 * Names of tensors and the order of their rows are those of the model's GGUF file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/train/linear.h"
#include "runtime/base/err.h"

#define TRAIN_MAX_LAYERS        64
#define TRAIN_MAX_HEAD_DIM      256
#define TRAIN_TENSORS_PER_LAYER 14
#define TRAIN_MAX_TENSORS       (3 + TRAIN_MAX_LAYERS * TRAIN_TENSORS_PER_LAYER)

/* Zero in the fields from head_dim on is a plain llama. Without padding, so that shapes can be
 * compared byte by byte. */
struct train_shape {
    uint32_t d_model;  /* multiple of 16 */
    uint32_t n_layers; /* 1..TRAIN_MAX_LAYERS */
    uint32_t n_heads;  /* multiple of n_kv_heads */
    uint32_t n_kv_heads;
    uint32_t ffn; /* multiple of 16 */
    uint32_t vocab;
    uint32_t context;        /* longest document, tokens */
    float rope_base;         /* 10000 */
    float norm_eps;          /* 1e-5 */
    uint32_t head_dim;       /* 0: d_model / n_heads; even, with qk_norm a multiple of 16 */
    bool rope_halves;        /* i and i + head_dim / 2 are turned together, not 2i and 2i + 1 */
    bool qkv_bias;           /* queries, keys and values have biases (Qwen 2) */
    bool qk_norm;            /* heads are normalised before they are turned (Qwen 3) */
    bool untied;             /* the output matrix is not the embedding */
    uint32_t no_rope_period; /* of so many layers the last one does not turn; 0: all do */
    float rope_magnitude;    /* of what is turned (YaRN); 0: 1 */
    float rope_factor[TRAIN_MAX_HEAD_DIM / 2]; /* (head_dim / 2) angles are divided by it, each
                                                  0 stands for 1: linear, Llama 3, YaRN */
};

struct train_tensor {
    char name[48];  /* "blk.3.ffn_up.weight" */
    size_t offset;  /* floats from the beginning of the block */
    uint32_t rows;  /* 1 for a norm */
    uint32_t cols;  /* innermost */
    float init_std; /* standard deviation of the seeded start; 0: all ones (norms), less than 0:
                       all zeros (biases) */
};

/* Pointers into one block (parameters or their gradients). NULL is what a model does not have,
 * and among gradients what is frozen. */
struct train_layer {
    float *attn_norm;            /* (d_model) */
    struct train_linear qkv;     /* d_model -> query rows, then key, then value */
    float *q_norm, *k_norm;      /* (head_dim) */
    struct train_linear out;     /* n_heads * head_dim -> d_model */
    float *ffn_norm;             /* (d_model) */
    struct train_linear gate_up; /* d_model -> gate rows, then up */
    struct train_linear down;    /* ffn -> d_model */
};

struct train_params {
    float *embed;  /* (vocab, d_model), or NULL: stored or frozen */
    float *output; /* (vocab, d_model); embed where they are tied */
    struct train_stored embed_stored, output_stored; /* the same where they are NULL */
    float *out_norm;                                 /* (d_model) */
    struct train_layer layers[TRAIN_MAX_LAYERS];
};

/* Refuses sizes that are out of range or do not divide; the message names the field. */
int train_shape_check(const struct train_shape *s, struct err *e);

uint32_t train_shape_head_dim(const struct train_shape *s);
uint32_t train_shape_q_dim(const struct train_shape *s);   /* n_heads * head_dim */
uint32_t train_shape_kv_dim(const struct train_shape *s);  /* n_kv_heads * head_dim */
uint32_t train_shape_qkv_dim(const struct train_shape *s); /* q_dim + 2 * kv_dim */

/* Fills out[0..count) and returns the count. */
size_t train_shape_tensors(const struct train_shape *s,
                           struct train_tensor out[TRAIN_MAX_TENSORS]);

/* Floats in one block. */
size_t train_shape_param_count(const struct train_shape *s);

void train_params_bind(struct train_params *p, const struct train_shape *s, float *block);

/* Describes a frozen or an absent block: no pointers, only sizes. For the gradients of a model
 * whose adapter alone is trained (lora.h). */
void train_params_clear(struct train_params *p, const struct train_shape *s);

/* The seeded start: normal with each tensor's init_std; norms are ones, biases zeros. */
void train_params_init(const struct train_shape *s, float *block, uint64_t seed);
