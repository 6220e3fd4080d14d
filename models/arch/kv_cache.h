/* kv_cache.h: keys and values of the sequences that run together, one slot each.
 *
 * A slot holds `context` positions of all layers and KV heads as f16, as int8 in half the
 * memory, or as f32 in twice of it (layout: quant/ops.h, one page a slot). All memory is taken
 * at creation, so a sequence that was given a slot cannot run out.
 *
 * Threads: slots are independent; a slot belongs to the sequence that runs on it. */
#pragma once

#include "models/arch/llama_config.h"
#include "quant/ops.h"

struct kv_cache {
    int n_slots;
    int context;   /* positions in a slot */
    size_t stride; /* positions rounded up to whole blocks of quant/ops.h */
    size_t head_dim;
    size_t n_kv_heads;
    size_t n_layers;
    enum ops_type type;
    unsigned char *block;
    void **slots; /* (n_slots) */
};

int kv_cache_init(struct kv_cache *kv, const struct llama_config *c, enum ops_type type,
                  int n_slots, int context, struct err *e);
void kv_cache_deinit(struct kv_cache *kv);

/* "f16", "int8" or "f32"; NULL is f16. */
int kv_cache_type_named(const char *name, enum ops_type *type, struct err *e);

/* Where one layer and KV head of a slot lie. `page` is caller's storage that the view points
 * to. */
struct ops_kv kv_cache_view(const struct kv_cache *kv, int slot, int layer, int kv_head,
                            void **page);
