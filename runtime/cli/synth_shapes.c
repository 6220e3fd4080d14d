#include "runtime/cli/synth_shapes.h"

#include <string.h>

static const struct synth_arch archs[] = {
    {.name = "llama"},
    {.name = "granite"},
    {.name = "qwen2", .qkv_bias = true},
    {.name = "qwen2moe", .qkv_bias = true, .experts = true, .shared_expert = true},
    {.name = "qwen3", .qk_norm_head = true},
    {.name = "qwen3moe", .qk_norm_head = true, .experts = true},
    {.name = "olmo2", .qk_norm_row = true, .no_pre_norm = true, .post_norm = true},
    {.name = "gemma2", .post_norm = true, .window = true},
    {.name = "gemma3", .qk_norm_head = true, .post_norm = true, .window = true},
    {.name = "smollm3"},
    {.name = "phi3", .fused_qkv = true, .fused_gate_up = true, .window = true},
    {.name = "gpt2",
     .layer_norm = true,
     .qkv_bias = true,
     .other_biases = true,
     .fused_qkv = true,
     .ungated = true,
     .learned_positions = true},
    {.name = "starcoder2",
     .layer_norm = true,
     .qkv_bias = true,
     .other_biases = true,
     .ungated = true},
    {.name = "stablelm", .layer_norm = true, .qkv_bias = true},
    {.name = "stablelm",
     .variant = "12B",
     .layer_norm = true,
     .qk_norm_own = true,
     .parallel_residual = true},
    {.name = "bert",
     .layer_norm = true,
     .qkv_bias = true,
     .other_biases = true,
     .ungated = true,
     .learned_positions = true,
     .encoder = true},
    {.name = "nomic-bert", .layer_norm = true, .fused_qkv = true, .encoder = true},
};

/* What is not said is that of tiny-test. */
/* clang-format off */
static const struct synth_shape shapes[] = {
    {"tinyllama-1.1b", "llama", .width = 2048, .layers = 22, .heads = 32, .kv_heads = 4, .head_dim = 64,
     .ffn = 5632, .vocab = 32000, .context = 2048, .untied = true},
    {"smollm-135m", "llama", .width = 576, .layers = 30, .heads = 9, .kv_heads = 3, .head_dim = 64,
     .ffn = 1536, .vocab = 49152, .context = 2048},
    {"smollm2-135m", "llama", .width = 576, .layers = 30, .heads = 9, .kv_heads = 3, .head_dim = 64,
     .ffn = 1536, .vocab = 49152, .context = 8192, .rope_base = 100000.0f},
    {"qwen2.5-0.5b", "qwen2", .width = 896, .layers = 24, .heads = 14, .kv_heads = 2, .head_dim = 64,
     .ffn = 4864, .vocab = 151936, .context = 32768, .rope_base = 1000000.0f},
    {"qwen3-0.6b", "qwen3", .width = 1024, .layers = 28, .heads = 16, .kv_heads = 8, .head_dim = 128,
     .ffn = 3072, .vocab = 151936, .context = 40960, .rope_base = 1000000.0f},
    {"llama-3.2-1b", "llama", .width = 2048, .layers = 16, .heads = 32, .kv_heads = 8, .head_dim = 64,
     .ffn = 8192, .vocab = 128256, .context = 2048, .rope_base = 500000.0f},
    /* A third of the layers and a quarter of the experts of Qwen3-30B-A3B, half as wide. */
    {"qwen3-moe-1.3b", "qwen3moe", .width = 1024, .layers = 16, .heads = 16, .kv_heads = 4, .head_dim = 64,
     .ffn = 768, .vocab = 32000, .context = 4096, .rope_base = 1000000.0f, .untied = true, .experts = 32, .used = 8},
    {"weir-tiny", "llama", .width = 256, .layers = 6, .heads = 8, .kv_heads = 4, .head_dim = 32,
     .ffn = 704, .vocab = 4096, .context = 1024},
    {"tiny-test", "llama", .layers = 2},
    {"tiny-test-yarn", "llama", .head_dim = 32, .yarn = 8.0f},
    /* No multiple of a register's numbers, as OpenLLaMA 3B's heads of 100. */
    {"tiny-test-heads20", "llama", .width = 160, .heads = 8, .kv_heads = 4, .head_dim = 20},
    {"tiny-test-mixtral", "llama", .experts = 8, .used = 2},
    {"tiny-test-granite", "granite", .layers = 2},
    {"tiny-test-qwen2", "qwen2", .layers = 2},
    {"tiny-test-qwen2moe", "qwen2moe", .untied = true, .experts = 12, .used = 4, .shared_ffn = 96},
    {"tiny-test-qwen3", "qwen3", .head_dim = 32},
    {"tiny-test-qwen3moe", "qwen3moe", .head_dim = 32, .experts = 16, .used = 4},
    {"tiny-test-olmo2", "olmo2", .kv_heads = 4, .untied = true},
    /* Gemma 2 has no smaller depth that other programs know. */
    {"tiny-test-gemma2", "gemma2", .layers = 26, .head_dim = 32},
    {"tiny-test-gemma3", "gemma3", .layers = 26, .head_dim = 32, .rope_base = 1000000.0f},
    {"tiny-test-smollm3", "smollm3", .layers = 8},
    {"tiny-test-longrope", "phi3", .untied = true, .longrope = true},
    {"tiny-test-phi4", "phi3", .untied = true, .rope_dims = 12},
    {"tiny-test-phi", "phi3", .untied = true},
    {"tiny-test-gpt2", "gpt2", .untied = true, .kv_heads = 4},
    {"tiny-test-starcoder2", "starcoder2", .layers = 2},
    {"tiny-test-stablelm", "stablelm", .kv_heads = 4, .untied = true, .rope_dims = 4},
    {"tiny-test-stablelm12", "stablelm", "12B", .width = 128, .head_dim = 32, .untied = true, .rope_dims = 8},
    {"tiny-test-bert", "bert", .kv_heads = 4},
    {"tiny-test-nomic-bert", "nomic-bert", .kv_heads = 4},
};
/* clang-format on */
#define N_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static void set_if_unsaid(uint32_t *field, uint32_t value)
{
    *field = *field ? *field : value;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static const struct synth_arch *find_arch(const char *name, const char *variant)
{
    size_t i = 0;
    while (!same(archs[i].name, name) || !same(archs[i].variant, variant)) {
        i++; /* every shape's is there */
    }
    return &archs[i];
}

bool synth_shape_find(const char *name, struct synth_shape *out)
{
    for (size_t i = 0; i < N_SHAPES; i++) {
        if (strcmp(shapes[i].name, name) != 0) {
            continue;
        }
        *out = shapes[i];
        set_if_unsaid(&out->width, 64);
        set_if_unsaid(&out->layers, 2);
        set_if_unsaid(&out->heads, 4);
        set_if_unsaid(&out->kv_heads, 2);
        set_if_unsaid(&out->head_dim, 16);
        set_if_unsaid(&out->ffn, 128);
        set_if_unsaid(&out->vocab, 320);
        set_if_unsaid(&out->context, 256);
        set_if_unsaid(&out->rope_dims, out->head_dim);
        out->rope_base = out->rope_base > 0.0f ? out->rope_base : 10000.0f;
        out->arch = find_arch(out->arch_name, out->variant);
        return true;
    }
    return false;
}

const char *synth_shape_name(size_t i)
{
    return i < N_SHAPES ? shapes[i].name : NULL;
}
