/* llama_weights.h: the weights of a llama model, packed for the int8 kernels.
 *
 * Copied out of the file while loading, so the file may change or vanish afterwards. Q8_0
 * tensors keep their int8 values and scales exactly; F32, F16 and BF16 tensors are quantised as
 * Q8_0 is.
 *
 * Ownership: llama_weights_init fills, llama_weights_deinit releases. Immutable in between; any
 * number of threads may read. */
#pragma once

#include "models/arch/llama_config.h"
#include "models/parallel.h"
#include "quant/q8.h"

struct llama_layer {
    const float *attn_norm;   /* (d_model) */
    const float *ffn_norm;    /* (d_model) */
    struct q8_packed qkv;     /* (n_heads + 2 n_kv_heads) * head_dim rows of d_model */
    struct q8_packed out;     /* d_model rows of n_heads * head_dim */
    struct q8_packed gate_up; /* 2 d_ff rows of d_model: gate, then up */
    struct q8_packed down;    /* d_model rows of d_ff */
};

struct llama_weights {
    struct q8_packed embedding; /* vocab rows of d_model */
    struct q8_packed
        output; /* vocab rows of d_model; the embedding's memory if they are tied */
    const float *output_norm;   /* (d_model) */
    struct llama_layer *layers; /* (n_layers) */
    unsigned char *block;       /* all numbers, one allocation */
    size_t block_bytes;
};

/* Every tensor must be there, have the right shape and finite numbers, and no tensor may be
 * left over: a file with biases, experts or RoPE factors is refused rather than run wrongly. */
int llama_weights_init(struct llama_weights *w, const struct llama_config *c,
                       const struct gguf *g, const struct parallel *p, struct err *e);
void llama_weights_deinit(struct llama_weights *w);
