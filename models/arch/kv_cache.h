/* kv_cache.h: keys and values of the sequences that run together, in pages.
 *
 * A page holds KV_PAGE_POSITIONS positions of all layers and KV heads as f16, as int8 in half
 * the memory, or as f32 in twice of it (layout: quant/ops.h). A slot is a table of pages:
 * position p of its sequence lies in the page at entry p / KV_PAGE_POSITIONS. Which page stands
 * where is the caller's affair, so that several slots may show the same page, as in Kwon et al.
 * 2023, "Efficient Memory Management for Large Language Model Serving with PagedAttention".
 * Memory that no position was ever stored in is not touched.
 *
 * Of a model that is shared out among ranks a cache has the KV heads of its share alone. The
 * ranks' caches have the same pages and tables: rank 0 decides, notes what it did
 * (kv_cache_note_changes) and the others do it again (kv_cache_apply).
 *
 * Threads: slots are independent; a page that several slots show may be read by all, and is
 * written only for a position that none of them has stored yet. */
#pragma once

#include <stdint.h>

#include "models/arch/llama_config.h"
#include "quant/ops.h"

#define KV_PAGE_POSITIONS 32 /* a multiple of OPS_KV_BLOCK */

/* A table's entry shows a page; or, slot KV_CHANGE_COPY, page `index` became one like `page`.
 */
struct kv_change {
    int32_t slot, index, page;
};
#define KV_CHANGE_COPY (-1)

struct kv_changes {
    struct kv_change *items; /* (count) in their order */
    size_t count, capacity;
    bool lost; /* there was no memory for one: the others cannot follow any more */
};

struct kv_cache {
    int n_slots;
    int context; /* positions that a slot may have */
    int n_pages;
    size_t table_size; /* entries of a slot's table: enough for the context */
    size_t page_bytes;
    size_t head_dim;
    size_t n_kv_heads; /* of the share that is here */
    size_t n_layers;
    enum ops_type type;
    unsigned char *block; /* (n_pages, page_bytes) */
    void **tables;        /* (n_slots, table_size); NULL where nothing is mapped */
    bool notes_changes;
    struct kv_changes changes; /* since they were last taken */
};

/* Pages that `context` positions take. */
size_t kv_cache_pages(int context);

/* Bytes of a page, of the share that is here; 0 if they do not fit into a size_t. */
size_t kv_cache_page_bytes(const struct llama_config *c, enum ops_type type);

/* The same of the rank that has most. */
size_t kv_cache_page_bytes_most(const struct llama_config *c, enum ops_type type);

/* n_pages 0: each slot has pages of its own for the whole context, mapped already. Otherwise
 * nothing is mapped. */
int kv_cache_init(struct kv_cache *kv, const struct llama_config *c, enum ops_type type,
                  int n_slots, int context, int n_pages, struct err *e);
void kv_cache_deinit(struct kv_cache *kv);

/* "f16", "int8" or "f32"; NULL is f16. */
int kv_cache_type_named(const char *name, enum ops_type *type, struct err *e);

/* Entry `index` of the slot's table shows `page` from now on. */
void kv_cache_map(struct kv_cache *kv, int slot, size_t index, int page);

/* All of a page, stored positions and others. */
void kv_cache_copy_page(struct kv_cache *kv, int to, int from);

/* From now on what the two above do is added to kv->changes; whoever takes it from there sets
 * its count to 0. */
void kv_cache_note_changes(struct kv_cache *kv);

/* Does what another cache of the same sizes noted. -1: it names what is not there. */
int kv_cache_apply(struct kv_cache *kv, const struct kv_change *changes, size_t n);

/* Where one layer and KV head of a slot lie. */
struct ops_kv kv_cache_view(const struct kv_cache *kv, int slot, int layer, int kv_head);
