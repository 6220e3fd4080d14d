#include "models/convert/hf_tensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/arch/llama_config.h"
#include "quant/q8.h"
#include "runtime/base/mem.h"

#define LAYER_PREFIX "model.layers."

static const struct {
    const char *hf, *gguf;
} outer[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
};

/* Behind "model.layers.N." and "blk.N.". */
static const struct {
    const char *hf, *gguf;
} inner[] = {
    {"input_layernorm.weight", "attn_norm.weight"},
    {"self_attn.q_proj.weight", "attn_q.weight"},
    {"self_attn.k_proj.weight", "attn_k.weight"},
    {"self_attn.v_proj.weight", "attn_v.weight"},
    {"self_attn.q_proj.bias", "attn_q.bias"},
    {"self_attn.k_proj.bias", "attn_k.bias"},
    {"self_attn.v_proj.bias", "attn_v.bias"},
    {"self_attn.qkv_proj.weight", "attn_qkv.weight"},
    {"self_attn.q_norm.weight", "attn_q_norm.weight"},
    {"self_attn.k_norm.weight", "attn_k_norm.weight"},
    {"self_attn.o_proj.weight", "attn_output.weight"},
    {"mlp.gate_proj.weight", "ffn_gate.weight"},
    {"mlp.up_proj.weight", "ffn_up.weight"},
    {"mlp.gate_up_proj.weight", "ffn_up.weight"},
    {"mlp.down_proj.weight", "ffn_down.weight"},
    {"pre_feedforward_layernorm.weight", "ffn_norm.weight"},
    {"post_feedforward_layernorm.weight", "post_ffw_norm.weight"},
};

/* Of old checkpoints; computed here. */
static const char *const computed[] = {"self_attn.rotary_emb.inv_freq"};

static const char *inner_name(const char *rest, const struct hf_config *c)
{
    if (strcmp(rest, "post_attention_layernorm.weight") == 0) {
        return c->post_norm ? "post_attention_norm.weight" : "ffn_norm.weight";
    }
    for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
        if (strcmp(inner[i].hf, rest) == 0) {
            return inner[i].gguf;
        }
    }
    return NULL;
}

/* The name in GGUF; "" for what is left out, NULL for what is not known. */
static const char *translate(const char *name, const struct hf_config *c,
                             char out[GGUF_MAX_TENSOR_NAME])
{
    for (size_t i = 0; i < sizeof(outer) / sizeof(outer[0]); i++) {
        if (strcmp(outer[i].hf, name) == 0) {
            bool copy = c->tied && strcmp(name, "lm_head.weight") == 0;
            return copy ? "" : outer[i].gguf;
        }
    }
    if (strncmp(name, LAYER_PREFIX, strlen(LAYER_PREFIX)) != 0) {
        return NULL;
    }
    char *rest;
    unsigned long layer = strtoul(name + strlen(LAYER_PREFIX), &rest, 10);
    if (*rest != '.' || layer > 9999) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(computed) / sizeof(computed[0]); i++) {
        if (strcmp(computed[i], rest + 1) == 0) {
            return "";
        }
    }
    const char *part = inner_name(rest + 1, c);
    if (part) {
        snprintf(out, GGUF_MAX_TENSOR_NAME, "blk.%lu.%s", layer, part);
    }
    return part ? out : NULL;
}

/* Whether rows are those of query or key heads. */
static bool has_heads(const char *name)
{
    return strstr(name, ".attn_q.") || strstr(name, ".attn_k.");
}

struct rows {
    const struct safetensor *from;
    uint64_t n, width; /* rows, numbers in each */
    uint64_t head_dim; /* of heads to put into pairs, or 0 */
    uint64_t rope_dims;
    bool plus_one;
};

