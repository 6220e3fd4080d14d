#include "models/train/import.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "models/arch/llama_config.h"
#include "models/convert/hf_model.h"
#include "models/format/tensor_type.h"

struct gguf *import_open(const char *path, struct err *e)
{
    struct stat info;
    bool folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    return folder ? hf_model_open(path, TENSOR_F32, e) : gguf_open(path, e);
}

/* What of a model the trainer cannot compute; NULL: nothing. */
static const char *missing_of(const struct llama_config *c)
{
    float scale = 1.0f / sqrtf((float)c->head_dim);
    const struct {
        bool there;
        const char *what;
    } features[] = {
        {c->encoder, "attention in both directions"},
        {c->n_experts > 0, "a mixture of experts"},
        {c->layer_norm, "LayerNorm"},
        {c->learned_positions, "learned positions"},
        {!c->pre_norm || c->post_norm, "norms behind attention and feed-forward"},
        {c->parallel_residual, "a parallel residual"},
        {c->gelu || c->ungated, "another feed-forward network than SwiGLU"},
        {c->fused_qkv || c->fused_gate_up, "fused matrices"},
        {c->out_bias || c->ffn_bias, "biases of attention output or feed-forward"},
        {c->qk_norm != LLAMA_QK_NORM_NONE && c->qk_norm != LLAMA_QK_NORM_HEAD,
         "norms of whole rows of queries and keys"},
        {c->window > 0, "a sliding window"},
        {c->attention_softcap != 0.0f || c->logit_softcap != 0.0f, "soft caps"},
        {c->embedding_scale != 1.0f || c->residual_scale != 1.0f || c->logit_scale != 1.0f ||
             c->attention_scale != scale,
         "scales of embedding, residual, attention or logits"},
        {c->rope_dims != c->head_dim, "positions on a part of each head"},
        {c->rope_trained > 0, "LongRoPE"},
    };
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        if (features[i].there) {
            return features[i].what;
        }
    }
    return NULL;
}

static int check_known(const struct llama_config *c, const struct gguf *g, struct err *e)
{
    const char *missing = missing_of(c);
    if (missing) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: architecture \"%s\" has %s, which cannot be trained here; llama, "
                       "mistral, qwen2, qwen3 and smollm3 can",
                       gguf_path(g), c->arch, missing);
    }
    if (gguf_has(g, "weir.packed")) {
        return err_set(
            e, ERR_UNSUPPORTED,
            "%s: a packed file cannot be trained; take the file that `weir quantize` "
            "made it from",
            gguf_path(g));
    }
    return 0;
}

static int choose_context(const struct llama_config *c, const struct gguf *g, uint32_t asked,
                          uint32_t *out, struct err *e)
{
    uint32_t own = (uint32_t)c->context;
    if (asked > own) {
        return err_set_param(e, ERR_INVALID, "context",
                             "context is %u; %s was trained for up to %u tokens", asked,
                             gguf_path(g), own);
    }
    *out = asked > 0 ? asked : own < IMPORT_CONTEXT ? own : IMPORT_CONTEXT;
    return 0;
}

int import_shape(const struct gguf *g, uint32_t context, struct train_shape *s, struct err *e)
{
    struct llama_config c;
    memset(s, 0, sizeof(*s));
    if (llama_config_from_gguf(&c, g, e) || check_known(&c, g, e) ||
        choose_context(&c, g, context, &s->context, e)) {
        return -1;
    }
    s->d_model = (uint32_t)c.d_model;
    s->n_layers = (uint32_t)c.n_layers;
    s->n_heads = (uint32_t)c.n_heads;
    s->n_kv_heads = (uint32_t)c.n_kv_heads;
    s->ffn = (uint32_t)c.d_ff;
    s->vocab = (uint32_t)c.vocab;
    s->rope_base = c.rope_base;
    s->norm_eps = c.norm_eps;
    s->head_dim = c.head_dim * c.n_heads == c.d_model ? 0 : (uint32_t)c.head_dim;
    s->rope_halves = c.rope == LLAMA_ROPE_HALVES;
    s->qkv_bias = c.qkv_bias;
    s->qk_norm = c.qk_norm == LLAMA_QK_NORM_HEAD;
    s->untied = gguf_tensor_find(g, "output.weight") != NULL;
    s->no_rope_period = (uint32_t)c.no_rope_period;
    /* What is usual is 0, so that two shapes of the same model are the same bytes. */
    s->rope_magnitude = c.rope_magnitude == 1.0f ? 0.0f : c.rope_magnitude;
    for (int i = 0; i < c.head_dim / 2; i++) {
        s->rope_factor[i] = c.rope_factor[i] == 1.0f ? 0.0f : c.rope_factor[i];
    }
    return train_shape_check(s, e) ? err_prefix(e, "%s", gguf_path(g)) : 0;
}

