#include "models/arch/llama_config.h"

#include <math.h>
#include <string.h>

#include "models/arch/llama_packed.h"
#include "quant/ops.h"
#include "quant/q8.h"

/* Generous for any llama-shaped model, and small enough that products of two fit easily. */
#define MAX_WIDTH   1048576u
#define MAX_LAYERS  1024u
#define MAX_CONTEXT 16777216u

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

static int check_architecture(const struct gguf *g, struct err *e)
{
    struct gguf_str name;
    if (gguf_get_str(g, "general.architecture", &name, e) != 0) {
        return -1;
    }
    if (name.len != 5 || memcmp(name.data, "llama", 5) != 0) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: architecture \"%.*s\" is not supported, \"llama\" is", gguf_path(g),
                       (int)(name.len < 64 ? name.len : 64), name.data);
    }
    return 0;
}

/* Features that would change the numbers are refused, never skipped. */
static int check_nothing_unknown(const struct gguf *g, struct err *e)
{
    struct gguf_str scaling;
    if (gguf_has(g, "llama.rope.scaling.type")) {
        if (gguf_get_str(g, "llama.rope.scaling.type", &scaling, e) != 0) {
            return -1;
        }
        if (scaling.len != 4 || memcmp(scaling.data, "none", 4) != 0) {
            return err_set(e, ERR_UNSUPPORTED, "%s: RoPE scaling is not supported",
                           gguf_path(g));
        }
    }
    uint32_t experts = 0;
    if (gguf_has(g, "llama.expert_count") &&
        gguf_get_u32(g, "llama.expert_count", &experts, e) != 0) {
        return -1;
    }
    return experts == 0 ? 0
                        : err_set(e, ERR_UNSUPPORTED, "%s: mixture of experts is not supported",
                                  gguf_path(g));
}

static int check_shape(const struct llama_config *c, const struct gguf *g, struct err *e)
{
    const char *path = gguf_path(g);
    if (c->n_heads % c->n_kv_heads != 0) {
        return err_set(e, ERR_FORMAT, "%s: %d attention heads do not divide among %d KV heads",
                       path, c->n_heads, c->n_kv_heads);
    }
    if (c->head_dim % 16 != 0 || c->head_dim > OPS_HEAD_DIM_MAX) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: head size %d is not supported, multiples of 16 up to %d are", path,
                       c->head_dim, OPS_HEAD_DIM_MAX);
    }
    if (c->d_model % Q8_GROUP != 0 || c->d_ff % Q8_GROUP != 0 ||
        c->n_heads * c->head_dim % Q8_GROUP != 0) {
        return err_set(
            e, ERR_UNSUPPORTED,
            "%s: embedding, attention and feed-forward lengths must be multiples of %d", path,
            Q8_GROUP);
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
        return get_size(g, "llama.vocab_size", MAX_WIDTH, &c->vocab, e);
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

int llama_config_from_gguf(struct llama_config *c, const struct gguf *g, struct err *e)
{
    *c = (struct llama_config){.rope_base = 10000.0f};
    if (check_architecture(g, e) != 0 || check_nothing_unknown(g, e) != 0 ||
        get_size(g, "llama.block_count", MAX_LAYERS, &c->n_layers, e) != 0 ||
        get_size(g, "llama.embedding_length", MAX_WIDTH, &c->d_model, e) != 0 ||
        get_size(g, "llama.feed_forward_length", MAX_WIDTH, &c->d_ff, e) != 0 ||
        get_size(g, "llama.context_length", MAX_CONTEXT, &c->context, e) != 0 ||
        get_size(g, "llama.attention.head_count", 4096, &c->n_heads, e) != 0 ||
        get_positive(g, "llama.attention.layer_norm_rms_epsilon", &c->rms_eps, e) != 0) {
        return -1;
    }
    c->n_kv_heads = c->n_heads;
    c->head_dim = c->d_model / c->n_heads;
    if (get_optional_size(g, "llama.attention.head_count_kv", 4096, &c->n_kv_heads, e) != 0 ||
        get_optional_size(g, "llama.attention.key_length", 4096, &c->head_dim, e) != 0) {
        return -1;
    }
    int rope_dims = c->head_dim;
    if (get_optional_size(g, "llama.rope.dimension_count", 4096, &rope_dims, e) != 0) {
        return -1;
    }
    if (rope_dims != c->head_dim) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: RoPE over %d of %d head dimensions is not supported", gguf_path(g),
                       rope_dims, c->head_dim);
    }
    if (gguf_has(g, "llama.rope.freq_base") &&
        get_positive(g, "llama.rope.freq_base", &c->rope_base, e) != 0) {
        return -1;
    }
    if (read_vocab(c, g, e) != 0) {
        return -1;
    }
    return check_shape(c, g, e);
}
