/* lora.h: low-rank adapters of a model in training: which pairs there are, where each lies in
 * the adapter's block of floats, and merging them into the weights.
 *
 * The block is laid out as train_shape lays out parameters: its tensors, gradients and both
 * moments share offsets. Names are those of adapter files, "blk.3.attn_q.weight.lora_a" (rank,
 * n_in) and ".lora_b" (n_out, rank). To train an adapter alone:
 *
 *     train_params_bind(&params, shape, base);       lora_bind(&params, shape, &lora, adapter);
 *     train_params_clear(&grads, shape);             lora_bind(&grads, shape, &lora, dadapter);
 *     transformer_gradients(m, &params, &grads, slice, scale);
 *
 * Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "models/train/shape.h"
#include "runtime/base/err.h"

/* Matrices that may have a pair, as bits. */
enum lora_target {
    LORA_Q = 1,
    LORA_K = 2,
    LORA_V = 4,
    LORA_OUT = 8,
    LORA_GATE = 16,
    LORA_UP = 32,
    LORA_DOWN = 64,
    LORA_ATTENTION = 15,
    LORA_ALL = 127,
};

/* Tensors of an adapter, at most; not more than TRAIN_MAX_TENSORS. */
#define LORA_MAX_TENSORS (TRAIN_MAX_LAYERS * 7 * 2)

struct lora {
    uint32_t rank;    /* 1..TRAIN_MAX_RANK */
    float alpha;      /* what a pair adds is multiplied by alpha / rank */
    float dropout;    /* 0 up to below 1 */
    uint32_t targets; /* of enum lora_target, at least one */
};

/* Refuses what is out of range; the message names the field. */
int lora_check(const struct lora *lora, struct err *e);

/* Reads names with commas between: "q,k,v,out,gate,up,down", "attention" or "all"; the names
 * that others give them ("q_proj", "attn_q", "o_proj" ...) are known too. */
int lora_parse_targets(const char *text, uint32_t *targets, struct err *e);

/* Fills out[0..count) in the order of the block and returns the count. */
size_t lora_tensors(const struct train_shape *s, const struct lora *lora,
                    struct train_tensor out[LORA_MAX_TENSORS]);

/* Floats in the block. */
size_t lora_param_count(const struct train_shape *s, const struct lora *lora);

/* Puts the block's pairs beside the matrices of p, which train_params_bind or
 * train_params_clear has filled. */
void lora_bind(struct train_params *p, const struct train_shape *s, const struct lora *lora,
               float *block);

/* The seeded start: A uniform in +-1/sqrt(n_in), B zero, so that the model is at first the one
 * that it was. */
void lora_init(const struct train_shape *s, const struct lora *lora, float *block,
               uint64_t seed);

/* params: a model's block. The adapter is only read. W += alpha / rank * B A for each pair. */
void lora_merge(const struct train_shape *s, const struct lora *lora, float *block,
                float *params);
