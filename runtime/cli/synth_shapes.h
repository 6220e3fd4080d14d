/* synth_shapes.h: the models that `weir synth` can make up: sizes of real ones for benchmarks,
 * and small ones that show what an architecture does for tests. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Beside the matrices of a llama, by architecture (models/arch/llama_config.h says more). */
struct synth_arch {
    const char *name;
    const char *variant; /* of shapes that name it; NULL: what the architecture mostly is */
    bool layer_norm, no_pre_norm, post_norm, qk_norm_head, qk_norm_row;
    bool qk_norm_own, parallel_residual; /* StableLM 2 12B */
    bool qkv_bias, other_biases, fused_qkv, fused_gate_up, ungated, learned_positions;
    bool window;
    bool experts, shared_expert;
    bool encoder;
};

struct synth_shape {
    const char *name, *arch_name, *variant;
    uint32_t width, layers, heads, kv_heads, head_dim, ffn, vocab, context;
    float rope_base;
    bool untied;            /* the output matrix is not the embedding */
    float yarn;             /* factor of RoPE scaling, 0: none */
    bool longrope;          /* two sets of factors */
    uint32_t rope_dims;     /* numbers of a head that are turned */
    uint32_t experts, used; /* of a mixture of experts; ffn is the width of each */
    uint32_t shared_ffn;    /* width of the network beside them */
    const struct synth_arch *arch;
};

/* Fills *out; false if there is no such shape. */
bool synth_shape_find(const char *name, struct synth_shape *out);

/* The name of shape i; NULL behind the last. */
const char *synth_shape_name(size_t i);
