/* llama_adapter.h: a low-rank adapter (LoRA) of a llama-shaped model, read from a file.
 *
 * For a matrix W of the model an adapter has a pair A (rank rows of W's inputs) and B (W's
 * outputs, rank numbers each), and the product becomes
 *
 *     y = W x + scale * B (A x),   scale = strength * alpha / rank
 *
 * W stays as it is, so that rows of one step may have different adapters or none (llama_step.h;
 * quant/ops.h says how the sums go). A and B are float, and so is the x that A gets.
 *
 * Files are those of llama.cpp (convert_lora_to_gguf.py): GGUF with
 *
 *     general.type           "adapter"
 *     general.architecture   that of the base model
 *     adapter.type           "lora"
 *     adapter.lora.alpha     f32; 0: the scale is 1
 *     weir.adapter.base_sha256   64 hex digits, the SHA-256 of the base model's file; optional
 *     weir.adapter.base_name     general.name of the base model; optional
 *
 * and tensors "blk.N.attn_q.weight.lora_a", rank rows of n_in, and ".lora_b", n_out rows of
 * rank, of any type that a model's matrix may have. Rows of queries and keys are in the order
 * in which the base model's file has them. Every tensor must belong to a matrix of the base
 * that all tokens go through: pairs for embeddings, the output matrix, norms or single experts
 * are refused by name.
 *
 * Ownership: llama_adapter_open returns, llama_adapter_close releases. Immutable in between;
 * any number of threads may read. Nothing of the file is needed afterwards.
 *
 * Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/arch/llama_config.h"
#include "models/format/gguf.h"
#include "runtime/base/err.h"
#include "runtime/base/hash.h"

#define LLAMA_ADAPTER_RANK_MAX 256 /* of a pair */

/* The products of a layer, and how many matrices side by side each has at the most. */
#define LLAMA_ADAPTER_PRODUCTS 4
#define LLAMA_ADAPTER_PARTS    3

struct llama_pair {
    size_t rank; /* 0: this matrix has no pair */
    size_t n_in, n_out;
    size_t first;   /* its first output among those of the product */
    float scale;    /* what A x is multiplied by */
    const float *a; /* [rank][n_in] */
    const float *b; /* [n_out / 16][rank][16], as quant/ops.h has it */
};

struct llama_adapter_layer {
    struct llama_pair pairs[LLAMA_ADAPTER_PRODUCTS][LLAMA_ADAPTER_PARTS];
};

struct llama_adapter {
    uint64_t id; /* of this process, never used twice, not 0: keys and values are told by it */
    char sha256[HASH_HEX_LEN + 1];      /* of the file */
    char base_sha256[HASH_HEX_LEN + 1]; /* as the file says, or "" */
    float alpha, strength;
    size_t rank; /* the greatest of all pairs */
    size_t n_pairs;
    uint64_t file_bytes;
    uint64_t parameters;
    struct llama_adapter_layer *layers; /* (n_layers of the base) */
    float *block;                       /* all numbers */
    size_t block_bytes;
};

/* Whether a GGUF file says that it is an adapter. */
bool llama_adapter_is(const struct gguf *g);

/* Reads an adapter for a base model of this shape and checks all of it. base_sha256: of the
 * base model's file; "": not known, then what the adapter says of it is not looked at.
 * strength: finite; 1 is the adapter as it was trained. NULL on failure; the message begins
 * with the path. */
struct llama_adapter *llama_adapter_open(const char *path, const struct llama_config *base,
                                         const char *base_sha256, float strength,
                                         struct err *e);

/* The same out of an open file, which may be closed afterwards. */
struct llama_adapter *llama_adapter_from_gguf(const struct gguf *g,
                                              const struct llama_config *base,
                                              const char *base_sha256, float strength,
                                              struct err *e);
void llama_adapter_close(struct llama_adapter *a); /* accepts NULL */
