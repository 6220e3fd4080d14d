#include "models/convert/hf_tensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/arch/llama_config.h"
#include "quant/q8.h"
#include "runtime/base/mem.h"

static const struct {
    const char *hf, *gguf;
} outer[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"model.norm.bias", "output_norm.bias"},
    {"lm_head.weight", "output.weight"},
    {"wte.weight", "token_embd.weight"},
    {"wpe.weight", "position_embd.weight"},
    {"ln_f.weight", "output_norm.weight"},
    {"ln_f.bias", "output_norm.bias"},
    {"embeddings.word_embeddings.weight", "token_embd.weight"},
    {"embeddings.position_embeddings.weight", "position_embd.weight"},
    {"embeddings.token_type_embeddings.weight", "token_types.weight"},
    {"embeddings.LayerNorm.weight", "token_embd_norm.weight"},
    {"embeddings.LayerNorm.bias", "token_embd_norm.bias"},
    {"emb_ln.weight", "token_embd_norm.weight"},
    {"emb_ln.bias", "token_embd_norm.bias"},
    /* Not for embeddings, and not numbers of the model. */
    {"pooler.dense.weight", ""},
    {"pooler.dense.bias", ""},
    {"embeddings.position_ids", ""},
};

/* Behind "model.layers.N.", "h.N.", "encoder.layer.N." or "encoder.layers.N.", and "blk.N.". */
static const struct {
    const char *hf, *gguf;
} inner[] = {
    {"input_layernorm.weight", "attn_norm.weight"},
    {"input_layernorm.bias", "attn_norm.bias"},
    {"post_attention_layernorm.bias", "ffn_norm.bias"},
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
    {"self_attn.o_proj.bias", "attn_output.bias"},
    {"mlp.gate_proj.weight", "ffn_gate.weight"},
    {"mlp.up_proj.weight", "ffn_up.weight"},
    {"mlp.gate_up_proj.weight", "ffn_up.weight"},
    {"mlp.down_proj.weight", "ffn_down.weight"},
    {"mlp.c_fc.weight", "ffn_up.weight"},
    {"mlp.c_fc.bias", "ffn_up.bias"},
    {"mlp.c_proj.weight", "ffn_down.weight"},
    {"mlp.c_proj.bias", "ffn_down.bias"},
    {"ln_1.weight", "attn_norm.weight"},
    {"ln_1.bias", "attn_norm.bias"},
    {"ln_2.weight", "ffn_norm.weight"},
    {"ln_2.bias", "ffn_norm.bias"},
    {"attn.c_attn.weight", "attn_qkv.weight"},
    {"attn.c_attn.bias", "attn_qkv.bias"},
    {"attn.c_proj.weight", "attn_output.weight"},
    {"attn.c_proj.bias", "attn_output.bias"},
    {"attention.self.query.weight", "attn_q.weight"},
    {"attention.self.query.bias", "attn_q.bias"},
    {"attention.self.key.weight", "attn_k.weight"},
    {"attention.self.key.bias", "attn_k.bias"},
    {"attention.self.value.weight", "attn_v.weight"},
    {"attention.self.value.bias", "attn_v.bias"},
    {"attention.output.dense.weight", "attn_output.weight"},
    {"attention.output.dense.bias", "attn_output.bias"},
    {"attention.output.LayerNorm.weight", "attn_output_norm.weight"},
    {"attention.output.LayerNorm.bias", "attn_output_norm.bias"},
    {"intermediate.dense.weight", "ffn_up.weight"},
    {"intermediate.dense.bias", "ffn_up.bias"},
    {"output.dense.weight", "ffn_down.weight"},
    {"output.dense.bias", "ffn_down.bias"},
    {"output.LayerNorm.weight", "layer_output_norm.weight"},
    {"output.LayerNorm.bias", "layer_output_norm.bias"},
    {"attn.Wqkv.weight", "attn_qkv.weight"},
    {"attn.out_proj.weight", "attn_output.weight"},
    {"norm1.weight", "attn_output_norm.weight"},
    {"norm1.bias", "attn_output_norm.bias"},
    {"mlp.fc11.weight", "ffn_up.weight"},
    {"mlp.fc12.weight", "ffn_gate.weight"},
    {"mlp.fc2.weight", "ffn_down.weight"},
    {"norm2.weight", "layer_output_norm.weight"},
    {"norm2.bias", "layer_output_norm.bias"},
    {"mlp.gate.weight", "ffn_gate_inp.weight"},
    {"block_sparse_moe.gate.weight", "ffn_gate_inp.weight"},
    {"mlp.shared_expert_gate.weight", "ffn_gate_inp_shexp.weight"},
    {"mlp.shared_expert.gate_proj.weight", "ffn_gate_shexp.weight"},
    {"mlp.shared_expert.up_proj.weight", "ffn_up_shexp.weight"},
    {"mlp.shared_expert.down_proj.weight", "ffn_down_shexp.weight"},
    {"pre_feedforward_layernorm.weight", "ffn_norm.weight"},
    {"post_feedforward_layernorm.weight", "post_ffw_norm.weight"},
};

