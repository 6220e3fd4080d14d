#include "models/arch/llama_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/arch/llama_packed.h"
#include "models/format/tensor_type.h"
#include "quant/q8.h"

/* Generous for any llama-shaped model, and small enough that products of two fit easily. */
#define MAX_WIDTH   1048576u
#define MAX_LAYERS  1024u
#define MAX_CONTEXT 16777216u
#define MAX_EXPERTS 512u

static int get_size(const struct gguf *g, const char *key, uint32_t max, int *out,
                    struct err *e)
{
    uint32_t value;
    if (gguf_get_u32(g, key, &value, e) != 0) {
        return -1;
    }
    if (value == 0 || value > max) {
        return err_set(e, ERR_FORMAT, "%s: %s is %u, 1 to %u are allowed", gguf_path(g), key,
                       value, max);
    }
    *out = (int)value;
    return 0;
}

static int get_optional_size(const struct gguf *g, const char *key, uint32_t max, int *out,
                             struct err *e)
{
    return gguf_has(g, key) ? get_size(g, key, max, out, e) : 0;
}

static int get_positive(const struct gguf *g, const char *key, float *out, struct err *e)
{
    if (gguf_get_f32(g, key, out, e) != 0) {
        return -1;
    }
    if (!isfinite(*out) || *out <= 0.0f) {
        return err_set(e, ERR_FORMAT, "%s: %s must be a positive number", gguf_path(g), key);
    }
    return 0;
}

static const struct architecture {
    const char *name;
    enum llama_rope rope;
    enum llama_qk_norm qk_norm;
    bool encoder, layer_norm, learned_positions, post_norm_alone, post_norm, gelu, ungated;
    bool fused_qkv, fused_gate_up;
    bool share_weights; /* of experts */
    bool gemma;         /* the embedding is scaled by the root of its width */
    bool window;        /* the window in the file counts; others carry the key and do without */
    bool larger_differs; /* some have norms of heads and a parallel residual */
    int window_default, window_period, no_rope_period;
} architectures[] = {
    {.name = "llama", .share_weights = true},
    {.name = "granite"},
    {.name = "qwen2", .rope = LLAMA_ROPE_HALVES},
    {.name = "qwen3", .rope = LLAMA_ROPE_HALVES, .qk_norm = LLAMA_QK_NORM_HEAD},
    {.name = "qwen2moe", .rope = LLAMA_ROPE_HALVES},
    {.name = "qwen3moe",
     .rope = LLAMA_ROPE_HALVES,
     .qk_norm = LLAMA_QK_NORM_HEAD,
     .share_weights = true},
    {.name = "olmo2",
     .rope = LLAMA_ROPE_HALVES,
     .qk_norm = LLAMA_QK_NORM_ROW,
     .post_norm_alone = true,
     .post_norm = true},
    {.name = "gemma2",
     .rope = LLAMA_ROPE_HALVES,
     .post_norm = true,
     .gelu = true,
     .gemma = true,
     .window = true,
     .window_default = 4096,
     .window_period = 2},
    {.name = "gemma3",
     .rope = LLAMA_ROPE_HALVES,
     .qk_norm = LLAMA_QK_NORM_HEAD,
     .post_norm = true,
     .gelu = true,
     .gemma = true,
     .window = true,
     .window_period = 6},
    {.name = "phi3",
     .rope = LLAMA_ROPE_HALVES,
     .fused_qkv = true,
     .fused_gate_up = true,
     .window = true},
    {.name = "smollm3", .no_rope_period = 4},
    {.name = "gpt2",
     .layer_norm = true,
     .learned_positions = true,
     .gelu = true,
     .ungated = true,
     .fused_qkv = true},
    {.name = "starcoder2",
     .rope = LLAMA_ROPE_HALVES,
     .layer_norm = true,
     .gelu = true,
     .ungated = true},
    {.name = "stablelm", .rope = LLAMA_ROPE_HALVES, .layer_norm = true, .larger_differs = true},
    {.name = "bert",
     .encoder = true,
     .layer_norm = true,
     .learned_positions = true,
     .gelu = true,
     .ungated = true,
     .post_norm_alone = true,
     .post_norm = true},
    {.name = "nomic-bert",
     .rope = LLAMA_ROPE_HALVES,
     .encoder = true,
     .layer_norm = true,
     .fused_qkv = true,
     .post_norm_alone = true,
     .post_norm = true},
};
#define ARCHITECTURE_NAMES                                                            \
    "llama, granite, qwen2, qwen2moe, qwen3, qwen3moe, olmo2, gemma2, gemma3, phi3, " \
    "smollm3, gpt2, starcoder2, stablelm, bert and nomic-bert"

