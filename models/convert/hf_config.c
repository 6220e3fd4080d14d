#include "models/convert/hf_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define KEY_MAX 96

static const struct architecture {
    const char *hf, *gguf;
    bool pairs, post_norm, norms_from_one;
} architectures[] = {
    {"LlamaForCausalLM", "llama", .pairs = true},
    {"MistralForCausalLM", "llama", .pairs = true},
    {"GraniteForCausalLM", "granite", .pairs = true},
    {"Qwen2ForCausalLM", "qwen2", .pairs = false},
    {"Qwen3ForCausalLM", "qwen3", .pairs = false},
    {"Phi3ForCausalLM", "phi3", .pairs = false},
    {"Olmo2ForCausalLM", "olmo2", .post_norm = true},
    {"Gemma2ForCausalLM", "gemma2", .post_norm = true, .norms_from_one = true},
};

struct reader {
    const cJSON *config;
    struct gguf_writer *out;
    const char *arch;
    struct err *e;
};

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(item) ? NULL : item;
}

static int find_architecture(struct hf_config *c, const cJSON *config, struct err *e)
{
    const char *name =
        cJSON_GetStringValue(cJSON_GetArrayItem(get(config, "architectures"), 0));
    for (size_t i = 0; name && i < sizeof(architectures) / sizeof(architectures[0]); i++) {
        const struct architecture *a = &architectures[i];
        if (strcmp(a->hf, name) == 0) {
            c->arch = a->gguf;
            c->pairs = a->pairs;
            c->post_norm = a->post_norm;
            c->norms_from_one = a->norms_from_one;
            return 0;
        }
    }
    return err_set(e, ERR_UNSUPPORTED,
                   "config.json: architecture \"%.64s\" is not supported; Llama, Mistral, "
                   "Granite, Qwen2, Qwen3, Phi3, Olmo2 and Gemma2ForCausalLM are",
                   name ? name : "");
}

/* A whole number from 1 on; `fallback` where it is absent, 0: it must be there. */
static int read_size(const struct reader *r, const char *key, int fallback, int *out)
{
    const cJSON *item = get(r->config, key);
    if (!item && fallback > 0) {
        *out = fallback;
        return 0;
    }
    double v = item && cJSON_IsNumber(item) ? item->valuedouble : 0.0;
    if (!(v >= 1.0 && v <= 1e9) || floor(v) < v) {
        return err_set(r->e, ERR_FORMAT, "config.json: \"%s\" must be a whole number from 1 on",
                       key);
    }
    *out = (int)v;
    return 0;
}

static void put_size(const struct reader *r, const char *key, int value)
{
    char full[KEY_MAX];
    snprintf(full, sizeof(full), "%s.%s", r->arch, key);
    gguf_put_u32(r->out, full, (uint32_t)value);
}

static void put_number(const struct reader *r, const char *key, double value)
{
    char full[KEY_MAX];
    snprintf(full, sizeof(full), "%s.%s", r->arch, key);
    gguf_put_f32(r->out, full, (float)value);
}

