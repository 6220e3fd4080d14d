#include "models/arch/llama_weights.h"

#include <stdio.h>

#include "models/arch/llama_loader.h"
#include "models/arch/llama_packed.h"
#include "runtime/base/mem.h"

#define MAX_TOKEN_TYPES 64

static int load_norm(struct llama_loader *l, int layer, const char *part, size_t n,
                     enum llama_heads heads, struct llama_norm *norm)
{
    if (llama_load_floats(l, layer, part, "weight", n, 1, heads, &norm->weight) != 0) {
        return -1;
    }
    return l->c->layer_norm
               ? llama_load_floats(l, layer, part, "bias", n, 1, heads, &norm->bias)
               : 0;
}

/* The norms of a layer around its two blocks, where it has them. */
static int load_norms(struct llama_loader *l, int i, struct llama_layer *layer)
{
    const struct {
        const char *part;
        bool there;
        struct llama_norm *to;
    } norms[] = {
        {"attn_norm", l->c->pre_norm, &layer->attn_norm},
        {llama_post_norm_names(l->c)[0], l->c->post_norm, &layer->attn_post_norm},
        {"ffn_norm", l->c->pre_norm && !l->c->parallel_residual, &layer->ffn_norm},
        {llama_post_norm_names(l->c)[1], l->c->post_norm, &layer->ffn_post_norm},
    };
    for (size_t k = 0; k < sizeof(norms) / sizeof(norms[0]); k++) {
        if (norms[k].there && load_norm(l, i, norms[k].part, (size_t)l->c->d_model,
                                        LLAMA_NO_HEADS, norms[k].to) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Of each head its own, a row of the tensor. Where all norms have biases these have zeros. */
static int load_head_norms(struct llama_loader *l, int i, const char *part, int n_heads,
                           struct llama_norm *norm)
{
    size_t n = (size_t)n_heads * (size_t)l->c->head_dim;
    if (llama_load_floats(l, i, part, "weight", n, 1, LLAMA_HEAD_ROWS, &norm->weight) != 0) {
        return -1;
    }
    norm->bias = l->c->layer_norm ? llama_load_take(l, n * sizeof(float)) : NULL;
    return 0;
}

static int load_qk_norms(struct llama_loader *l, int i, struct llama_layer *layer)
{
    size_t hd = (size_t)l->c->head_dim;
    bool per_head = l->c->qk_norm == LLAMA_QK_NORM_HEAD;
    size_t q = per_head ? hd : (size_t)l->c->n_heads * hd;
    size_t kv = per_head ? hd : (size_t)l->c->n_kv_heads * hd;
    if (l->c->qk_norm == LLAMA_QK_NORM_NONE) {
        return 0;
    }
    if (l->c->qk_norm == LLAMA_QK_NORM_OWN) {
        return load_head_norms(l, i, "attn_q_norm", l->c->n_heads, &layer->q_norm) != 0 ||
                       load_head_norms(l, i, "attn_k_norm", l->c->n_kv_heads, &layer->k_norm) !=
                           0
                   ? -1
                   : 0;
    }
    return load_norm(l, i, "attn_q_norm", q, LLAMA_HEADS, &layer->q_norm) != 0 ||
                   load_norm(l, i, "attn_k_norm", kv, LLAMA_HEADS, &layer->k_norm) != 0
               ? -1
               : 0;
}

static int load_product(struct llama_loader *l, int i, enum llama_product product,
                        struct llama_linear *out)
{
    struct llama_source from;
    size_t k = llama_source_of(l->c, i, product, &from);
    return llama_load_linear(l, out, k, &from);
}

static int load_attention(struct llama_loader *l, int i, struct llama_layer *layer)
{
    return load_qk_norms(l, i, layer) != 0 ||
                   load_product(l, i, LLAMA_PRODUCT_QKV, &layer->qkv) != 0 ||
                   load_product(l, i, LLAMA_PRODUCT_OUT, &layer->out) != 0
               ? -1
               : 0;
}

/* The feed-forward network that all tokens go through. */
static int load_ffn(struct llama_loader *l, int i, struct llama_layer *layer)
{
    return l->c->d_ff > 0 && (load_product(l, i, LLAMA_PRODUCT_GATE_UP, &layer->gate_up) != 0 ||
                              load_product(l, i, LLAMA_PRODUCT_DOWN, &layer->down) != 0)
               ? -1
               : 0;
}

/* Expert `expert` is a run of rows of tensors that hold all of the layer. */
static int load_expert(struct llama_loader *l, int i, struct llama_experts *experts, int expert)
{
    const struct llama_config *c = l->c;
    size_t d = (size_t)c->d_model, ff = (size_t)c->d_ff_expert;
    size_t n = (size_t)c->n_experts, e = (size_t)expert;
    char gate_up_name[32], down_name[32];
    snprintf(gate_up_name, sizeof(gate_up_name), "ffn_gate_up.%d", expert);
    snprintf(down_name, sizeof(down_name), "ffn_down.%d", expert);
    const struct llama_source gate_up = {
        .layer = i,
        .packed = gate_up_name,
        .parts = {{"ffn_gate_exps", ff, e * ff, n * ff, LLAMA_NO_HEADS},
                  {"ffn_up_exps", ff, e * ff, n * ff, LLAMA_NO_HEADS}}};
    const struct llama_source down = {
        .layer = i,
        .packed = down_name,
        .parts = {{"ffn_down_exps", d, e * d, n * d, LLAMA_NO_HEADS}}};
    return llama_load_matrix(l, &experts->gate_up[e], d, &gate_up) != 0 ||
                   llama_load_matrix(l, &experts->down[e], ff, &down) != 0
               ? -1
               : 0;
}

static int load_experts(struct llama_loader *l, int i, struct llama_experts *experts)
{
    size_t d = (size_t)l->c->d_model;
    if (llama_load_floats(l, i, "ffn_gate_inp", "weight", (size_t)l->c->n_experts, d,
                          LLAMA_NO_HEADS, &experts->router) != 0) {
        return -1;
    }
    if (l->c->d_ff > 0 && llama_load_floats(l, i, "ffn_gate_inp_shexp", "weight", d, 1,
                                            LLAMA_NO_HEADS, &experts->shared_gate) != 0) {
        return -1;
    }
    for (int e = 0; e < l->c->n_experts; e++) {
        if (load_expert(l, i, experts, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int load_layer(struct llama_loader *l, int i, struct llama_layer *layer)
{
    if (load_norms(l, i, layer) != 0 || load_attention(l, i, layer) != 0 ||
        load_ffn(l, i, layer) != 0) {
        return -1;
    }
    return l->c->n_experts > 0 ? load_experts(l, i, &layer->experts) : 0;
}

/* The first of an encoder's types of tokens, "sentence A"; others are not used. */
static int load_token_type(struct llama_loader *l, const float **out)
{
    const struct gguf_tensor *t = gguf_tensor_find(l->g, "token_types.weight");
    uint64_t types = t ? t->dims[1] : 1;
    if (types > MAX_TOKEN_TYPES) {
        return err_set(
            l->e, ERR_FORMAT,
            "%s: tensor \"token_types.weight\" has %llu rows, at most %d are allowed",
            gguf_path(l->g), (unsigned long long)types, MAX_TOKEN_TYPES);
    }
    return llama_load_floats(l, -1, "token_types", "weight", (size_t)types,
                             (size_t)l->c->d_model, LLAMA_NO_HEADS, out);
}

/* What stands before the layers and behind them, beside the embedding. */
static int load_ends(struct llama_loader *l, struct llama_weights *w)
{
    size_t d = (size_t)l->c->d_model;
    const struct llama_source output = {
        .layer = -1,
        .packed = "output",
        .parts = {{.tensor = "output", .rows = (size_t)l->c->vocab}}};
    if (l->c->learned_positions &&
        llama_load_floats(l, -1, "position_embd", "weight", (size_t)l->c->context, d,
                          LLAMA_NO_HEADS, &w->positions) != 0) {
        return -1;
    }
    w->output = w->embedding;
    if (l->c->encoder) {
        return load_token_type(l, &w->token_type) != 0 ||
                       load_norm(l, -1, "token_embd_norm", d, LLAMA_NO_HEADS,
                                 &w->embedding_norm) != 0
                   ? -1
                   : 0;
    }
    bool tied = !gguf_tensor_find(l->g, l->packed ? "output.packed" : "output.weight");
    return load_norm(l, -1, "output_norm", d, LLAMA_NO_HEADS, &w->output_norm) != 0 ||
                   (!tied && llama_load_matrix(l, &w->output, d, &output) != 0)
               ? -1
               : 0;
}

static int load_all(struct llama_loader *l, struct llama_weights *w)
{
    const struct llama_source embedding = {
        .layer = -1,
        .packed = "token_embd",
        .parts = {{.tensor = "token_embd", .rows = (size_t)l->c->vocab}}};
    if (llama_load_matrix(l, &w->embedding, (size_t)l->c->d_model, &embedding) != 0 ||
        load_ends(l, w) != 0) {
        return -1;
    }
    for (int i = 0; i < l->c->n_layers; i++) {
        if (load_layer(l, i, &w->layers[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

static int check_all_used(const struct llama_loader *l)
{
    /* The numbers of RoPE's tensors are in the configuration. */
    size_t used = l->tensors_used + (size_t)l->c->rope_tensors;
    if (used == gguf_tensor_count(l->g)) {
        return 0;
    }
    return err_set(
        l->e, ERR_UNSUPPORTED,
        "%s: has %zu tensors, a %s model of this shape has %zu; it needs something that "
        "is not supported",
        gguf_path(l->g), gguf_tensor_count(l->g), l->c->arch, used);
}

static int allocate_layers(struct llama_weights *w, const struct llama_config *c, struct err *e)
{
    size_t layers = (size_t)c->n_layers, experts = (size_t)c->n_experts;
    w->layers = mem_zarray(layers, sizeof(*w->layers));
    if (experts > 0) {
        w->experts = mem_zarray(2 * layers * experts, sizeof(*w->experts));
    }
    if (!w->layers || (experts > 0 && !w->experts)) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < layers && experts > 0; i++) {
        w->layers[i].experts.gate_up = w->experts + 2 * i * experts;
        w->layers[i].experts.down = w->experts + (2 * i + 1) * experts;
    }
    return 0;
}

int llama_weights_init(struct llama_weights *w, const struct llama_config *c,
                       const struct gguf *g, enum llama_precision precision,
                       const struct parallel *p, struct err *e)
{
    *w = (struct llama_weights){.precision = precision};
    struct llama_loader l = {.c = c, .g = g, .p = p, .e = e, .precision = precision};
    if (llama_packed_check(g, &l.packed, e) != 0 || allocate_layers(w, c, e) != 0) {
        goto fail;
    }
    if (l.packed && precision != LLAMA_INT8) {
        err_set(e, ERR_UNSUPPORTED,
                "%s: a packed file has int8 weights alone; give the file it was made from",
                gguf_path(g));
        goto fail;
    }
    if (load_all(&l, w) != 0) {
        goto fail;
    }
    w->in_file = l.packed && c->n_ranks <= 1;
    w->block_bytes = l.at;
    w->block = mem_zalloc_aligned(l.at);
    if (!w->block) {
        err_set(e, ERR_NOMEM, "%s: %zu bytes for the weights could not be had", gguf_path(g),
                l.at);
        goto fail;
    }
    l.block = w->block;
    l.at = 0;
    if (load_all(&l, w) != 0 || check_all_used(&l) != 0) {
        goto fail;
    }
    return 0;
fail:
    llama_weights_deinit(w);
    return -1;
}

void llama_weights_deinit(struct llama_weights *w)
{
    mem_free_aligned(w->block);
    mem_free(w->layers);
    mem_free(w->experts);
    *w = (struct llama_weights){0};
}
