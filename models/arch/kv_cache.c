#include "models/arch/kv_cache.h"

#include <stdint.h>
#include <string.h>

#include "runtime/base/mem.h"

int kv_cache_type_named(const char *name, enum ops_type *type, struct err *e)
{
    if (!name || strcmp(name, "f16") == 0) {
        *type = OPS_F16;
        return 0;
    }
    if (strcmp(name, "int8") == 0) {
        *type = OPS_I8;
        return 0;
    }
    if (strcmp(name, "f32") == 0) {
        *type = OPS_F32;
        return 0;
    }
    return err_set_param(e, ERR_INVALID, "kv-type",
                         "--kv-type: \"%s\" is not known; f16, int8 and f32 are", name);
}

/* Of a key or value of one position, its scale included. */
static size_t row_bytes(const struct kv_cache *kv)
{
    switch (kv->type) {
    case OPS_I8:
        return kv->head_dim + sizeof(float);
    case OPS_F16:
        return kv->head_dim * sizeof(uint16_t);
    case OPS_F32:
        break;
    }
    return kv->head_dim * sizeof(float);
}

int kv_cache_init(struct kv_cache *kv, const struct llama_config *c, enum ops_type type,
                  int n_slots, int context, struct err *e)
{
    *kv = (struct kv_cache){.n_slots = n_slots, .context = context, .type = type};
    kv->stride = ((size_t)context + OPS_KV_BLOCK - 1) / OPS_KV_BLOCK * OPS_KV_BLOCK;
    kv->head_dim = (size_t)c->head_dim;
    kv->n_kv_heads = (size_t)c->n_kv_heads;
    kv->n_layers = (size_t)c->n_layers;
    size_t slot_bytes = 2 * row_bytes(kv);
    if (__builtin_mul_overflow(slot_bytes, kv->stride, &slot_bytes) ||
        __builtin_mul_overflow(slot_bytes, kv->n_kv_heads, &slot_bytes) ||
        __builtin_mul_overflow(slot_bytes, kv->n_layers, &slot_bytes)) {
        return err_set(e, ERR_LIMIT, "a KV cache of %d positions is too large", context);
    }
    size_t bytes;
    if (__builtin_mul_overflow(slot_bytes, (size_t)n_slots, &bytes) ||
        !(kv->block = mem_zalloc_aligned(bytes)) ||
        !(kv->slots = mem_zarray((size_t)n_slots, sizeof(*kv->slots)))) {
        kv_cache_deinit(kv);
        return err_set(
            e, ERR_NOMEM,
            "no memory for a KV cache of %d sequences of %d tokens, %zu MiB each; lower "
            "--parallel or --context",
            n_slots, context, slot_bytes >> 20);
    }
    for (int i = 0; i < n_slots; i++) {
        kv->slots[i] = kv->block + (size_t)i * slot_bytes;
    }
    return 0;
}

void kv_cache_deinit(struct kv_cache *kv)
{
    mem_free_aligned(kv->block);
    mem_free(kv->slots);
    *kv = (struct kv_cache){0};
}

struct ops_kv kv_cache_view(const struct kv_cache *kv, int slot, int layer, int kv_head,
                            void **page)
{
    size_t head = (size_t)layer * kv->n_kv_heads + (size_t)kv_head;
    size_t elements = kv->stride * kv->head_dim;
    /* The scales of int8 lie behind the keys and values of all layers. */
    size_t all = 2 * kv->n_layers * kv->n_kv_heads * elements / sizeof(float);
    *page = kv->slots[slot];
    return (struct ops_kv){
        .pages = page,
        .page_positions = kv->stride,
        .k_offset = 2 * head * elements,
        .v_offset = (2 * head + 1) * elements,
        .k_scale_offset = all + 2 * head * kv->stride,
        .v_scale_offset = all + (2 * head + 1) * kv->stride,
        .head_dim = kv->head_dim,
        .type = kv->type,
    };
}
