/* llama_packed.h: the matrices of a packed file (llama_weights.h has the format). Private to
 * models/arch. */
#pragma once

#include "models/arch/llama_config.h"
#include "models/format/gguf.h"
#include "models/parallel.h"
#include "quant/q8.h"

/* "blk.3.attn_q.weight"; "output.weight" for layer -1 */
#define LLAMA_TENSOR_NAME_MAX 64
const char *llama_tensor_name(char out[LLAMA_TENSOR_NAME_MAX], int layer, const char *part,
                              const char *suffix);

/* Of the norms behind attention and feed-forward. */
const char *const *llama_post_norm_names(const struct llama_config *c);

/* *is_packed: whether the file is one. Fails for a version or an alignment that is not known
 * here. */
int llama_packed_check(const struct gguf *g, bool *is_packed, struct err *e);

/* Points *out to the matrix of n rows by k in the file, after every scale in it was looked at.
 */
int llama_packed_matrix(const struct gguf *g, const char *name, size_t n, size_t k,
                        const struct parallel *p, struct q8_packed *out, struct err *e);