/* One of many that become one tensor: PREFIX.NUMBER.REST. */
static const struct {
    const char *prefix, *rest, *gguf;
    enum { EXPERTS, HEADS, KV_HEADS } of;
} numbered[] = {
    {"mlp.experts.", "gate_proj.weight", "ffn_gate_exps.weight", EXPERTS},
    {"mlp.experts.", "up_proj.weight", "ffn_up_exps.weight", EXPERTS},
    {"mlp.experts.", "down_proj.weight", "ffn_down_exps.weight", EXPERTS},
    {"block_sparse_moe.experts.", "w1.weight", "ffn_gate_exps.weight", EXPERTS},
    {"block_sparse_moe.experts.", "w3.weight", "ffn_up_exps.weight", EXPERTS},
    {"block_sparse_moe.experts.", "w2.weight", "ffn_down_exps.weight", EXPERTS},
    {"self_attn.q_layernorm.norms.", "weight", "attn_q_norm.weight", HEADS},
    {"self_attn.k_layernorm.norms.", "weight", "attn_k_norm.weight", KV_HEADS},
};

/* Of old checkpoints; computed here. */
static const char *const computed[] = {"self_attn.rotary_emb.inv_freq", "attn.bias",
                                       "attn.masked_bias"};

static const char *inner_name(const char *rest, const struct hf_config *c)
{
    static const char second_norm[] = "post_attention_layernorm.";
    if (c->parallel && strncmp(rest, second_norm, strlen(second_norm)) == 0) {
        return NULL;
    }
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

/* Which of how many numbered tensors one is. */
struct place {
    long index; /* -1: it is not numbered */
    int of;
};

/* "mlp.experts.3.up_proj.weight": the tensor of all experts. */
static const char *numbered_name(const char *rest, const struct hf_config *c, struct place *at)
{
    const int counts[] = {[EXPERTS] = c->experts, [HEADS] = c->heads, [KV_HEADS] = c->kv_heads};
    for (size_t i = 0; i < sizeof(numbered) / sizeof(numbered[0]); i++) {
        size_t len = strlen(numbered[i].prefix);
        char *end;
        if (strncmp(rest, numbered[i].prefix, len) != 0) {
            continue;
        }
        long index = strtol(rest + len, &end, 10);
        if (*end == '.' && index >= 0 && strcmp(end + 1, numbered[i].rest) == 0) {
            *at = (struct place){index, counts[numbered[i].of]};
            return numbered[i].gguf;
        }
    }
    return NULL;
}

/* The name in GGUF; "" for what is left out, NULL for what is not known. */
static const char *translate(const char *name, const struct hf_config *c,
                             char out[GGUF_MAX_TENSOR_NAME], struct place *at)
{
    *at = (struct place){.index = -1};
    const char *whole = c->transposed         ? "transformer."
                        : c->positions_unused ? "roberta."
                        : c->encoder          ? "bert."
                                              : "";
    if (strncmp(name, whole, strlen(whole)) == 0) {
        name += strlen(whole);
    }
    for (size_t i = 0; i < sizeof(outer) / sizeof(outer[0]); i++) {
        if (strcmp(outer[i].hf, name) == 0) {
            bool copy = c->tied && strcmp(name, "lm_head.weight") == 0;
            return copy ? "" : outer[i].gguf;
        }
    }
    const char *prefix = c->transposed ? "h."
                         : c->nomic    ? "encoder.layers."
                         : c->encoder  ? "encoder.layer."
                                       : "model.layers.";
    if (strncmp(name, prefix, strlen(prefix)) != 0) {
        return NULL;
    }
    char *rest;
    unsigned long layer = strtoul(name + strlen(prefix), &rest, 10);
    if (*rest != '.' || layer > 9999) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(computed) / sizeof(computed[0]); i++) {
        if (strcmp(computed[i], rest + 1) == 0) {
            return "";
        }
    }
    const char *part = inner_name(rest + 1, c);
    part = part ? part : numbered_name(rest + 1, c, at);
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
    uint64_t first, n, width; /* rows, and numbers in each */
    uint64_t head_dim;        /* of heads to put into pairs, or 0 */
    uint64_t rope_dims;
    bool plus_one;
    bool transposed; /* a row here is a column there */
};