static bool is_name(const struct gguf_str *s, const char *name)
{
    return s->len == strlen(name) && memcmp(s->data, name, s->len) == 0;
}

static const struct architecture *read_architecture(struct llama_config *c,
                                                    const struct gguf *g, struct err *e)
{
    struct gguf_str name;
    if (gguf_get_str(g, "general.architecture", &name, e) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(architectures) / sizeof(architectures[0]); i++) {
        if (is_name(&name, architectures[i].name)) {
            const struct architecture *a = &architectures[i];
            c->arch = a->name;
            c->rope = a->rope;
            c->qk_norm = a->qk_norm;
            c->encoder = a->encoder;
            c->layer_norm = a->layer_norm;
            c->learned_positions = a->learned_positions;
            c->pre_norm = !a->post_norm_alone;
            c->post_norm = a->post_norm;
            c->gelu = a->gelu;
            c->ungated = a->ungated;
            c->fused_qkv = a->fused_qkv;
            c->fused_gate_up = a->fused_gate_up;
            c->share_weights = a->share_weights;
            c->no_rope_period = a->no_rope_period;
            return a;
        }
    }
    err_set(e, ERR_UNSUPPORTED,
            "%s: architecture \"%.*s\" is not supported; " ARCHITECTURE_NAMES " are",
            gguf_path(g), (int)(name.len < 64 ? name.len : 64), name.data);
    return NULL;
}

/* A metadata key of this architecture: "qwen2.block_count". */
#define KEY_MAX 96
struct key {
    char text[KEY_MAX];
};

static struct key key(const struct llama_config *c, const char *rest)
{
    struct key k;
    snprintf(k.text, sizeof(k.text), "%s.%s", c->arch, rest);
    return k;
}

static int get_optional_positive(const struct gguf *g, struct key k, float *out, struct err *e)
{
    return gguf_has(g, k.text) ? get_positive(g, k.text, out, e) : 0;
}

/* YaRN, Peng et al. 2023 (arXiv 2309.00071), section 3.4: slow frequencies are stretched by the
 * whole factor, fast ones not at all, those between in part. */
struct yarn {
    float factor;
    uint32_t trained; /* context before it was stretched */
    float beta_fast, beta_slow;
    float magnitude;
};

/* The pair that turns `rotations` times within the trained context. */
static double yarn_pair(const struct llama_config *c, const struct yarn *y, double rotations)
{
    double length = (double)y->trained / (rotations * 2.0 * M_PI);
    return (double)c->rope_dims * log(length) / (2.0 * log((double)c->rope_base));
}

static void apply_yarn(struct llama_config *c, const struct yarn *y)
{
    double last = (double)c->rope_dims - 1.0;
    double low = fmax(0.0, floor(yarn_pair(c, y, (double)y->beta_fast)));
    double high = fmin(last, ceil(yarn_pair(c, y, (double)y->beta_slow)));
    for (int i = 0; i < c->rope_dims / 2; i++) {
        double ramp = ((double)i - low) / fmax(0.001, high - low);
        double kept = 1.0 - fmin(1.0, fmax(0.0, ramp));
        double frequency = (1.0 - kept) / (double)y->factor + kept;
        c->rope_factor[i] = (float)(1.0 / frequency);
    }
    c->rope_magnitude = (float)((double)y->magnitude * (1.0 + 0.1 * log((double)y->factor)));
}

