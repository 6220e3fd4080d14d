#include "runtime/engine/kv_pool.h"

#include <assert.h>
#include <string.h>

#include "runtime/base/mem.h"

int kv_pool_init(struct kv_pool *p, int n_pages, struct err *e)
{
    *p = (struct kv_pool){.n_pages = n_pages,
                          .n_buckets = 16,
                          .free = KV_PAGE_NONE,
                          .least_recent = KV_PAGE_NONE,
                          .most_recent = KV_PAGE_NONE};
    while (p->n_buckets < (size_t)n_pages) {
        p->n_buckets *= 2;
    }
    p->pages = mem_zarray((size_t)n_pages, sizeof(*p->pages));
    p->buckets = mem_array(p->n_buckets, sizeof(*p->buckets));
    if (!p->pages || !p->buckets) {
        kv_pool_deinit(p);
        return err_nomem(e);
    }
    for (size_t i = 0; i < p->n_buckets; i++) {
        p->buckets[i] = KV_PAGE_NONE;
    }
    /* The first page is on top, so that memory is touched from its beginning. */
    for (int i = n_pages - 1; i >= 0; i--) {
        p->pages[i].less_recent = p->free;
        p->free = i;
    }
    p->n_free = n_pages;
    return 0;
}

void kv_pool_deinit(struct kv_pool *p)
{
    mem_free(p->pages);
    mem_free(p->buckets);
    *p = (struct kv_pool){0};
}

int kv_pool_available(const struct kv_pool *p)
{
    return p->n_free + p->n_cached;
}

/* --- found by content --- */

/* FNV-1a over words; only spreads, nothing relies on it being hard to invert. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    return (hash ^ word) * UINT64_C(0x100000001b3);
}

static int *bucket_of(const struct kv_pool *p, const struct kv_content *c)
{
    uint64_t hash = mix(mix(UINT64_C(0xcbf29ce484222325), c->before), c->salt);
    hash = mix(hash, c->adapter);
    for (int i = 0; i < KV_PAGE_POSITIONS; i++) {
        hash = mix(hash, (uint32_t)c->tokens[i]);
    }
    return &p->buckets[(hash ^ hash >> 32) & (p->n_buckets - 1)];
}

static bool same_content(const struct kv_content *a, const struct kv_content *b)
{
    return a->before == b->before && a->salt == b->salt && a->adapter == b->adapter &&
           memcmp(a->tokens, b->tokens, sizeof(a->tokens)) == 0;
}

static int lookup(const struct kv_pool *p, const struct kv_content *c)
{
    int page = *bucket_of(p, c);
    while (page != KV_PAGE_NONE && !same_content(&p->pages[page].content, c)) {
        page = p->pages[page].bucket_next;
    }
    return page;
}

void kv_pool_forget(struct kv_pool *p, int page)
{
    struct kv_page *forgotten = &p->pages[page];
    if (forgotten->chain == 0) {
        return;
    }
    int *link = bucket_of(p, &forgotten->content);
    while (*link != page) {
        link = &p->pages[*link].bucket_next;
    }
    *link = forgotten->bucket_next;
    forgotten->chain = 0;
}

uint64_t kv_pool_publish(struct kv_pool *p, int page, const struct kv_content *c)
{
    int known = lookup(p, c);
    if (known != KV_PAGE_NONE) {
        return p->pages[known].chain;
    }
    struct kv_page *published = &p->pages[page];
    assert(published->chain == 0); /* told once, until it is forgotten */
    int *bucket = bucket_of(p, c);
    published->content = *c;
    published->chain = ++p->last_chain;
    published->bucket_next = *bucket;
    *bucket = page;
    return published->chain;
}

/* --- held, cached, free --- */

static void push_cached(struct kv_pool *p, int page)
{
    p->pages[page].more_recent = KV_PAGE_NONE;
    p->pages[page].less_recent = p->most_recent;
    if (p->most_recent == KV_PAGE_NONE) {
        p->least_recent = page;
    } else {
        p->pages[p->most_recent].more_recent = page;
    }
    p->most_recent = page;
    p->n_cached++;
}

static void remove_cached(struct kv_pool *p, int page)
{
    int less = p->pages[page].less_recent;
    int more = p->pages[page].more_recent;
    *(less == KV_PAGE_NONE ? &p->least_recent : &p->pages[less].more_recent) = more;
    *(more == KV_PAGE_NONE ? &p->most_recent : &p->pages[more].less_recent) = less;
    p->n_cached--;
}

int kv_pool_take(struct kv_pool *p)
{
    int page = p->free;
    if (page != KV_PAGE_NONE) {
        p->free = p->pages[page].less_recent;
        p->n_free--;
    } else if ((page = p->least_recent) != KV_PAGE_NONE) {
        remove_cached(p, page);
        kv_pool_forget(p, page);
    } else {
        return KV_PAGE_NONE;
    }
    p->pages[page].refs = 1;
    return page;
}

void kv_pool_hold(struct kv_pool *p, int page)
{
    if (p->pages[page].refs++ == 0) {
        remove_cached(p, page);
    }
}

void kv_pool_release(struct kv_pool *p, int page)
{
    struct kv_page *released = &p->pages[page];
    if (--released->refs > 0) {
        return;
    }
    if (released->chain != 0) {
        push_cached(p, page);
        return;
    }
    released->less_recent = p->free;
    p->free = page;
    p->n_free++;
}

int kv_pool_find(struct kv_pool *p, const struct kv_content *c)
{
    int page = lookup(p, c);
    if (page != KV_PAGE_NONE) {
        kv_pool_hold(p, page);
    }
    return page;
}