/* Row i of the tensor in the file, or column i, as floats. */
static void read_row(const struct rows *r, uint64_t i, float *row)
{
    uint32_t type = r->from->type; /* safetensors.h has types that can be read */
    if (!r->transposed) {
        size_t bytes = (size_t)tensor_type_row_bytes(type, r->width);
        (void)tensor_row_to_f32(type, r->from->data + (r->first + i) * bytes, row,
                                (size_t)r->width);
        return;
    }
    size_t bytes = (size_t)tensor_type_row_bytes(type, 1);
    for (uint64_t k = 0; k < r->width; k++) {
        (void)tensor_row_to_f32(type, r->from->data + (k * r->n + i) * bytes, row + k, 1);
    }
}

static int convert_rows(const struct rows *r, uint32_t type, float *row, unsigned char *to)
{
    size_t to_bytes = (size_t)tensor_type_row_bytes(type, r->width);
    for (uint64_t i = 0; i < r->n; i++, to += to_bytes) {
        uint64_t source = r->head_dim ? llama_row_in_halves(i, r->head_dim, r->rope_dims) : i;
        read_row(r, source, row);
        for (uint64_t k = 0; r->plus_one && k < r->width; k++) {
            row[k] += 1.0f;
        }
        if (tensor_row_from_f32(type, row, to, (size_t)r->width) != 0) {
            return -1;
        }
    }
    return 0;
}

/* What becomes of a tensor's rows, and of which type they then are. */
static int describe(struct rows *r, uint32_t *type, const struct safetensor *from,
                    const char *name, const struct hf_config *c, struct err *e)
{
    bool vector = from->n_dims == 1 || strstr(name, ".ffn_gate_inp_shexp.");
    *r = (struct rows){.from = from, .n = from->n_dims == 1 ? 1 : from->dims[0]};
    r->width = from->n_dims == 1 ? from->dims[0] : from->dims[1];
    if (from->n_dims > 2) {
        return err_set(e, ERR_UNSUPPORTED,
                       "tensor \"%.64s\" has %zu dimensions, 1 and 2 are known", from->name,
                       from->n_dims);
    }
    if (c->pairs && has_heads(name)) {
        r->head_dim = (uint64_t)c->head_dim;
        r->rope_dims = (uint64_t)c->rope_dims;
        if (vector) { /* a bias: each number is a row */
            r->n = r->width;
            r->width = 1;
        }
        if (r->n % r->head_dim != 0) {
            return err_set(e, ERR_FORMAT,
                           "tensor \"%.64s\" has %" PRIu64 " rows, not whole heads", from->name,
                           r->n);
        }
    }
    if (c->transposed && !vector && strstr(name, "blk.")) {
        r->transposed = true;
        r->n = from->dims[1];
        r->width = from->dims[0];
    }
    uint64_t unused = (uint64_t)c->positions_unused;
    if (strcmp(name, "position_embd.weight") == 0 && r->n > unused) {
        r->first = unused;
        r->n -= unused;
    }
    r->plus_one = c->norms_from_one && vector && strstr(name, "norm.");
    bool table = strstr(name, ".ffn_gate_inp.") || strcmp(name, "position_embd.weight") == 0 ||
                 strcmp(name, "token_types.weight") == 0;
    if (vector || table || r->width % Q8_GROUP != 0) {
        *type = TENSOR_F32;
    }
    return 0;
}

static int convert_into(const struct rows *r, uint32_t type, unsigned char *to, struct err *e)
{
    float *row = mem_array((size_t)r->width, sizeof(*row));
    int rc = row ? 0 : err_nomem(e);
    if (rc == 0 && convert_rows(r, type, row, to) != 0) {
        rc = err_set(e, ERR_FORMAT,
                     "tensor \"%.64s\" holds a number that is not finite or too large for %s",
                     r->from->name, tensor_type_info(type)->name);
    }
    mem_free(row);
    return rc;
}

static int add(struct hf_tensors *t, const struct safetensor *from, const char *name,
               const struct hf_config *c, uint32_t type, struct gguf_writer *out, struct err *e)
{
    struct rows r;
    if (describe(&r, &type, from, name, c, e) != 0) {
        return -1;
    }
    unsigned char *data = mem_array((size_t)r.n, (size_t)tensor_type_row_bytes(type, r.width));
    t->data[t->count++] = data;
    if (!data) {
        return err_nomem(e);
    }
    if (convert_into(&r, type, data, e) != 0) {
        return -1;
    }
    bool vector = from->n_dims == 1 || from->dims[0] == 1;
    const uint64_t dims[2] = {from->n_dims == 1 ? from->dims[0] : r.width, r.n};
    gguf_add_tensor(out, name, type, vector ? 1 : 2, dims, data);
    return 0;
}