static int read_yarn(struct llama_config *c, const struct gguf *g, struct err *e)
{
    struct yarn y = {.beta_fast = 32.0f, .beta_slow = 1.0f, .magnitude = 1.0f};
    int trained = c->context;
    if (get_positive(g, key(c, "rope.scaling.factor").text, &y.factor, e) != 0 ||
        get_optional_size(g, key(c, "rope.scaling.original_context_length").text, MAX_CONTEXT,
                          &trained, e) != 0 ||
        get_optional_positive(g, key(c, "rope.scaling.yarn_beta_fast"), &y.beta_fast, e) != 0 ||
        get_optional_positive(g, key(c, "rope.scaling.yarn_beta_slow"), &y.beta_slow, e) != 0 ||
        get_optional_positive(g, key(c, "rope.scaling.attn_factor"), &y.magnitude, e) != 0) {
        return -1;
    }
    if (y.factor < 1.0f) {
        return err_set(e, ERR_FORMAT, "%s: rope.scaling.factor is %g; 1 or more is needed",
                       gguf_path(g), (double)y.factor);
    }
    y.trained = (uint32_t)trained;
    apply_yarn(c, &y);
    return 0;
}

/* Linear scaling divides all angles alike. What is not known would change the numbers and is
 * refused. */
static int read_rope_scaling(struct llama_config *c, const struct gguf *g, struct err *e)
{
    float factor = 1.0f;
    struct gguf_str type = {"none", 4};
    struct key type_key = key(c, "rope.scaling.type");
    if (gguf_has(g, type_key.text) && gguf_get_str(g, type_key.text, &type, e) != 0) {
        return -1;
    }
    c->rope_magnitude = 1.0f;
    if (is_name(&type, "yarn")) {
        return read_yarn(c, g, e);
    }
    bool linear = is_name(&type, "linear");
    if (!linear && !is_name(&type, "none") && !is_name(&type, "longrope")) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: RoPE scaling of type \"%.*s\" is not supported; linear, yarn "
                       "and longrope are, and factors in the file",
                       gguf_path(g), (int)(type.len < 64 ? type.len : 64), type.data);
    }
    if ((linear && get_positive(g, key(c, "rope.scaling.factor").text, &factor, e) != 0) ||
        get_optional_positive(g, key(c, "rope.scaling.attn_factor"), &c->rope_magnitude, e) !=
            0) {
        return -1;
    }
    for (int i = 0; i < c->rope_dims / 2; i++) {
        c->rope_factor[i] = factor;
    }
    return 0;
}

static int read_factors(struct llama_config *c, const struct gguf *g, const char *name,
                        float *to, struct err *e)
{
    const struct gguf_tensor *t = gguf_tensor_find(g, name);
    size_t n = (size_t)c->rope_dims / 2;
    if (!t || t->n_elements != n || t->type != TENSOR_F32 ||
        tensor_row_to_f32(t->type, t->data, to, n) != 0) {
        return err_set(e, ERR_FORMAT, "%s: tensor \"%s\" must have %zu numbers of type f32",
                       gguf_path(g), name, n);
    }
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(to[i]) || to[i] <= 0.0f) {
            return err_set(e, ERR_FORMAT,
                           "%s: tensor \"%s\" holds a number that is not positive",
                           gguf_path(g), name);
        }
    }
    c->rope_tensors++;
    return 0;
}

static bool is_scaled(const struct llama_config *c)
{
    bool scaled = false;
    for (int i = 0; i < c->rope_dims / 2; i++) {
        scaled |= c->rope_factor[i] != 1.0f;
    }
    return scaled;
}

/* Factors of each frequency, as converters write them for Llama 3.1 and later, or two sets for
 * LongRoPE. */