static int convert_rows(const struct rows *r, uint32_t type, float *row, unsigned char *to)
{
    size_t from_bytes = (size_t)tensor_type_row_bytes(r->from->type, r->width);
    size_t to_bytes = (size_t)tensor_type_row_bytes(type, r->width);
    for (uint64_t i = 0; i < r->n; i++, to += to_bytes) {
        uint64_t source = r->head_dim ? llama_row_in_halves(i, r->head_dim, r->rope_dims) : i;
        (void)tensor_row_to_f32(
            r->from->type, r->from->data + source * from_bytes, row,
            (size_t)r->width); /* safetensors.h has types that can be read */
        for (uint64_t k = 0; r->plus_one && k < r->width; k++) {
            row[k] += 1.0f;
        }
        if (tensor_row_from_f32(type, row, to, (size_t)r->width) != 0) {
            return -1;
        }
    }
    return 0;
}

static int add(struct hf_tensors *t, const struct safetensor *from, const char *name,
               const struct hf_config *c, uint32_t type, struct gguf_writer *out, struct err *e)
{
    bool vector = from->n_dims == 1;
    struct rows r = {.from = from, .n = vector ? 1 : from->dims[0]};
    r.width = vector ? from->dims[0] : from->dims[1];
    if (from->n_dims > 2) {
        return err_set(e, ERR_UNSUPPORTED,
                       "tensor \"%.64s\" has %zu dimensions, 1 and 2 are known", from->name,
                       from->n_dims);
    }
    if (c->pairs && has_heads(name)) {
        r.head_dim = (uint64_t)c->head_dim;
        r.rope_dims = (uint64_t)c->rope_dims;
        if (vector) { /* a bias: each number is a row */
            r.n = r.width;
            r.width = 1;
        }
        if (r.n % r.head_dim != 0) {
            return err_set(e, ERR_FORMAT,
                           "tensor \"%.64s\" has %" PRIu64 " rows, not whole heads", from->name,
                           r.n);
        }
    }
    r.plus_one = c->norms_from_one && vector && strstr(name, "norm.");
    if (vector || r.width % Q8_GROUP != 0) {
        type = TENSOR_F32;
    }
    float *row = mem_array((size_t)r.width, sizeof(*row));
    unsigned char *data = mem_array((size_t)r.n, (size_t)tensor_type_row_bytes(type, r.width));
    t->data[t->count++] = data;
    int rc = row && data ? 0 : err_nomem(e);
    if (rc == 0 && convert_rows(&r, type, row, data) != 0) {
        rc = err_set(e, ERR_FORMAT,
                     "tensor \"%.64s\" holds a number that is not finite or too large for %s",
                     from->name, tensor_type_info(type)->name);
    }
    mem_free(row);
    if (rc == 0) {
        const uint64_t dims[2] = {vector ? from->dims[0] : from->dims[1], from->dims[0]};
        gguf_add_tensor(out, name, type, vector ? 1 : 2, dims, data);
    }
    return rc;
}

int hf_tensors_add(struct hf_tensors *t, const struct safetensors *from,
                   const struct hf_config *c, uint32_t type, struct gguf_writer *out,
                   struct err *e)
{
    size_t n = safetensors_count(from);
    t->data = mem_zarray(n + 1, sizeof(*t->data));
    if (!t->data) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++) {
        char buffer[GGUF_MAX_TENSOR_NAME];
        const struct safetensor *tensor = safetensors_at(from, i);
        const char *name = translate(tensor->name, c, buffer);
        if (!name) {
            return err_set(e, ERR_UNSUPPORTED,
                           "tensor \"%.64s\" is not known in a model of architecture %s",
                           tensor->name, c->arch);
        }
        if (*name && add(t, tensor, name, c, type, out, e) != 0) {
            return -1;
        }
    }
    uint64_t factors = (uint64_t)c->rope_dims / 2;
    if (c->has_rope_factors_long) {
        gguf_add_tensor(out, "rope_factors_short.weight", TENSOR_F32, 1, &factors,
                        c->rope_factors);
        gguf_add_tensor(out, "rope_factors_long.weight", TENSOR_F32, 1, &factors,
                        c->rope_factors_long);
    } else if (c->has_rope_factors) {
        gguf_add_tensor(out, "rope_freqs.weight", TENSOR_F32, 1, &factors, c->rope_factors);
    }
    return 0;
}

void hf_tensors_deinit(struct hf_tensors *t)
{
    for (size_t i = 0; i < t->count; i++) {
        mem_free(t->data[i]);
    }
    mem_free(t->data);
    *t = (struct hf_tensors){0};
}