static double number_or(const cJSON *object, const char *key, double fallback)
{
    const cJSON *item = get(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

/* A number under another name, where it is there. */
static void copy_number(const struct reader *r, const char *from, const char *to)
{
    const cJSON *item = get(r->config, from);
    if (cJSON_IsNumber(item)) {
        put_number(r, to, item->valuedouble);
    }
}

/* Llama 3.1: frequencies that turn slowly within the old context are divided by the factor,
 * fast ones stay, those between in part. */
static void llama3_factors(struct hf_config *c, const cJSON *scaling, double base, double old)
{
    double factor = number_or(scaling, "factor", 8.0);
    double low = number_or(scaling, "low_freq_factor", 1.0);
    double high = number_or(scaling, "high_freq_factor", 4.0);
    for (int i = 0; i < c->head_dim / 2; i++) {
        double length = 2.0 * M_PI * pow(base, 2.0 * (double)i / (double)c->head_dim);
        double smooth = (old / length - low) / (high - low);
        double by = smooth <= 0.0   ? factor
                    : smooth >= 1.0 ? 1.0
                                    : 1.0 / ((1.0 - smooth) / factor + smooth);
        c->rope_factors[i] = (float)by;
    }
    c->has_rope_factors = true;
}

static int read_rope(struct hf_config *c, const struct reader *r, int context)
{
    const cJSON *scaling = get(r->config, "rope_scaling");
    double base = number_or(r->config, "rope_theta", 10000.0);
    char key[KEY_MAX];
    put_number(r, "rope.freq_base", base);
    put_size(r, "rope.dimension_count", c->head_dim);
    if (!scaling) {
        return 0;
    }
    const char *type = cJSON_GetStringValue(get(scaling, "rope_type"));
    type = type ? type : cJSON_GetStringValue(get(scaling, "type"));
    double old = number_or(scaling, "original_max_position_embeddings", (double)context);
    double factor = number_or(scaling, "factor", 1.0);
    if (type && strcmp(type, "default") == 0) {
        return 0;
    }
    if (type && strcmp(type, "llama3") == 0) {
        llama3_factors(c, scaling, base, old);
        return 0;
    }
    bool yarn = type && strcmp(type, "yarn") == 0;
    if (!yarn && !(type && strcmp(type, "linear") == 0)) {
        return err_set(
            r->e, ERR_UNSUPPORTED,
            "config.json: \"rope_scaling\" of type \"%.32s\" is not supported; linear, "
            "yarn and llama3 are",
            type ? type : "");
    }
    snprintf(key, sizeof(key), "%s.rope.scaling.type", r->arch);
    gguf_put_str(r->out, key, type);
    put_number(r, "rope.scaling.factor", factor);
    if (yarn) {
        put_size(r, "rope.scaling.original_context_length", (int)old);
    }
    return 0;
}

/* What only Granite, Gemma 2 and Phi 3 say. */
static void put_special(const struct reader *r, const struct hf_config *c)
{
    if (strcmp(c->arch, "granite") == 0) {
        copy_number(r, "embedding_multiplier", "embedding_scale");
        copy_number(r, "residual_multiplier", "residual_scale");
        copy_number(r, "attention_multiplier", "attention.scale");
        copy_number(r, "logits_scaling", "logit_scale");
    }
    if (strcmp(c->arch, "gemma2") == 0) {
        copy_number(r, "attn_logit_softcapping", "attn_logit_softcapping");
        copy_number(r, "final_logit_softcapping", "final_logit_softcapping");
        put_number(r, "attention.scale",
                   1.0 / sqrt(number_or(r->config, "query_pre_attn_scalar", c->head_dim)));
    }
    const cJSON *window = get(r->config, "sliding_window");
    bool has_window = strcmp(c->arch, "gemma2") == 0 || strcmp(c->arch, "phi3") == 0;
    if (has_window && cJSON_IsNumber(window) && window->valuedouble >= 1.0 &&
        window->valuedouble < 1e9) {
        put_size(r, "attention.sliding_window", (int)window->valuedouble);
    }
}

int hf_config_read(struct hf_config *c, const cJSON *config, struct gguf_writer *out,
                   struct err *e)
{
    *c = (struct hf_config){0};
    if (find_architecture(c, config, e) != 0) {
        return -1;
    }
    const struct reader r = {.config = config, .out = out, .arch = c->arch, .e = e};
    int layers, width, ffn, context;
    if (read_size(&r, "num_hidden_layers", 0, &layers) != 0 ||
        read_size(&r, "hidden_size", 0, &width) != 0 ||
        read_size(&r, "intermediate_size", 0, &ffn) != 0 ||
        read_size(&r, "vocab_size", 0, &c->vocab) != 0 ||
        read_size(&r, "max_position_embeddings", 0, &context) != 0 ||
        read_size(&r, "num_attention_heads", 0, &c->heads) != 0 ||
        read_size(&r, "num_key_value_heads", c->heads, &c->kv_heads) != 0 ||
        read_size(&r, "head_dim", width / c->heads > 0 ? width / c->heads : 1, &c->head_dim) !=
            0) {
        return -1;
    }
    if (c->head_dim > OPS_HEAD_DIM_MAX || c->head_dim % 2 != 0) {
        return err_set(e, ERR_UNSUPPORTED, "config.json: heads of %d numbers are not supported",
                       c->head_dim);
    }
    c->tied =
        cJSON_IsTrue(get(config, "tie_word_embeddings")) || strcmp(c->arch, "gemma2") == 0;
    gguf_put_str(out, "general.architecture", c->arch);
    put_size(&r, "block_count", layers);
    put_size(&r, "embedding_length", width);
    put_size(&r, "feed_forward_length", ffn);
    put_size(&r, "context_length", context);
    put_size(&r, "attention.head_count", c->heads);
    put_size(&r, "attention.head_count_kv", c->kv_heads);
    put_size(&r, "attention.key_length", c->head_dim);
    put_size(&r, "attention.value_length", c->head_dim);
    put_size(&r, "vocab_size", c->vocab);
    put_number(&r, "attention.layer_norm_rms_epsilon", number_or(config, "rms_norm_eps", 1e-6));
    put_special(&r, c);
    return read_rope(c, &r, context);
}
