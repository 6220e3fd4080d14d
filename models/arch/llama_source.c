#include "models/arch/llama_loader.h"

static size_t qkv_source(const struct llama_config *c, struct llama_source *from)
{
    size_t q = (size_t)c->n_heads * (size_t)c->head_dim;
    size_t kv = (size_t)c->n_kv_heads * (size_t)c->head_dim;
    *from = (struct llama_source){.packed = "attn_qkv",
                                  .in_heads = true,
                                  .bias = c->qkv_bias,
                                  .parts = {{"attn_q", q, .heads = LLAMA_HEADS},
                                            {"attn_k", kv, .heads = LLAMA_HEADS},
                                            {"attn_v", kv, .heads = LLAMA_NO_HEADS}}};
    if (c->fused_qkv) {
        const char *all = "attn_qkv";
        size_t of = q + 2 * kv;
        from->parts[0] = (struct llama_part){all, q, 0, of, LLAMA_HEADS};
        from->parts[1] = (struct llama_part){all, kv, q, of, LLAMA_HEADS};
        from->parts[2] = (struct llama_part){all, kv, q + kv, of, LLAMA_NO_HEADS};
    }
    return (size_t)c->d_model;
}

static size_t out_source(const struct llama_config *c, struct llama_source *from)
{
    size_t d = (size_t)c->d_model;
    *from = (struct llama_source){.packed = "attn_output",
                                  .bias = c->out_bias,
                                  .parts = {{"attn_output", d, .heads = LLAMA_NO_HEADS}}};
    return (size_t)c->n_heads * (size_t)c->head_dim;
}

/* The feed-forward network that all tokens go through has names of its own beside experts. */
static size_t gate_up_source(const struct llama_config *c, struct llama_source *from)
{
    size_t ff = (size_t)c->d_ff;
    bool shared = c->n_experts > 0;
    const char *up = shared ? "ffn_up_shexp" : "ffn_up";
    *from = (struct llama_source){
        .packed = "ffn_gate_up",
        .bias = c->ffn_bias,
        .parts = {{shared ? "ffn_gate_shexp" : "ffn_gate", ff, .heads = LLAMA_NO_HEADS},
                  {up, ff, .heads = LLAMA_NO_HEADS}}};
    if (c->ungated) {
        from->parts[0] = (struct llama_part){up, ff, .heads = LLAMA_NO_HEADS};
        from->parts[1] = (struct llama_part){0};
    } else if (c->fused_gate_up) {
        from->parts[0] = (struct llama_part){up, ff, 0, 2 * ff, LLAMA_NO_HEADS};
        from->parts[1] = (struct llama_part){up, ff, ff, 2 * ff, LLAMA_NO_HEADS};
    }
    return (size_t)c->d_model;
}

static size_t down_source(const struct llama_config *c, struct llama_source *from)
{
    bool shared = c->n_experts > 0;
    *from = (struct llama_source){.packed = "ffn_down",
                                  .bias = c->ffn_bias,
                                  .parts = {{shared ? "ffn_down_shexp" : "ffn_down",
                                             (size_t)c->d_model, .heads = LLAMA_NO_HEADS}}};
    return (size_t)c->d_ff;
}

size_t llama_source_of(const struct llama_config *c, int layer, enum llama_product product,
                       struct llama_source *from)
{
    static size_t (*const of[LLAMA_PRODUCTS])(const struct llama_config *,
                                              struct llama_source *) = {
        [LLAMA_PRODUCT_QKV] = qkv_source,
        [LLAMA_PRODUCT_OUT] = out_source,
        [LLAMA_PRODUCT_GATE_UP] = gate_up_source,
        [LLAMA_PRODUCT_DOWN] = down_source,
    };
    size_t k = of[product](c, from);
    from->layer = layer;
    return k;
}
