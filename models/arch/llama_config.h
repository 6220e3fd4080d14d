/* llama_config.h: the sizes and the variant of a llama-shaped model, read from GGUF metadata.
 *
 * Llama-shaped are the architectures "llama" (Llama 1 to 3, Mistral, Mixtral, SmolLM), "qwen2",
 * "qwen2moe", "qwen3", "qwen3moe", "granite", "olmo2", "gemma2", "gemma3", "phi3" and
 * "smollm3": RMSNorm, rotary positions, grouped-query attention, a gated feed-forward network
 * or a mixture of them. "gpt2", "starcoder2" and "stablelm" have LayerNorm and biases, and the
 * first two no gate. "bert" and "nomic-bert" are encoders, for embeddings. What differs among
 * them is here, so that weights and step are driven by it.
 *
 * Every size is checked here, so that the code behind may multiply without fear: all are
 * positive, head counts divide, rows are whole int8 groups, and no product of two of them
 * overflows. */
#pragma once

#include <stdbool.h>

#include "models/format/gguf.h"
#include "quant/ops.h"
#include "runtime/base/err.h"

/* What is normalised before queries and keys are turned: nothing, each head, each head with
 * weights of its own and no bias, or all heads of a row together. */
enum llama_qk_norm {
    LLAMA_QK_NORM_NONE,
    LLAMA_QK_NORM_HEAD,
    LLAMA_QK_NORM_OWN,
    LLAMA_QK_NORM_ROW
};

/* Which numbers of a head are turned together: 2i and 2i + 1, or i and i + rope_dims / 2. */
enum llama_rope { LLAMA_ROPE_PAIRS, LLAMA_ROPE_HALVES };

/* How the vectors of a text's tokens become one; the numbers are GGUF's, where none is for
 * whoever runs the model to choose: here the mean. */
enum llama_pooling { LLAMA_POOL_NONE, LLAMA_POOL_MEAN, LLAMA_POOL_FIRST, LLAMA_POOL_LAST };

/* Row `row` of heads in pairs is this row of heads in halves. What lies behind the rope_dims
 * that are turned stays where it is. */
static inline size_t llama_row_in_halves(size_t row, size_t head_dim, size_t rope_dims)
{
    size_t i = row % head_dim;
    return i < rope_dims ? row - i + i % 2 * (rope_dims / 2) + i / 2 : row;
}

struct llama_config {
    const char *arch; /* "qwen2": what metadata keys begin with; a static string */
    /* Which share of the model is here (llama_share.h). All else is that of the whole one. */
    int rank, n_ranks; /* n_ranks 0: the whole */
    int vocab;
    int n_layers;
    int d_model;
    int n_heads;
    int n_kv_heads;
    int head_dim;
    int d_ff;
    int context; /* positions it was trained for */
    float norm_eps;
    float rope_base;
    int rope_dims; /* numbers of a head that are turned, its first ones; even */
    enum llama_rope rope;
    float rope_factor[OPS_HEAD_DIM_MAX / 2]; /* (rope_dims / 2): angles are divided by it; RoPE
                                                scaling of Llama 3.1, linear or YaRN */
    float rope_base_window; /* of layers with a window, which no scaling touches; 0: as the
                               others (Gemma 3) */
    int no_rope_period; /* of so many layers the last one does not turn; 0: all do (SmolLM 3) */
    float rope_magnitude; /* of turned queries and keys: YaRN makes it more than 1 */
    int rope_tensors;     /* how many tensors of the file hold factors: none; one,
                             "rope_freqs.weight"; or two, "rope_factors_short.weight" and
                             "rope_factors_long.weight" */
    /* LongRoPE (Ding et al. 2024, arXiv 2402.13753): rope_factor is for contexts up to
     * rope_trained, this for longer ones. */
    float rope_factor_long[OPS_HEAD_DIM_MAX / 2]; /* (rope_dims / 2) */
    int rope_trained;                             /* 0: one set of factors for all */
    bool qkv_bias, out_bias, ffn_bias;            /* of the attention's input and output, of all
                                                     matrices of the feed-forward network */
    enum llama_qk_norm qk_norm;
    /* BERT (Devlin et al. 2018): every token sees all, norms stand behind the sums of the
     * residual stream (llama_layer.attn_post_norm and ffn_post_norm), and what comes out is a
     * vector for each token, not logits. */
    bool encoder;
    enum llama_pooling pooling;
    bool layer_norm;        /* LayerNorm with a bias (Ba et al. 2016) in place of RMSNorm */
    bool learned_positions; /* added to the embeddings, nothing is turned (GPT-2) */
    bool pre_norm;          /* what goes into attention and feed-forward is normalised */
    bool post_norm;         /* what comes out of them is normalised */
    /* The feed-forward network gets what the attention got, not what it made (Wang and
     * Komatsuzaki 2021): one norm serves both. */
    bool parallel_residual;
    bool gelu;    /* in the feed-forward network; SiLU otherwise */
    bool ungated; /* the feed-forward network has no gate: down(gelu(up)) */
    /* Mixture of experts (Shazeer et al. 2017): for each token the n_experts_used networks that
     * a router likes best, weighted. d_ff is then the width of the network that all tokens
     * share, 0 if there is none (Qwen 2 has one, with a gate of its own). */
    int n_experts, n_experts_used; /* 0: none */
    int d_ff_expert;
    bool share_weights; /* the weights of those chosen are made to sum to 1 */
    bool fused_qkv,
        fused_gate_up; /* one tensor for queries, keys and values, one for gate and up */
    float embedding_scale, residual_scale, attention_scale, logit_scale; /* factors */
    float attention_softcap, logit_softcap;                              /* 0: none */
    int window;        /* positions that a layer with a window sees; 0: no window */
    int window_period; /* of so many layers the last one sees everything; 0: all have a window
                        */
};

int llama_config_from_gguf(struct llama_config *c, const struct gguf *g, struct err *e);