static int read_factor_tensors(struct llama_config *c, const struct gguf *g, struct err *e)
{
    bool one = gguf_tensor_find(g, "rope_freqs.weight") != NULL;
    bool two = gguf_tensor_find(g, "rope_factors_long.weight") != NULL;
    if ((one || two) && (is_scaled(c) || (one && two))) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: RoPE scaling both by a formula and by factors is not supported",
                       gguf_path(g));
    }
    if (two) {
        return get_size(g, key(c, "rope.scaling.original_context_length").text, MAX_CONTEXT,
                        &c->rope_trained, e) != 0 ||
                       read_factors(c, g, "rope_factors_short.weight", c->rope_factor, e) !=
                           0 ||
                       read_factors(c, g, "rope_factors_long.weight", c->rope_factor_long, e) !=
                           0
                   ? -1
                   : 0;
    }
    return one ? read_factors(c, g, "rope_freqs.weight", c->rope_factor, e) : 0;
}

/* d_ff becomes the width of the network beside the experts. */
static int read_experts(struct llama_config *c, const struct gguf *g, struct err *e)
{
    uint32_t experts = 0;
    struct key count = key(c, "expert_count");
    if (gguf_has(g, count.text) && gguf_get_u32(g, count.text, &experts, e) != 0) {
        return -1;
    }
    if (experts == 0) {
        return 0;
    }
    c->d_ff_expert = c->d_ff;
    int shared = c->d_ff;
    if (get_size(g, count.text, MAX_EXPERTS, &c->n_experts, e) != 0 ||
        get_size(g, key(c, "expert_used_count").text, experts, &c->n_experts_used, e) != 0 ||
        get_optional_size(g, key(c, "expert_feed_forward_length").text, MAX_WIDTH,
                          &c->d_ff_expert, e) != 0 ||
        get_optional_size(g, key(c, "expert_shared_feed_forward_length").text, MAX_WIDTH,
                          &shared, e) != 0) {
        return -1;
    }
    c->d_ff = gguf_tensor_find(g, "blk.0.ffn_gate_inp_shexp.weight") ? shared : 0;
    if (c->d_ff_expert % Q8_GROUP != 0) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: experts of width %d are not supported, multiples of %d are",
                       gguf_path(g), c->d_ff_expert, Q8_GROUP);
    }
    if (gguf_tensor_find(g, "blk.0.ffn_gate.0.weight")) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: each expert is a tensor of its own, as files of before April 2024 "
                       "have them; convert the model anew",
                       gguf_path(g));
    }
    return 0;
}

static int check_shape(const struct llama_config *c, const struct gguf *g, struct err *e)
{
    const char *path = gguf_path(g);
    if (c->n_heads % c->n_kv_heads != 0) {
        return err_set(e, ERR_FORMAT, "%s: %d attention heads do not divide among %d KV heads",
                       path, c->n_heads, c->n_kv_heads);
    }
    if (c->head_dim < 1 || c->head_dim > OPS_HEAD_DIM_MAX) {
        return err_set(e, ERR_UNSUPPORTED, "%s: head size %d is not supported, 1 to %d are",
                       path, c->head_dim, OPS_HEAD_DIM_MAX);
    }
    if (c->d_model % Q8_GROUP != 0 || c->d_ff % Q8_GROUP != 0 ||
        c->n_heads * c->head_dim % Q8_GROUP != 0) {
        return err_set(
            e, ERR_UNSUPPORTED,
            "%s: embedding, attention and feed-forward lengths must be multiples of %d", path,
            Q8_GROUP);
    }
    /* Keys and values begin with a tile of their own: llama_loader.h. */
    if (c->n_kv_heads * c->head_dim % Q8_TILE != 0) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: %d KV heads of %d numbers are not supported, multiples of %d "
                       "together are",
                       path, c->n_kv_heads, c->head_dim, Q8_TILE);
    }
    return 0;
}

