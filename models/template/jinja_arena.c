#include "models/template/jinja_arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "runtime/base/mem.h"

#define CHUNK_MIN ((size_t)1 << 12)
#define CHUNK_MAX ((size_t)1 << 16)
#define ALIGNMENT alignof(max_align_t)

struct jinja_chunk {
    struct jinja_chunk *next;
    size_t used;
    size_t cap;
    alignas(max_align_t) unsigned char data[];
};

void jinja_arena_init(struct jinja_arena *a, size_t max)
{
    *a = (struct jinja_arena){.max = max};
}

void jinja_arena_deinit(struct jinja_arena *a)
{
    while (a->chunks) {
        struct jinja_chunk *next = a->chunks->next;
        mem_free(a->chunks);
        a->chunks = next;
    }
    a->used = 0;
}

/* Chunks double, so that a small rendering takes little and a large one few allocations. */
static struct jinja_chunk *chunk_add(struct jinja_arena *a, size_t bytes)
{
    size_t cap = a->chunks ? a->chunks->cap * 2 : CHUNK_MIN;
    if (cap > CHUNK_MAX) {
        cap = CHUNK_MAX;
    }
    if (cap < bytes) {
        cap = bytes;
    }
    struct jinja_chunk *chunk = mem_zalloc(sizeof(*chunk) + cap);
    if (!chunk) {
        return NULL;
    }
    /* A chunk that one large block fills goes behind the one that still has room. */
    struct jinja_chunk **at = cap > CHUNK_MAX && a->chunks ? &a->chunks->next : &a->chunks;
    chunk->cap = cap;
    chunk->next = *at;
    *at = chunk;
    return chunk;
}

void *jinja_arena_alloc(struct jinja_arena *a, size_t count, size_t size, struct err *e)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) ||
        __builtin_add_overflow(bytes, ALIGNMENT - 1, &bytes) || bytes > a->max - a->used) {
        err_set(e, ERR_LIMIT, "more than %zu KiB of memory is needed", a->max / 1024);
        return NULL;
    }
    bytes -= bytes % ALIGNMENT;
    a->used += bytes;
    struct jinja_chunk *chunk = a->chunks;
    if (!chunk || bytes > chunk->cap - chunk->used) {
        chunk = chunk_add(a, bytes);
    }
    if (!chunk) {
        err_nomem(e);
        return NULL;
    }
    void *p = chunk->data + chunk->used;
    chunk->used += bytes;
    return p;
}

char *jinja_arena_strndup(struct jinja_arena *a, const char *s, size_t len, struct err *e)
{
    char *copy = jinja_arena_alloc(a, len + 1, 1, e);
    if (copy && len > 0) {
        memcpy(copy, s, len);
    }
    return copy;
}