const struct gguf_tensor *import_find(const struct gguf *g, const struct train_tensor *want,
                                      struct err *e)
{
    const struct gguf_tensor *t = gguf_tensor_find(g, want->name);
    if (!t) {
        err_set(e, ERR_FORMAT, "%s: tensor \"%s\" is missing", gguf_path(g), want->name);
        return NULL;
    }
    if (t->dims[0] != want->cols || t->dims[1] != want->rows || t->n_dims > 2) {
        err_set(e, ERR_FORMAT, "%s: tensor \"%s\" is %llu by %llu, %u by %u is expected",
                gguf_path(g), want->name, (unsigned long long)t->dims[0],
                (unsigned long long)t->dims[1], want->cols, want->rows);
        return NULL;
    }
    if (!tensor_type_readable(t->type)) {
        const struct tensor_type_info *info = tensor_type_info(t->type);
        err_set(e, ERR_UNSUPPORTED,
                "%s: tensor \"%s\" has type %s, " TENSOR_READABLE_NAMES " can be read",
                gguf_path(g), want->name, info ? info->name : "?");
        return NULL;
    }
    return t;
}

/* step: floats from a row to the next one at out. */
static int read_rows(const struct gguf *g, const struct train_tensor *want, float *out,
                     size_t step, struct err *e)
{
    const struct gguf_tensor *t = import_find(g, want, e);
    if (!t) {
        return -1;
    }
    size_t row_bytes = (size_t)tensor_type_row_bytes(t->type, want->cols);
    for (uint32_t r = 0; r < want->rows; r++, out += step) {
        const unsigned char *from = (const unsigned char *)t->data + r * row_bytes;
        bool fine = tensor_row_to_f32(t->type, from, out, want->cols) == 0;
        for (uint32_t i = 0; fine && i < want->cols; i++) {
            fine = isfinite(out[i]);
        }
        if (!fine) {
            return err_set(e, ERR_FORMAT, "%s: tensor \"%s\" holds a number that is not finite",
                           gguf_path(g), want->name);
        }
    }
    return 0;
}

int import_tensor(const struct gguf *g, const struct train_tensor *want, float *out,
                  struct err *e)
{
    return read_rows(g, want, out, want->cols, e);
}

int import_scan(const struct gguf *g, const struct train_tensor *want, float *row,
                struct err *e)
{
    return read_rows(g, want, row, 0, e);
}

/* Nothing may be in the file that would be lost. Factors of positions are in the shape. */
int import_check(const struct gguf *g, const struct train_shape *s, struct err *e)
{
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    size_t count = train_shape_tensors(s, tensors);
    for (size_t i = 0; i < gguf_tensor_count(g); i++) {
        const char *name = gguf_tensor_at(g, i)->name;
        size_t at = 0;
        while (at < count && strcmp(tensors[at].name, name) != 0) {
            at++;
        }
        if (at == count && strcmp(name, "rope_freqs.weight") != 0) {
            return err_set(e, ERR_UNSUPPORTED, "%s: tensor \"%s\" is nothing the trainer knows",
                           gguf_path(g), name);
        }
    }
    return 0;
}

int import_params(const struct gguf *g, const struct train_shape *s, float *params,
                  struct err *e)
{
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    size_t count = train_shape_tensors(s, tensors);
    if (import_check(g, s, e)) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (import_tensor(g, &tensors[i], params + tensors[i].offset, e)) {
            return -1;
        }
        const struct gguf_tensor *t = gguf_tensor_find(g, tensors[i].name);
        gguf_give_back(g, t->data, t->size);
    }
    return gguf_check_whole(g, e);
}
