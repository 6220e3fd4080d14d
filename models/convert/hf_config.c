#include "models/convert/hf_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define KEY_MAX 96

/* As the reader of GGUF files has it (arch/llama_config.c). */
#define MAX_SIZE    1048576.0
#define MAX_CONTEXT 16777216.0
#define MAX_EXPERTS 512.0

static const struct architecture {
    const char *hf, *gguf;
    bool pairs, post_norm, norms_from_one;
    bool tied;       /* where the file does not say */
    bool transposed; /* matrices have a row for each input */
    bool encoder, nomic;
    bool unturned;                    /* positions are learned */
    bool behind_padding;              /* and the first stands behind that of padding */
    const char *epsilon, *activation; /* NULL: rms_norm_eps, silu */
} architectures[] = {
    {"LlamaForCausalLM", "llama", .pairs = true},
    {"MistralForCausalLM", "llama", .pairs = true},
    {"MixtralForCausalLM", "llama", .pairs = true},
    {"GraniteForCausalLM", "granite", .pairs = true},
    {"Qwen2ForCausalLM", "qwen2", .pairs = false},
    {"Qwen2MoeForCausalLM", "qwen2moe", .pairs = false},
    {"Qwen3ForCausalLM", "qwen3", .pairs = false},
    {"Qwen3MoeForCausalLM", "qwen3moe", .pairs = false},
    {"Phi3ForCausalLM", "phi3", .pairs = false},
    {"Olmo2ForCausalLM", "olmo2", .post_norm = true},
    {"Gemma2ForCausalLM", "gemma2", .post_norm = true, .norms_from_one = true, .tied = true,
     .activation = "gelu_pytorch_tanh"},
    {"Gemma3ForCausalLM", "gemma3", .post_norm = true, .norms_from_one = true, .tied = true,
     .activation = "gelu_pytorch_tanh"},
    {"SmolLM3ForCausalLM", "smollm3", .pairs = true},
    {"Starcoder2ForCausalLM", "starcoder2", .tied = true, .epsilon = "norm_epsilon",
     .activation = "gelu_pytorch_tanh"},
    {"StableLmForCausalLM", "stablelm", .epsilon = "layer_norm_eps"},
    {"GPT2LMHeadModel", "gpt2", .tied = true, .transposed = true, .unturned = true,
     .epsilon = "layer_norm_epsilon", .activation = "gelu_new"},
    {"BertModel", "bert", .encoder = true, .unturned = true, .epsilon = "layer_norm_eps",
     .activation = "gelu"},
    {"XLMRobertaModel", "bert", .encoder = true, .unturned = true, .behind_padding = true,
     .epsilon = "layer_norm_eps", .activation = "gelu"},
    {"NomicBertModel", "nomic-bert", .encoder = true, .nomic = true,
     .epsilon = "layer_norm_epsilon", .activation = "swiglu"},
};

struct reader {
    const cJSON *config;
    struct gguf_writer *out;
    const char *arch;
    struct err *e;
};

static bool is_gemma(const char *arch)
{
    return strcmp(arch, "gemma2") == 0 || strcmp(arch, "gemma3") == 0;
}

/* GPT-2 has names of its own, and Nomic's encoder those and more. */
static const struct {
    const char *key, *older;
} older_names[] = {
    {"hidden_size", "n_embd"},         {"num_hidden_layers", "n_layer"},
    {"num_attention_heads", "n_head"}, {"max_position_embeddings", "n_positions"},
    {"intermediate_size", "n_inner"},  {"hidden_act", "activation_function"},
    {"rope_theta", "rotary_emb_base"}, {"partial_rotary_factor", "rotary_emb_fraction"},
};

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    for (size_t i = 0; !item && i < sizeof(older_names) / sizeof(older_names[0]); i++) {
        if (strcmp(older_names[i].key, key) == 0) {
            item = cJSON_GetObjectItemCaseSensitive(object, older_names[i].older);
        }
    }
    return cJSON_IsNull(item) ? NULL : item;
}

