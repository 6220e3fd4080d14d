#include "models/arch/kv_cache.h"

#include <stdint.h>
#include <string.h>

#include "models/arch/llama_share.h"
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
static size_t row_bytes(size_t head_dim, enum ops_type type)
{
    size_t n = ops_kv_row(head_dim);
    switch (type) {
    case OPS_I8:
        return n + sizeof(float);
    case OPS_F16:
        return n * sizeof(uint16_t);
    case OPS_F32:
        break;
    }
    return n * sizeof(float);
}

size_t kv_cache_pages(int context)
{
    return ((size_t)context + KV_PAGE_POSITIONS - 1) / KV_PAGE_POSITIONS;
}

static size_t heads_here(const struct llama_config *c)
{
    struct llama_range own = llama_share_heads(c).kv;
    return own.end - own.first;
}

size_t kv_cache_page_bytes(const struct llama_config *c, enum ops_type type)
{
    size_t bytes = 2 * row_bytes((size_t)c->head_dim, type) * KV_PAGE_POSITIONS;
    if (__builtin_mul_overflow(bytes, heads_here(c), &bytes) ||
        __builtin_mul_overflow(bytes, (size_t)c->n_layers, &bytes)) {
        return 0;
    }
    return bytes;
}

size_t kv_cache_page_bytes_most(const struct llama_config *c, enum ops_type type)
{
    size_t most = 0;
    struct llama_config one = *c;
    for (one.rank = 0; one.rank == 0 || one.rank < c->n_ranks; one.rank++) {
        size_t bytes = kv_cache_page_bytes(&one, type);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static int allocate(struct kv_cache *kv)
{
    size_t bytes, entries;
    if (__builtin_mul_overflow(kv->page_bytes, (size_t)kv->n_pages, &bytes) ||
        __builtin_mul_overflow(kv->table_size, (size_t)kv->n_slots, &entries)) {
        return -1;
    }
    kv->block = mem_alloc_aligned(bytes);
    kv->tables = mem_zarray(entries, sizeof(*kv->tables));
    return kv->block && kv->tables ? 0 : -1;
}

int kv_cache_init(struct kv_cache *kv, const struct llama_config *c, enum ops_type type,
                  int n_slots, int context, int n_pages, struct err *e)
{
    *kv = (struct kv_cache){.n_slots = n_slots, .context = context, .type = type};
    kv->table_size = kv_cache_pages(context);
    kv->page_bytes = kv_cache_page_bytes(c, type);
    kv->head_dim = (size_t)c->head_dim;
    kv->n_kv_heads = heads_here(c);
    kv->n_layers = (size_t)c->n_layers;
    size_t whole = kv->table_size * (size_t)n_slots;
    if (kv->page_bytes == 0 || whole > INT32_MAX) {
        return err_set(e, ERR_LIMIT, "a KV cache of %d positions is too large", context);
    }
    kv->n_pages = n_pages > 0 ? n_pages : (int)whole;
    if (allocate(kv) != 0) {
        int pages = kv->n_pages;
        kv_cache_deinit(kv);
        return err_set(e, ERR_NOMEM,
                       "no memory for a KV cache of %d pages of %d tokens, %zu KiB each; lower "
                       "--kv-memory, --parallel or --context",
                       pages, KV_PAGE_POSITIONS, kv_cache_page_bytes(c, type) >> 10);
    }
    for (size_t i = 0; n_pages == 0 && i < whole; i++) {
        kv_cache_map(kv, (int)(i / kv->table_size), i % kv->table_size, (int)i);
    }
    return 0;
}

void kv_cache_deinit(struct kv_cache *kv)
{
    mem_free_aligned(kv->block);
    mem_free(kv->tables);
    mem_free(kv->changes.items);
    *kv = (struct kv_cache){0};
}

static void *page_at(const struct kv_cache *kv, int page)
{
    return kv->block + (size_t)page * kv->page_bytes;
}

static void note(struct kv_cache *kv, int slot, size_t index, int page)
{
    struct kv_changes *all = &kv->changes;
    if (!kv->notes_changes || all->lost) {
        return;
    }
    if (all->count == all->capacity) {
        size_t capacity = all->capacity ? 2 * all->capacity : 64;
        struct kv_change *moved = mem_realloc_array(all->items, capacity, sizeof(*moved));
        if (!moved) {
            all->lost = true;
            return;
        }
        all->items = moved;
        all->capacity = capacity;
    }
    all->items[all->count++] =
        (struct kv_change){.slot = slot, .index = (int32_t)index, .page = page};
}

void kv_cache_note_changes(struct kv_cache *kv)
{
    kv->notes_changes = true;
}

void kv_cache_map(struct kv_cache *kv, int slot, size_t index, int page)
{
    kv->tables[(size_t)slot * kv->table_size + index] = page_at(kv, page);
    note(kv, slot, index, page);
}

void kv_cache_copy_page(struct kv_cache *kv, int to, int from)
{
    memcpy(page_at(kv, to), page_at(kv, from), kv->page_bytes);
    note(kv, KV_CHANGE_COPY, (size_t)to, from);
}

static bool is_page(const struct kv_cache *kv, int32_t page)
{
    return page >= 0 && page < kv->n_pages;
}

int kv_cache_apply(struct kv_cache *kv, const struct kv_change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct kv_change *c = &changes[i];
        if (!is_page(kv, c->page)) {
            return -1;
        }
        if (c->slot == KV_CHANGE_COPY && is_page(kv, c->index)) {
            kv_cache_copy_page(kv, c->index, c->page);
        } else if (c->slot >= 0 && c->slot < kv->n_slots && c->index >= 0 &&
                   (size_t)c->index < kv->table_size) {
            kv_cache_map(kv, c->slot, (size_t)c->index, c->page);
        } else {
            return -1;
        }
    }
    return 0;
}

struct ops_kv kv_cache_view(const struct kv_cache *kv, int slot, int layer, int kv_head)
{
    size_t head = (size_t)layer * kv->n_kv_heads + (size_t)kv_head;
    size_t elements = KV_PAGE_POSITIONS * ops_kv_row(kv->head_dim);
    /* The scales of int8 lie behind the keys and values of all layers. */
    size_t all = 2 * kv->n_layers * kv->n_kv_heads * elements / sizeof(float);
    return (struct ops_kv){
        .pages = kv->tables + (size_t)slot * kv->table_size,
        .page_positions = KV_PAGE_POSITIONS,
        .k_offset = 2 * head * elements,
        .v_offset = (2 * head + 1) * elements,
        .k_scale_offset = all + 2 * head * KV_PAGE_POSITIONS,
        .v_scale_offset = all + (2 * head + 1) * KV_PAGE_POSITIONS,
        .head_dim = kv->head_dim,
        .type = kv->type,
    };
}
