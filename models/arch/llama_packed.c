#include "models/arch/llama_packed.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "models/arch/llama_weights.h"

#define VERSION_KEY "weir.packed"

int llama_packed_check(const struct gguf *g, bool *is_packed, struct err *e)
{
    uint32_t version = 0;
    *is_packed = gguf_has(g, VERSION_KEY);
    if (!*is_packed) {
        return 0;
    }
    if (gguf_get_u32(g, VERSION_KEY, &version, e) != 0) {
        return -1;
    }
    if (version != LLAMA_PACKED_VERSION || gguf_alignment(g) % Q8_ALIGN != 0) {
        return err_set(
            e, ERR_UNSUPPORTED,
            "%s: packed in format %u with alignment %u, format %d with a multiple of "
            "%d is known; make it anew with `weir quantize --type packed`",
            gguf_path(g), version, gguf_alignment(g), LLAMA_PACKED_VERSION, Q8_ALIGN);
    }
    return 0;
}

const char *llama_tensor_name(char out[LLAMA_TENSOR_NAME_MAX], int layer, const char *part,
                              const char *suffix)
{
    if (layer < 0) {
        snprintf(out, LLAMA_TENSOR_NAME_MAX, "%s.%s", part, suffix);
    } else {
        snprintf(out, LLAMA_TENSOR_NAME_MAX, "blk.%d.%s.%s", layer, part, suffix);
    }
    return out;
}

const char *const *llama_post_norm_names(const struct llama_config *c)
{
    static const char *const decoder[] = {"post_attention_norm", "post_ffw_norm"};
    static const char *const encoder[] = {"attn_output_norm", "layer_output_norm"};
    return c->encoder ? encoder : decoder;
}

struct check {
    const struct q8_packed *packed;
    atomic_bool bad; /* met a scale that is not finite */
};

static bool scales_are_finite(const struct q8_packed *p, size_t tile)
{
    size_t groups = p->k / Q8_GROUP;
    const uint8_t *scales = p->data + tile * p->tile_bytes + groups * Q8_GROUP * Q8_TILE;
    unsigned bad = 0;
    for (size_t i = 0; i < groups * Q8_TILE; i++) {
        uint16_t scale;
        memcpy(&scale, scales + 2 * i, sizeof(scale));
        bad |= (scale & 0x7C00u) == 0x7C00u;
    }
    return !bad;
}

static void check_share(void *ctx, int worker, int n_workers)
{
    struct check *c = ctx;
    size_t tile;
    size_t end;
    parallel_share(q8_tiles(c->packed), worker, n_workers, &tile, &end);
    for (; tile < end; tile++) {
        if (!scales_are_finite(c->packed, tile)) {
            atomic_store(&c->bad, true);
            return;
        }
    }
}

int llama_packed_matrix(const struct gguf *g, const char *name, size_t n, size_t k,
                        const struct parallel *p, struct q8_packed *out, struct err *e)
{
    const struct gguf_tensor *t = gguf_tensor_find(g, name);
    size_t bytes = q8_packed_bytes(n, k);
    if (!t) {
        return err_set(e, ERR_FORMAT, "%s: tensor \"%s\" is missing", gguf_path(g), name);
    }
    if (t->type != TENSOR_I8 || bytes == 0 || t->size != bytes) {
        return err_set(e, ERR_FORMAT,
                       "%s: tensor \"%s\" has %llu bytes, %zu of type i8 were expected",
                       gguf_path(g), name, (unsigned long long)t->size, bytes);
    }
    q8_packed_init(out, t->data, n, k);
    struct check check = {.packed = out};
    p->run(p->team, check_share, &check);
    return atomic_load(&check.bad)
               ? err_set(e, ERR_FORMAT, "%s: tensor \"%s\" holds a scale that is not finite",
                         gguf_path(g), name)
               : 0;
}

/* --- writing --- */

/* Where tensors of a layer go; -1: of none. */
struct place {
    struct gguf_writer *out;
    int layer;
};

static void put_matrix(struct place at, const char *part, const struct llama_matrix *m)
{
    char name[LLAMA_TENSOR_NAME_MAX];
    uint64_t bytes = q8_packed_bytes(m->n, m->k);
    gguf_add_tensor(at.out, llama_tensor_name(name, at.layer, part, "packed"), TENSOR_I8, 1,
                    &bytes, m->q8.data);
}

/* rows of width numbers; nothing where there are none. */
static void put_floats(struct place at, const char *part, const char *suffix, const float *v,
                       int width, int rows)
{
    char name[LLAMA_TENSOR_NAME_MAX];
    const uint64_t dims[] = {(uint64_t)width, (uint64_t)rows};
    if (v) {
        gguf_add_tensor(at.out, llama_tensor_name(name, at.layer, part, suffix), TENSOR_F32,
                        rows > 1 ? 2 : 1, dims, v);
    }
}

static void put_norm(struct place at, const char *part, const struct llama_norm *norm,
                     int width)
{
    put_floats(at, part, "weight", norm->weight, width, 1);
    put_floats(at, part, "bias", norm->bias, width, 1);
}