static const struct architecture *find_architecture(struct hf_config *c, const cJSON *config,
                                                    struct err *e)
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
            c->transposed = a->transposed;
            c->encoder = a->encoder;
            c->nomic = a->nomic;
            return a;
        }
    }
    err_set(e, ERR_UNSUPPORTED,
            "config.json: architecture \"%.64s\" is not supported; Llama, Mistral, Mixtral, "
            "Granite, Qwen2, Qwen2Moe, Qwen3, Qwen3Moe, Phi3, Olmo2, Gemma2, Gemma3, SmolLM3, "
            "Starcoder2, StableLmForCausalLM, GPT2LMHeadModel, BertModel, XLMRobertaModel and "
            "NomicBertModel are",
            name ? name : "");
    return NULL;
}

/* A whole number from 1 to max; `fallback` where it is absent, 0: it must be there. */
static int read_size(const struct reader *r, const char *key, int fallback, double max,
                     int *out)
{
    const cJSON *item = get(r->config, key);
    if (!item && fallback > 0) {
        *out = fallback;
        return 0;
    }
    double v = item && cJSON_IsNumber(item) ? item->valuedouble : 0.0;
    if (!(v >= 1.0 && v <= max) || floor(v) < v) {
        return err_set(r->e, ERR_FORMAT,
                       "config.json: \"%s\" must be a whole number from 1 to %.0f", key, max);
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

/* What RoPE scaling says of itself. */
struct scaling {
    const char *type;
    double factor; /* 0: not said */
    double context, old_context, base;
};

/* Llama 3.1: frequencies that turn slowly within the old context are divided by the factor,
 * fast ones stay, those between in part. */
static int llama3_factors(struct hf_config *c, const struct reader *r, const cJSON *item,
                          const struct scaling *s)
{
    double low = number_or(item, "low_freq_factor", 1.0);
    double high = number_or(item, "high_freq_factor", 4.0);
    if (!(high > low) || !(s->factor > 0.0)) {
        return err_set(r->e, ERR_FORMAT,
                       "config.json: RoPE scaling needs a \"factor\" above 0 and a "
                       "\"high_freq_factor\" above \"low_freq_factor\"");
    }
    for (int i = 0; i < c->rope_dims / 2; i++) {
        double length = 2.0 * M_PI * pow(s->base, 2.0 * (double)i / (double)c->rope_dims);
        double smooth = (s->old_context / length - low) / (high - low);
        smooth = fmin(1.0, fmax(0.0, smooth));
        c->rope_factors[i] = (float)(1.0 / ((1.0 - smooth) / s->factor + smooth));
    }
    c->has_rope_factors = true;
    return 0;
}

/* "attention_factor" is the whole magnitude; GGUF has what it is beside YaRN's own. */
static void put_yarn(const struct reader *r, const cJSON *item, const struct scaling *s)
{
    static const struct {
        const char *hf, *gguf;
    } betas[] = {{"beta_fast", "rope.scaling.yarn_beta_fast"},
                 {"beta_slow", "rope.scaling.yarn_beta_slow"}};
    const cJSON *magnitude = get(item, "attention_factor");
    put_size(r, "rope.scaling.original_context_length", (int)s->old_context);
    for (size_t i = 0; i < sizeof(betas) / sizeof(betas[0]); i++) {
        const cJSON *beta = get(item, betas[i].hf);
        if (cJSON_IsNumber(beta)) {
            put_number(r, betas[i].gguf, beta->valuedouble);
        }
    }
    if (cJSON_IsNumber(magnitude)) {
        put_number(r, "rope.scaling.attn_factor",
                   magnitude->valuedouble / (1.0 + 0.1 * log(s->factor)));
    }
}

static int read_factors(const struct hf_config *c, const struct reader *r, const cJSON *item,
                        const char *key, float *to)
{
    const cJSON *list = get(item, key), *number;
    int n = 0;
    if (cJSON_GetArraySize(list) == c->rope_dims / 2) {
        cJSON_ArrayForEach(number, list)
        {
            to[n++] = cJSON_IsNumber(number) ? (float)number->valuedouble : 0.0f;
        }
    }
    for (int i = 0; i < c->rope_dims / 2; i++) {
        if (n == 0 || !(to[i] > 0.0f)) {
            return err_set(r->e, ERR_FORMAT, "config.json: \"%s\" must have %d numbers above 0",
                           key, c->rope_dims / 2);
        }
    }
    return 0;
}

/* LongRoPE: a set of factors for contexts as long as those of the first training, and one for
 * longer ones. */
static int put_longrope(struct hf_config *c, const struct reader *r, const cJSON *item,
                        const struct scaling *s)
{
    double longer = s->factor > 0.0 ? s->factor : s->context / s->old_context;
    double magnitude = longer > 1.0 ? sqrt(1.0 + log(longer) / log(s->old_context)) : 1.0;
    c->has_rope_factors_long = true;
    put_size(r, "rope.scaling.original_context_length", (int)s->old_context);
    put_number(r, "rope.scaling.attn_factor", number_or(item, "attention_factor", magnitude));
    return read_factors(c, r, item, "short_factor", c->rope_factors) != 0 ||
                   read_factors(c, r, item, "long_factor", c->rope_factors_long) != 0
               ? -1
               : 0;
}

static int put_scaling(struct hf_config *c, const struct reader *r, const cJSON *item,
                       const struct scaling *s)
{
    char key[KEY_MAX];
    if (strcmp(s->type, "default") == 0) {
        return 0;
    }
    if (!(s->old_context >= 2.0 && s->old_context <= MAX_CONTEXT)) {
        return err_set(
            r->e, ERR_FORMAT,
            "config.json: \"original_max_position_embeddings\" must be from 2 to %.0f",
            MAX_CONTEXT);
    }
    if (strcmp(s->type, "longrope") == 0 || strcmp(s->type, "su") == 0) {
        return put_longrope(c, r, item, s);
    }
    if (strcmp(s->type, "llama3") == 0) {
        return llama3_factors(c, r, item, s);
    }
    bool yarn = strcmp(s->type, "yarn") == 0;
    if (!yarn && strcmp(s->type, "linear") != 0) {
        return err_set(r->e, ERR_UNSUPPORTED,
                       "config.json: RoPE scaling of type \"%.32s\" is not supported; linear, "
                       "yarn, longrope and llama3 are",
                       s->type);
    }
    if (!(s->factor > 0.0)) {
        return err_set(r->e, ERR_FORMAT,
                       "config.json: RoPE scaling of type %s needs a \"factor\" above 0",
                       s->type);
    }
    snprintf(key, sizeof(key), "%s.rope.scaling.type", r->arch);
    gguf_put_str(r->out, key, s->type);
    put_number(r, "rope.scaling.factor", s->factor);
    if (yarn) {
        put_yarn(r, item, s);
    }
    return 0;
}

/* A part of each head may be turned alone: Phi-4-mini turns three quarters. */
static int read_rope_dims(struct hf_config *c, const struct reader *r, const cJSON *rope)
{
    double part = number_or(rope, "partial_rotary_factor",
                            number_or(r->config, "partial_rotary_factor", 1.0));
    double dims = part * (double)c->head_dim;
    if (!(part > 0.0 && part <= 1.0) || dims < 2.0 || (int)dims % 2 != 0) {
        return err_set(r->e, ERR_FORMAT,
                       "config.json: \"partial_rotary_factor\" %g must be above 0 and at most "
                       "1, and turn an even count of a head's %d numbers",
                       part, c->head_dim);
    }
    c->rope_dims = (int)dims;
    put_size(r, "rope.dimension_count", c->rope_dims);
    return 0;
}

/* Newer files say all of it in "rope_parameters". */
static int read_rope(struct hf_config *c, const struct reader *r, int context)
{
    const cJSON *item = get(r->config, "rope_parameters");
    item = item ? item : get(r->config, "rope_scaling");
    /* Where layers differ, this is about those that see everything. */
    item = get(item, "full_attention") ? get(item, "full_attention") : item;
    const char *type = cJSON_GetStringValue(get(item, "rope_type"));
    type = type ? type : cJSON_GetStringValue(get(item, "type"));
    double base = number_or(r->config, "rope_theta", 10000.0);
    const struct scaling s = {
        .type = type                           ? type
                : item && !get(item, "factor") ? "default"
                                               : "",
        .factor = number_or(item, "factor", 0.0),
        .context = (double)context,
        .old_context = number_or(
            item, "original_max_position_embeddings",
            number_or(r->config, "original_max_position_embeddings", (double)context)),
        .base = number_or(item, "rope_theta", base)};
    put_number(r, "rope.freq_base", s.base);
    if (read_rope_dims(c, r, item) != 0) {
        return -1;
    }
    return item ? put_scaling(c, r, item, &s) : 0;
}

/* What is computed in one way only. */
static int check_known(const struct reader *r, const struct architecture *a)
{
    const char *activation = cJSON_GetStringValue(get(r->config, "hidden_activation"));
    activation = activation ? activation : cJSON_GetStringValue(get(r->config, "hidden_act"));
    const char *known = a->activation ? a->activation : "silu";
    if (activation && strcmp(activation, known) != 0) {
        return err_set(r->e, ERR_UNSUPPORTED,
                       "config.json: activation \"%.32s\" is not supported in %s; %s is",
                       activation, r->arch, known);
    }
    /* Flags, and counts and factors that are not 0. Those of StableLM are known there. */
    static const char *const other_networks[] = {"use_parallel_residual",
                                                 "qk_layernorm",
                                                 "scale_attn_by_inverse_layer_idx",
                                                 "prenorm",
                                                 "parallel_block",
                                                 "use_rms_norm",
                                                 "causal",
                                                 "rotary_emb_interleaved",
                                                 "rotary_emb_scale_base",
                                                 "rotary_scaling_factor",
                                                 "moe_every_n_layers"};
    size_t first = strcmp(r->arch, "stablelm") == 0 ? 2 : 0;
    for (size_t i = first; i < sizeof(other_networks) / sizeof(other_networks[0]); i++) {
        const cJSON *item = get(r->config, other_networks[i]);
        if (cJSON_IsTrue(item) || (cJSON_IsNumber(item) && item->valuedouble != 0.0)) {
            return err_set(r->e, ERR_UNSUPPORTED, "config.json: \"%s\" is not supported in %s",
                           other_networks[i], r->arch);
        }
    }
    return 0;
}

/* One layer in `period` is of another kind than the rest: the last of each. Older files give
 * the period, newer ones a list of layers. */
static int check_period(const struct reader *r, const char *list_key, const char *other,
                        int period)
{
    const cJSON *item;
    int layer = 0;
    cJSON_ArrayForEach(item, get(r->config, list_key))
    {
        const char *name = cJSON_GetStringValue(item);
        bool is_other =
            name ? strcmp(name, other) == 0 : cJSON_IsNumber(item) && item->valuedouble == 0.0;
        if (is_other != (++layer % period == 0)) {
            return err_set(r->e, ERR_UNSUPPORTED,
                           "config.json: \"%s\" is not one layer in %d, as in others of %s",
                           list_key, period, r->arch);
        }
    }
    return 0;
}

/* Gemma 3: a window in five layers of six, and a rotary base of its own in those. */
static int put_gemma3(const struct reader *r)
{
    const cJSON *rope = get(get(r->config, "rope_parameters"), "sliding_attention");
    int period;
    if (read_size(r, "sliding_window_pattern", 6, MAX_SIZE, &period) != 0 ||
        check_period(r, "layer_types", "full_attention", period) != 0) {
        return -1;
    }
    put_size(r, "attention.sliding_window_pattern", period);
    put_number(
        r, "rope.freq_base_swa",
        number_or(rope, "rope_theta", number_or(r->config, "rope_local_base_freq", 10000.0)));
    return 0;
}

/* Whether the weights of the experts chosen sum to 1 is part of the architecture in GGUF, and
 * so is that every layer is a mixture. */
static int check_mixture(const struct reader *r)
{
    const cJSON *share = get(r->config, "norm_topk_prob");
    bool shares = strcmp(r->arch, "qwen2moe") != 0;
    if (cJSON_IsBool(share) && (cJSON_IsTrue(share) != 0) != shares) {
        return err_set(r->e, ERR_UNSUPPORTED,
                       "config.json: \"norm_topk_prob\" is %s, in %s it has to be %s",
                       shares ? "false" : "true", r->arch, shares ? "true" : "false");
    }
    if (cJSON_GetArraySize(get(r->config, "mlp_only_layers")) > 0 ||
        number_or(r->config, "decoder_sparse_step", 1.0) > 1.0) {
        return err_set(r->e, ERR_UNSUPPORTED,
                       "config.json: layers without experts (\"mlp_only_layers\", "
                       "\"decoder_sparse_step\") are not supported in %s",
                       r->arch);
    }
    return 0;
}

/* Mixtral's experts have the width of "intermediate_size", others their own. */
static int put_mixture(struct hf_config *c, const struct reader *r)
{
    int used, width;
    bool mixtral = get(r->config, "num_local_experts") != NULL;
    if (!mixtral && !get(r->config, "num_experts")) {
        return 0;
    }
    if (read_size(r, mixtral ? "num_local_experts" : "num_experts", 0, MAX_EXPERTS,
                  &c->experts) != 0 ||
        read_size(r, "num_experts_per_tok", 0, c->experts, &used) != 0 ||
        read_size(r, mixtral ? "intermediate_size" : "moe_intermediate_size", 0, MAX_SIZE,
                  &width) != 0 ||
        check_mixture(r) != 0) {
        return -1;
    }
    put_size(r, "expert_count", c->experts);
    put_size(r, "expert_used_count", used);
    put_size(r, "expert_feed_forward_length", width);
    if (get(r->config, "shared_expert_intermediate_size")) {
        int shared;
        if (read_size(r, "shared_expert_intermediate_size", 0, MAX_SIZE, &shared) != 0) {
            return -1;
        }
        put_size(r, "expert_shared_feed_forward_length", shared);
    }
    return 0;
}

static int put_encoder(const struct reader *r)
{
    const char *positions = cJSON_GetStringValue(get(r->config, "position_embedding_type"));
    char causal[KEY_MAX];
    int types;
    if (positions && strcmp(positions, "absolute") != 0) {
        return err_set(r->e, ERR_UNSUPPORTED,
                       "config.json: \"position_embedding_type\" \"%.32s\" is not supported; "
                       "absolute is",
                       positions);
    }
    if (read_size(r, "type_vocab_size", 2, MAX_SIZE, &types) != 0) {
        return -1;
    }
    snprintf(causal, sizeof(causal), "%s.attention.causal", r->arch);
    gguf_put_bool(r->out, causal, false);
    gguf_put_u32(r->out, "tokenizer.ggml.token_type_count", (uint32_t)types);
    return 0;
}

/* What only some architectures say. */
static int put_special(const struct reader *r, struct hf_config *c)
{
    if (strcmp(c->arch, "stablelm") == 0) {
        char parallel[KEY_MAX];
        snprintf(parallel, sizeof(parallel), "%s.use_parallel_residual", c->arch);
        c->parallel = cJSON_IsTrue(get(r->config, "use_parallel_residual"));
        gguf_put_bool(r->out, parallel, c->parallel);
    }
    if (strcmp(c->arch, "granite") == 0) {
        copy_number(r, "embedding_multiplier", "embedding_scale");
        copy_number(r, "residual_multiplier", "residual_scale");
        copy_number(r, "attention_multiplier", "attention.scale");
        copy_number(r, "logits_scaling", "logit_scale");
    }
    if (is_gemma(c->arch)) {
        copy_number(r, "attn_logit_softcapping", "attn_logit_softcapping");
        copy_number(r, "final_logit_softcapping", "final_logit_softcapping");
        put_number(r, "attention.scale",
                   1.0 / sqrt(number_or(r->config, "query_pre_attn_scalar", c->head_dim)));
    }
    const cJSON *window = get(r->config, "sliding_window");
    bool has_window = is_gemma(c->arch) || strcmp(c->arch, "phi3") == 0;
    if (has_window && cJSON_IsNumber(window) && window->valuedouble >= 1.0 &&
        window->valuedouble < 1e9) {
        put_size(r, "attention.sliding_window", (int)window->valuedouble);
    }
    if (strcmp(c->arch, "gemma3") == 0) {
        return put_gemma3(r);
    }
    if (c->encoder) {
        return put_encoder(r);
    }
    return strcmp(c->arch, "smollm3") == 0 ? check_period(r, "no_rope_layers", "", 4) : 0;
}

/* Nomic's encoder says longer than it was trained for, for those that stretch its positions.
 * RoBERTa leaves the first ones unused. */
static int read_context(struct hf_config *c, const struct reader *r,
                        const struct architecture *a, int *out)
{
    int trained;
    if (read_size(r, "max_position_embeddings", 0, MAX_CONTEXT, out) != 0 ||
        read_size(r, "max_trained_positions", 2048, MAX_CONTEXT, &trained) != 0) {
        return -1;
    }
    *out = a->nomic && trained < *out ? trained : *out;
    double padding = number_or(r->config, "pad_token_id", 1.0);
    if (!a->behind_padding) {
        return 0;
    }
    if (!(padding >= 0.0 && padding < (double)*out - 1.0) || floor(padding) < padding) {
        return err_set(r->e, ERR_FORMAT,
                       "config.json: \"pad_token_id\" must be a position, and not the last");
    }
    c->positions_unused = (int)padding + 1;
    *out -= c->positions_unused;
    return 0;
}

int hf_config_read(struct hf_config *c, const cJSON *config, struct gguf_writer *out,
                   struct err *e)
{
    *c = (struct hf_config){0};
    const struct architecture *a = find_architecture(c, config, e);
    if (!a) {
        return -1;
    }
    const struct reader r = {.config = config, .out = out, .arch = c->arch, .e = e};
    if (check_known(&r, a) != 0) {
        return -1;
    }
    int layers, width, ffn, context;
    if (read_size(&r, "num_hidden_layers", 0, MAX_SIZE, &layers) != 0 ||
        read_size(&r, "hidden_size", 0, MAX_SIZE, &width) != 0 ||
        read_size(&r, "intermediate_size", a->transposed ? 4 * width : 0, MAX_SIZE, &ffn) !=
            0 ||
        read_size(&r, "vocab_size", 0, MAX_SIZE, &c->vocab) != 0 ||
        read_context(c, &r, a, &context) != 0 ||
        read_size(&r, "num_attention_heads", 0, MAX_SIZE, &c->heads) != 0 ||
        read_size(&r, "num_key_value_heads", c->heads, MAX_SIZE, &c->kv_heads) != 0 ||
        read_size(&r, "head_dim", width / c->heads > 0 ? width / c->heads : 1, MAX_SIZE,
                  &c->head_dim) != 0) {
        return -1;
    }
    if (c->head_dim > OPS_HEAD_DIM_MAX || c->head_dim % 2 != 0) {
        return err_set(e, ERR_UNSUPPORTED, "config.json: heads of %d numbers are not supported",
                       c->head_dim);
    }
    c->tied = a->tied ? !cJSON_IsFalse(get(config, "tie_word_embeddings"))
                      : cJSON_IsTrue(get(config, "tie_word_embeddings"));
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
    if (a->epsilon) {
        put_number(&r, "attention.layer_norm_epsilon", number_or(config, a->epsilon, 1e-5));
    } else {
        put_number(&r, "attention.layer_norm_rms_epsilon",
                   number_or(config, "rms_norm_eps", 1e-6));
    }
    return put_special(&r, c) != 0 || put_mixture(c, &r) != 0 ? -1
           : a->unturned                                      ? 0
                                                              : read_rope(c, &r, context);
}
