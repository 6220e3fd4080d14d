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
    snprintf(out, LLAMA_TENSOR_NAME_MAX, "blk.%d.%s.%s", layer, part, suffix);
    return out;
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

static void put_matrix(struct gguf_writer *out, const char *name, const struct q8_packed *m)
{
    uint64_t bytes = q8_packed_bytes(m->n, m->k);
    gguf_add_tensor(out, name, TENSOR_I8, 1, &bytes, m->data);
}

static void put_vector(struct gguf_writer *out, const char *name, const float *v, int n)
{
    gguf_add_tensor(out, name, TENSOR_F32, 1, &(uint64_t){(uint64_t)n}, v);
}

static void put_attention_vectors(const struct llama_layer *layer, int i,
                                  const struct llama_config *c, struct gguf_writer *out)
{
    char name[LLAMA_TENSOR_NAME_MAX];
    int q = c->n_heads * c->head_dim, kv = c->n_kv_heads * c->head_dim;
    if (c->qk_norm != LLAMA_QK_NORM_NONE) {
        bool per_head = c->qk_norm == LLAMA_QK_NORM_HEAD;
        put_vector(out, llama_tensor_name(name, i, "attn_q_norm", "weight"), layer->q_norm,
                   per_head ? c->head_dim : q);
        put_vector(out, llama_tensor_name(name, i, "attn_k_norm", "weight"), layer->k_norm,
                   per_head ? c->head_dim : kv);
    }
    if (c->qkv_bias) {
        const float *bias = layer->qkv_bias;
        put_vector(out, llama_tensor_name(name, i, "attn_q", "bias"), bias, q);
        put_vector(out, llama_tensor_name(name, i, "attn_k", "bias"), bias + q, kv);
        put_vector(out, llama_tensor_name(name, i, "attn_v", "bias"), bias + q + kv, kv);
    }
}

static void put_layer(const struct llama_layer *layer, int i, const struct llama_config *c,
                      struct gguf_writer *out)
{
    char name[LLAMA_TENSOR_NAME_MAX];
    const struct {
        const char *part;
        const struct q8_packed *matrix;
    } matrices[] = {{"attn_qkv", &layer->qkv},
                    {"attn_output", &layer->out},
                    {"ffn_gate_up", &layer->gate_up},
                    {"ffn_down", &layer->down}};
    const struct {
        const char *part;
        const float *norm;
    } norms[] = {{"attn_norm", layer->attn_norm},
                 {"post_attention_norm", layer->attn_post_norm},
                 {"ffn_norm", layer->ffn_norm},
                 {"post_ffw_norm", layer->ffn_post_norm}};
    for (size_t k = 0; k < sizeof(norms) / sizeof(norms[0]); k++) {
        if (norms[k].norm) {
            put_vector(out, llama_tensor_name(name, i, norms[k].part, "weight"), norms[k].norm,
                       c->d_model);
        }
    }
    put_attention_vectors(layer, i, c, out);
    for (size_t m = 0; m < sizeof(matrices) / sizeof(matrices[0]); m++) {
        put_matrix(out, llama_tensor_name(name, i, matrices[m].part, "packed"),
                   matrices[m].matrix);
    }
}

void llama_weights_put_packed(const struct llama_weights *w, const struct llama_config *c,
                              struct gguf_writer *out)
{
    gguf_writer_align(out, Q8_ALIGN);
    gguf_put_u32(out, VERSION_KEY, LLAMA_PACKED_VERSION);
    char vocab_key[LLAMA_TENSOR_NAME_MAX];
    snprintf(vocab_key, sizeof(vocab_key), "%s.vocab_size", c->arch);
    gguf_put_u32(out, vocab_key, (uint32_t)c->vocab);
    put_matrix(out, "token_embd.packed", &w->embedding);
    if (w->output.data != w->embedding.data) {
        put_matrix(out, "output.packed", &w->output);
    }
    put_vector(out, "output_norm.weight", w->output_norm, c->d_model);
    if (c->rope_tensors == 1) {
        put_vector(out, "rope_freqs.weight", c->rope_factor, c->rope_dims / 2);
    } else if (c->rope_tensors == 2) {
        put_vector(out, "rope_factors_short.weight", c->rope_factor, c->rope_dims / 2);
        put_vector(out, "rope_factors_long.weight", c->rope_factor_long, c->rope_dims / 2);
    }
    for (int i = 0; i < c->n_layers; i++) {
        put_layer(&w->layers[i], i, c, out);
    }
}