/* How many rows the embedding has. */
static int read_vocab(struct llama_config *c, const struct gguf *g, struct err *e)
{
    bool is_packed;
    if (llama_packed_check(g, &is_packed, e) != 0) {
        return -1;
    }
    if (is_packed) {
        return get_size(g, key(c, "vocab_size").text, MAX_WIDTH, &c->vocab, e);
    }
    const struct gguf_tensor *embedding = gguf_tensor_find(g, "token_embd.weight");
    if (!embedding || embedding->n_dims != 2 || embedding->dims[1] > MAX_WIDTH) {
        return err_set(e, ERR_FORMAT,
                       "%s: tensor \"token_embd.weight\" is missing or no matrix",
                       gguf_path(g));
    }
    c->vocab = (int)embedding->dims[1];
    return 0;
}

static int read_sizes(struct llama_config *c, const struct gguf *g, struct err *e)
{
    const char *epsilon =
        c->layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon";
    if (get_size(g, key(c, "block_count").text, MAX_LAYERS, &c->n_layers, e) != 0 ||
        get_size(g, key(c, "embedding_length").text, MAX_WIDTH, &c->d_model, e) != 0 ||
        get_size(g, key(c, "feed_forward_length").text, MAX_WIDTH, &c->d_ff, e) != 0 ||
        get_size(g, key(c, "context_length").text, MAX_CONTEXT, &c->context, e) != 0 ||
        get_size(g, key(c, "attention.head_count").text, 4096, &c->n_heads, e) != 0 ||
        get_positive(g, key(c, epsilon).text, &c->norm_eps, e) != 0) {
        return -1;
    }
    c->n_kv_heads = c->n_heads;
    c->head_dim = c->d_model / c->n_heads;
    return get_optional_size(g, key(c, "attention.head_count_kv").text, 4096, &c->n_kv_heads,
                             e) != 0 ||
                   get_optional_size(g, key(c, "attention.key_length").text, 4096, &c->head_dim,
                                     e) != 0
               ? -1
               : 0;
}

static int read_rope(struct llama_config *c, const struct gguf *g, struct err *e)
{
    c->rope_dims = c->head_dim;
    if (get_optional_size(g, key(c, "rope.dimension_count").text, 4096, &c->rope_dims, e) !=
        0) {
        return -1;
    }
    if (c->rope_dims > c->head_dim || c->rope_dims % 2 != 0) {
        return err_set(e, ERR_FORMAT,
                       "%s: rope.dimension_count is %d; an even number up to %d, the size of "
                       "a head, is needed",
                       gguf_path(g), c->rope_dims, c->head_dim);
    }
    struct key base = key(c, "rope.freq_base");
    c->rope_base = 10000.0f;
    if (gguf_has(g, base.text) && get_positive(g, base.text, &c->rope_base, e) != 0) {
        return -1;
    }
    return read_rope_scaling(c, g, e) != 0 || read_factor_tensors(c, g, e) != 0 ? -1 : 0;
}

/* Granite's factors, Gemma's factors and caps. */
static int read_scales(struct llama_config *c, const struct architecture *a,
                       const struct gguf *g, struct err *e)
{
    bool gemma2 = strcmp(c->arch, "gemma2") == 0;
    float divisor = 1.0f;
    /* The 27B models of Gemma 2 and 3 alone divide by the width of a head as if there were no
     * other size. */
    bool largest = a->gemma && c->n_layers == (gemma2 ? 46 : 62);
    int head = largest ? c->d_model / c->n_heads : c->head_dim;
    c->embedding_scale = a->gemma ? sqrtf((float)c->d_model) : 1.0f;
    c->residual_scale = 1.0f;
    c->attention_scale = 1.0f / sqrtf((float)head);
    if (gemma2) {
        c->attention_softcap = 50.0f;
        c->logit_softcap = 30.0f;
    }
    if (get_optional_positive(g, key(c, "embedding_scale"), &c->embedding_scale, e) != 0 ||
        get_optional_positive(g, key(c, "residual_scale"), &c->residual_scale, e) != 0 ||
        get_optional_positive(g, key(c, "attention.scale"), &c->attention_scale, e) != 0 ||
        get_optional_positive(g, key(c, "logit_scale"), &divisor, e) != 0 ||
        get_optional_positive(g, key(c, "attn_logit_softcapping"), &c->attention_softcap, e) !=
            0 ||
        get_optional_positive(g, key(c, "final_logit_softcapping"), &c->logit_softcap, e) !=
            0) {
        return -1;
    }
    c->logit_scale = 1.0f / divisor;
    return 0;
}

