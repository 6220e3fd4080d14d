/* hf_config.h: config.json. Private to models/convert. */
#pragma once

#include <stdbool.h>

#include "models/format/gguf_write.h"
#include "quant/ops.h"
#include "runtime/base/json.h"

struct hf_config {
    const char *arch; /* as in GGUF: "qwen2" */
    int heads, kv_heads, head_dim;
    int rope_dims; /* numbers of a head that are turned, its first ones */
    int vocab;
    int positions_unused; /* the first rows of the table of positions */
    bool pairs;           /* GGUF has rows of queries and keys in the order of pairs */
    bool post_norm;       /* "post_attention_layernorm" is what it says, not the norm before the
                             feed-forward network */
    bool norms_from_one;  /* the file has norms less one */
    bool encoder;         /* BERT: names of its own */
    bool nomic;           /* an encoder with names of its own again */
    bool transposed;      /* matrices have a row for each input (GPT-2) */
    bool parallel;        /* residual: layers have no norm before the feed-forward network */
    bool tied;
    int experts;                              /* of a mixture; 0: none */
    float rope_factors[OPS_HEAD_DIM_MAX / 2]; /* (rope_dims / 2) Llama 3.1, or LongRoPE's short
                                                 ones */
    float rope_factors_long[OPS_HEAD_DIM_MAX / 2]; /* (rope_dims / 2) LongRoPE */
    bool has_rope_factors, has_rope_factors_long;
};

/* Reads what the conversion of tensors needs and puts the metadata. */
int hf_config_read(struct hf_config *c, const cJSON *config, struct gguf_writer *out,
                   struct err *e);
