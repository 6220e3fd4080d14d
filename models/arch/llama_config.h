/* llama_config.h: the sizes of a model of architecture "llama", read from GGUF metadata.
 *
 * Every size is checked here, so that the code behind may multiply without fear: all are
 * positive, head counts divide, rows are whole int8 groups, and no product of two of them
 * overflows. */
#pragma once

#include "models/format/gguf.h"
#include "runtime/base/err.h"

struct llama_config {
    int vocab;
    int n_layers;
    int d_model;
    int n_heads;
    int n_kv_heads;
    int head_dim;
    int d_ff;
    int context; /* positions it was trained for */
    float rms_eps;
    float rope_base;
};

int llama_config_from_gguf(struct llama_config *c, const struct gguf *g, struct err *e);