/* Biases lie one behind the other in memory, and as the tensors of the model in the file. */
static void put_biases(struct place at, const struct llama_layer *layer,
                       const struct llama_config *c)
{
    const float *qkv = layer->qkv.bias, *gate_up = layer->gate_up.bias;
    int q = c->n_heads * c->head_dim, kv = c->n_kv_heads * c->head_dim;
    if (qkv && c->fused_qkv) {
        put_floats(at, "attn_qkv", "bias", qkv, q + 2 * kv, 1);
    } else if (qkv) {
        put_floats(at, "attn_q", "bias", qkv, q, 1);
        put_floats(at, "attn_k", "bias", qkv + q, kv, 1);
        put_floats(at, "attn_v", "bias", qkv + q + kv, kv, 1);
    }
    put_floats(at, "attn_output", "bias", layer->out.bias, c->d_model, 1);
    if (gate_up && (c->ungated || c->fused_gate_up)) {
        put_floats(at, "ffn_up", "bias", gate_up, c->ungated ? c->d_ff : 2 * c->d_ff, 1);
    } else if (gate_up) {
        put_floats(at, "ffn_gate", "bias", gate_up, c->d_ff, 1);
        put_floats(at, "ffn_up", "bias", gate_up + c->d_ff, c->d_ff, 1);
    }
    put_floats(at, "ffn_down", "bias", layer->down.bias, c->d_model, 1);
}

static void put_experts(struct place at, const struct llama_experts *experts,
                        const struct llama_config *c)
{
    put_floats(at, "ffn_gate_inp", "weight", experts->router, c->d_model, c->n_experts);
    put_floats(at, "ffn_gate_inp_shexp", "weight", experts->shared_gate, c->d_model, 1);
    for (int i = 0; i < c->n_experts; i++) {
        char part[32];
        snprintf(part, sizeof(part), "ffn_gate_up.%d", i);
        put_matrix(at, part, &experts->gate_up[i]);
        snprintf(part, sizeof(part), "ffn_down.%d", i);
        put_matrix(at, part, &experts->down[i]);
    }
}

static void put_layer(struct place at, const struct llama_layer *layer,
                      const struct llama_config *c)
{
    bool per_head = c->qk_norm == LLAMA_QK_NORM_HEAD;
    bool own = c->qk_norm == LLAMA_QK_NORM_OWN;
    put_norm(at, "attn_norm", &layer->attn_norm, c->d_model);
    put_norm(at, llama_post_norm_names(c)[0], &layer->attn_post_norm, c->d_model);
    put_norm(at, "ffn_norm", &layer->ffn_norm, c->d_model);
    put_norm(at, llama_post_norm_names(c)[1], &layer->ffn_post_norm, c->d_model);
    if (own) {
        put_floats(at, "attn_q_norm", "weight", layer->q_norm.weight, c->head_dim, c->n_heads);
        put_floats(at, "attn_k_norm", "weight", layer->k_norm.weight, c->head_dim,
                   c->n_kv_heads);
    } else {
        put_norm(at, "attn_q_norm", &layer->q_norm, c->head_dim * (per_head ? 1 : c->n_heads));
        put_norm(at, "attn_k_norm", &layer->k_norm,
                 c->head_dim * (per_head ? 1 : c->n_kv_heads));
    }
    put_biases(at, layer, c);
    put_matrix(at, "attn_qkv", &layer->qkv.matrix);
    put_matrix(at, "attn_output", &layer->out.matrix);
    if (c->d_ff > 0) {
        put_matrix(at, "ffn_gate_up", &layer->gate_up.matrix);
        put_matrix(at, "ffn_down", &layer->down.matrix);
    }
    if (c->n_experts > 0) {
        put_experts(at, &layer->experts, c);
    }
}

void llama_weights_put_packed(const struct llama_weights *w, const struct llama_config *c,
                              struct gguf_writer *out)
{
    struct place at = {.out = out, .layer = -1};
    gguf_writer_align(out, Q8_ALIGN);
    gguf_put_u32(out, VERSION_KEY, LLAMA_PACKED_VERSION);
    char vocab_key[LLAMA_TENSOR_NAME_MAX];
    snprintf(vocab_key, sizeof(vocab_key), "%s.vocab_size", c->arch);
    gguf_put_u32(out, vocab_key, (uint32_t)c->vocab);
    put_matrix(at, "token_embd", &w->embedding);
    if (w->output.q8.data != w->embedding.q8.data) {
        put_matrix(at, "output", &w->output);
    }
    put_floats(at, "token_types", "weight", w->token_type, c->d_model, 1);
    put_norm(at, "token_embd_norm", &w->embedding_norm, c->d_model);
    put_norm(at, "output_norm", &w->output_norm, c->d_model);
    put_floats(at, "position_embd", "weight", w->positions, c->d_model, c->context);
    if (c->rope_tensors == 1) {
        put_floats(at, "rope_freqs", "weight", c->rope_factor, c->rope_dims / 2, 1);
    } else if (c->rope_tensors == 2) {
        put_floats(at, "rope_factors_short", "weight", c->rope_factor, c->rope_dims / 2, 1);
        put_floats(at, "rope_factors_long", "weight", c->rope_factor_long, c->rope_dims / 2, 1);
    }
    for (at.layer = 0; at.layer < c->n_layers; at.layer++) {
        put_layer(at, &w->layers[at.layer], c);
    }
}