/* What numbered tensors become, the experts of a layer's matrix: one behind the other. */
struct hf_stack {
    char name[GGUF_MAX_TENSOR_NAME];
    uint32_t type;
    uint64_t rows, width; /* of each */
    unsigned char *data;
    int count;
    bool *there; /* (count) */
};

/* Each has the size of the first. */
static struct hf_stack *find_stack(struct hf_tensors *t, const char *name, const struct rows *r,
                                   uint32_t type, int count, struct err *e)
{
    for (size_t i = t->n_stacks; i-- > 0;) {
        if (strcmp(t->stacks[i].name, name) == 0) {
            return &t->stacks[i];
        }
    }
    struct hf_stack *more = mem_realloc_array(t->stacks, t->n_stacks + 1, sizeof(*more));
    if (!more) {
        err_nomem(e);
        return NULL;
    }
    t->stacks = more;
    struct hf_stack *s = &t->stacks[t->n_stacks++];
    *s = (struct hf_stack){.type = type, .rows = r->n, .width = r->width, .count = count};
    snprintf(s->name, sizeof(s->name), "%s", name);
    size_t bytes = (size_t)tensor_type_row_bytes(type, r->width), all;
    s->there = mem_zarray((size_t)count, sizeof(*s->there));
    s->data = __builtin_mul_overflow((size_t)r->n, (size_t)count, &all) ? NULL
                                                                        : mem_array(all, bytes);
    if (!s->there || !s->data) {
        err_nomem(e);
        return NULL;
    }
    return s;
}

static int add_numbered(struct hf_tensors *t, const struct safetensor *from, const char *name,
                        const struct place *at, const struct hf_config *c, uint32_t type,
                        struct err *e)
{
    struct rows r;
    if (at->index >= at->of) {
        return err_set(e, ERR_FORMAT, "tensor \"%.64s\": by config.json there are %d",
                       from->name, at->of);
    }
    if (describe(&r, &type, from, name, c, e) != 0) {
        return -1;
    }
    struct hf_stack *s = find_stack(t, name, &r, type, at->of, e);
    if (!s) {
        return -1;
    }
    if (s->rows != r.n || s->width != r.width || s->there[at->index]) {
        return err_set(e, ERR_FORMAT,
                       "tensor \"%.64s\" has another size than others, or is there twice",
                       from->name);
    }
    s->there[at->index] = true;
    size_t bytes = (size_t)r.n * (size_t)tensor_type_row_bytes(type, r.width);
    return convert_into(&r, type, s->data + (size_t)at->index * bytes, e);
}

static int put_stacks(const struct hf_tensors *t, struct gguf_writer *out, struct err *e)
{
    for (size_t i = 0; i < t->n_stacks; i++) {
        const struct hf_stack *s = &t->stacks[i];
        for (int k = 0; k < s->count; k++) {
            if (!s->there[k]) {
                return err_set(e, ERR_FORMAT, "number %d of %d is missing for \"%s\"", k,
                               s->count, s->name);
            }
        }
        bool vectors = s->rows == 1;
        const uint64_t dims[3] = {s->width, vectors ? (uint64_t)s->count : s->rows,
                                  (uint64_t)s->count};
        gguf_add_tensor(out, s->name, s->type, vectors ? 2 : 3, dims, s->data);
    }
    return 0;
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
        struct place at;
        const char *name = translate(tensor->name, c, buffer, &at);
        if (!name) {
            return err_set(e, ERR_UNSUPPORTED,
                           "tensor \"%.64s\" is not known in a model of architecture %s",
                           tensor->name, c->arch);
        }
        int rc = at.index >= 0 ? add_numbered(t, tensor, name, &at, c, type, e)
                 : *name       ? add(t, tensor, name, c, type, out, e)
                               : 0;
        if (rc != 0) {
            return -1;
        }
    }
    if (put_stacks(t, out, e) != 0) {
        return -1;
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
    for (size_t i = 0; i < t->n_stacks; i++) {
        mem_free(t->stacks[i].data);
        mem_free(t->stacks[i].there);
    }
    mem_free(t->stacks);
    mem_free(t->data);
    *t = (struct hf_tensors){0};
}
