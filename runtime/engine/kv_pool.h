/* kv_pool.h: who holds which page of the KV cache, and what is in it. Engine-internal.
 *
 * A page is free, held by one or more sequences, or cached: held by nobody, but with content
 * that a later sequence may find. The content of a full page is told by a chain: its tokens and
 * the page before it, back to the beginning of the sequence. Two sequences that begin alike
 * find the same pages, whatever follows. Nothing is compared by hash alone: a page is found
 * only if its tokens are the same and so is its place in a chain, which has a number that is
 * never used twice.
 *
 * A chain can be closed to others by a salt: what was computed under one salt is not found
 * under another, so that the time to a first token tells nothing of what other users asked.
 *
 * Keys and values depend on the adapter with which they were computed (llama_adapter.h, its
 * id), so chains of different adapters never meet.
 *
 * When no page is free, the cached one that was not used for the longest time is taken.
 *
 * Threads: the engine thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/arch/kv_cache.h"
#include "runtime/base/err.h"

#define KV_PAGE_NONE (-1)

/* What identifies the content of a full page. */
struct kv_content {
    uint64_t before;  /* chain up to the page before; 0: this is the first */
    uint64_t salt;    /* 0: open to all */
    uint64_t adapter; /* with which it was computed; 0: none */
    int32_t tokens[KV_PAGE_POSITIONS];
};

struct kv_page {
    int refs;
    uint64_t chain; /* up to and with this page; 0: content not known */
    struct kv_content content;
    int bucket_next;              /* pages with the same hash */
    int less_recent, more_recent; /* among the cached ones, or next free in less_recent */
};

struct kv_pool {
    struct kv_page *pages; /* (n_pages) */
    int *buckets;          /* (n_buckets) first page of each, or KV_PAGE_NONE */
    size_t n_buckets;      /* a power of two */
    int n_pages;
    int n_free;
    int n_cached;
    int free;                      /* list */
    int least_recent, most_recent; /* of the cached ones */
    uint64_t last_chain;
};

int kv_pool_init(struct kv_pool *p, int n_pages, struct err *e);
void kv_pool_deinit(struct kv_pool *p);

/* Pages that kv_pool_take could give now. */
int kv_pool_available(const struct kv_pool *p);

/* A page of unknown content, held once; KV_PAGE_NONE when all are held. */
int kv_pool_take(struct kv_pool *p);

void kv_pool_hold(struct kv_pool *p, int page);
void kv_pool_release(struct kv_pool *p, int page);

/* The page with this content, held once more, or KV_PAGE_NONE. */
int kv_pool_find(struct kv_pool *p, const struct kv_content *c);

/* Says what a held page of unknown content has in it, so that others find it. Returns the chain
 * up to it, which is another page's if that has the same content already. */
uint64_t kv_pool_publish(struct kv_pool *p, int page, const struct kv_content *c);

/* The content of a page was never computed: nobody finds it any more. */
void kv_pool_forget(struct kv_pool *p, int page);

static inline uint64_t kv_pool_chain(const struct kv_pool *p, int page)
{
    return p->pages[page].chain;
}