static int read_window(struct llama_config *c, const struct architecture *a,
                       const struct gguf *g, struct err *e)
{
    struct key window = key(c, "attention.sliding_window");
    uint32_t value = (uint32_t)a->window_default;
    if (a->window && gguf_has(g, window.text) && gguf_get_u32(g, window.text, &value, e) != 0) {
        return -1;
    }
    c->window = value > MAX_CONTEXT ? 0 : (int)value;
    c->window_period = a->window_period;
    if (strcmp(c->arch, "gemma3") != 0 || c->window == 0) {
        return 0;
    }
    c->rope_base_window = 10000.0f;
    return get_optional_size(g, key(c, "attention.sliding_window_pattern").text, MAX_LAYERS,
                             &c->window_period, e) != 0 ||
                   get_optional_positive(g, key(c, "rope.freq_base_swa"), &c->rope_base_window,
                                         e) != 0
               ? -1
               : 0;
}

/* Files of models that make embeddings say how the vectors of tokens become one. */
static int read_pooling(struct llama_config *c, const struct gguf *g, struct err *e)
{
    struct key pooling = key(c, "pooling_type");
    uint32_t value = LLAMA_POOL_MEAN;
    if (gguf_has(g, pooling.text) && gguf_get_u32(g, pooling.text, &value, e) != 0) {
        return -1;
    }
    if (value > LLAMA_POOL_LAST) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: %s is %u; 0 (none), 1 (mean), 2 (first) and 3 (last) are known",
                       gguf_path(g), pooling.text, value);
    }
    c->pooling = (enum llama_pooling)value;
    return 0;
}

/* StableLM 2 12B beside the smaller ones. The key alone says nothing: converters write that the
 * residual is parallel for models that do not say, and those have the second norm. */
static int read_parallel(struct llama_config *c, const struct architecture *a,
                         const struct gguf *g, struct err *e)
{
    struct key parallel = key(c, "use_parallel_residual");
    if (!a->larger_differs) {
        return 0;
    }
    c->parallel_residual = !gguf_tensor_find(g, "blk.0.ffn_norm.weight");
    if (gguf_tensor_find(g, "blk.0.attn_q_norm.weight")) {
        c->qk_norm = LLAMA_QK_NORM_OWN;
    }
    bool said = true;
    if (gguf_has(g, parallel.text) && gguf_get_bool(g, parallel.text, &said, e) != 0) {
        return -1;
    }
    if (c->parallel_residual && !said) {
        return err_set(e, ERR_FORMAT,
                       "%s: tensor \"blk.0.ffn_norm.weight\" is missing, and %s is false",
                       gguf_path(g), parallel.text);
    }
    return 0;
}

static void find_biases(struct llama_config *c, const struct gguf *g)
{
    const char *qkv = c->fused_qkv ? "blk.0.attn_qkv.bias" : "blk.0.attn_q.bias";
    c->qkv_bias = gguf_tensor_find(g, qkv) != NULL;
    c->out_bias = gguf_tensor_find(g, "blk.0.attn_output.bias") != NULL;
    c->ffn_bias = gguf_tensor_find(g, "blk.0.ffn_down.bias") != NULL;
}

int llama_config_from_gguf(struct llama_config *c, const struct gguf *g, struct err *e)
{
    *c = (struct llama_config){0};
    const struct architecture *a = read_architecture(c, g, e);
    if (!a || read_sizes(c, g, e) != 0 || read_experts(c, g, e) != 0 ||
        read_vocab(c, g, e) != 0 || check_shape(c, g, e) != 0 || read_scales(c, a, g, e) != 0 ||
        read_window(c, a, g, e) != 0 || read_parallel(c, a, g, e) != 0 ||
        read_pooling(c, g, e) != 0) {
        return -1;
    }
    find_biases(c, g);
    return read_rope(c, g, e);
}
