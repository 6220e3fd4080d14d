/* llama_weights.h: the weights of a llama-shaped model, packed for the int8 kernels.
 *
 * Where an architecture turns the numbers i and i + rope_dims / 2 of a head together, the rows
 * of the query and key matrices, and what belongs to them, are put into the order of pairs
 * while loading: scores are the same, and the step knows one way only.
 *
 * Matrices of an ordinary file are copied out of it while loading, so the file may change or
 * vanish afterwards. Q8_0 tensors keep their int8 values and scales exactly; F32, F16 and BF16
 * tensors are quantised as Q8_0 is, and so are those of fewer bits.
 *
 * A packed file (`weir quantize --type packed`) has the matrices as the kernels want them. They
 * are used where they are mapped: loading copies nothing, and processes that read the same file
 * share its memory. (A server detaches it from its file, models/model.h.) Such a file says so
 * in its metadata,
 *
 *     weir.packed    u32    LLAMA_PACKED_VERSION
 *
 * is aligned to Q8_ALIGN, and has one tensor of type i8 and one dimension for each matrix: the
 * bytes that quant/q8.h describes, under the names token_embd.packed, output.packed,
 * blk.N.attn_qkv.packed, blk.N.attn_output.packed, blk.N.ffn_gate_up.packed,
 * blk.N.ffn_down.packed and, of the expert E, blk.N.ffn_gate_up.E.packed and
 * blk.N.ffn_down.E.packed. All else is as in an ordinary file, as f32.
 *
 * Ownership: llama_weights_init fills, llama_weights_deinit releases. Immutable in between; any
 * number of threads may read. */
#pragma once

#include "models/arch/llama_config.h"
#include "models/arch/llama_matrix.h"
#include "models/format/gguf_write.h"
#include "models/parallel.h"
#include "quant/q8.h"

struct llama_norm {
    const float *weight; /* (width); NULL: there is no norm here */
    const float *bias;   /* (width), of LayerNorm; NULL otherwise */
};

struct llama_linear {
    struct llama_matrix matrix;
    const float *bias; /* (n), or NULL */
};

/* A mixture of experts. */
struct llama_experts {
    const float *router;      /* (n_experts, d_model) */
    const float *shared_gate; /* (d_model): how much of the shared network counts; or NULL */
    struct llama_matrix *gate_up; /* (n_experts) 2 d_ff_expert rows of d_model */
    struct llama_matrix *down;    /* (n_experts) d_model rows of d_ff_expert */
};

struct llama_layer {
    struct llama_norm attn_norm, attn_post_norm, ffn_norm, ffn_post_norm; /* (d_model) */
    struct llama_norm q_norm, k_norm; /* llama_config.qk_norm has the width */
    struct llama_linear qkv;          /* (n_heads + 2 n_kv_heads) * head_dim rows of d_model */
    struct llama_linear out;          /* d_model rows of n_heads * head_dim */
    struct llama_linear
        gate_up;              /* 2 d_ff rows of d_model: gate, then up; d_ff without a gate */
    struct llama_linear down; /* d_model rows of d_ff */
    struct llama_experts experts;
};

struct llama_weights {
    enum llama_precision precision;
    struct llama_matrix embedding; /* vocab rows of d_model */
    struct llama_matrix output;    /* vocab rows of d_model; the embedding's memory if they are
                          tied, and in an    encoder, which has none */
    const float *positions;        /* (context, d_model) learned ones, or NULL */
    const float *token_type;       /* (d_model) of an encoder: every token is of one type */
    struct llama_norm embedding_norm; /* (d_model) of an encoder */
    struct llama_norm output_norm;    /* (d_model) of a decoder */
    struct llama_layer *layers;       /* (n_layers) */
    struct llama_matrix *experts;     /* those of all layers */
    unsigned char *block;             /* all numbers that are copied, one allocation */
    size_t block_bytes;
    bool in_file; /* matrices lie in the gguf, which has to stay open */
};

#define LLAMA_PACKED_VERSION 1

/* Every tensor must be there, have the right shape and finite numbers, and no tensor may be
 * left over: a file with something that is not known here is refused rather than run wrongly.
 * A packed file has int8 alone. */
int llama_weights_init(struct llama_weights *w, const struct llama_config *c,
                       const struct gguf *g, enum llama_precision precision,
                       const struct parallel *p, struct err *e);
void llama_weights_deinit(struct llama_weights *w);

/* Adds all tensors of a packed file, and the metadata that marks it, to `out`, which borrows
 * them. */
void llama_weights_put_packed(const struct llama_weights *w, const struct llama_config *c,
                              struct gguf_writer *out);
