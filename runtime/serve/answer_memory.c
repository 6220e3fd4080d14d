#include "runtime/serve/answer_memory.h"

#include <string.h>

#include "runtime/base/fnv.h"
#include "runtime/base/mem.h"

/* The answers in a ring, oldest at `first`, and a table of them by id. */
struct answer_memory {
    struct remembered_answer **ring; /* (most) */
    size_t most, first, count;
    struct remembered_answer **buckets; /* (n_buckets), a power of two */
    size_t n_buckets;
    size_t bytes;
    answer_forgotten *forgotten; /* or NULL */
    void *ctx;
};

void remembered_answer_destroy(struct remembered_answer *a)
{
    if (!a) {
        return;
    }
    for (size_t i = 0; a->texts && i < a->n_choices; i++) {
        mem_free(a->texts[i]);
    }
    mem_free(a->texts);
    mem_free(a->messages);
    mem_free(a);
}

struct answer_memory *answer_memory_create(size_t most, answer_forgotten *forgotten, void *ctx)
{
    struct answer_memory *m = mem_zalloc(sizeof(*m));
    if (!m) {
        return NULL;
    }
    m->most = most;
    m->forgotten = forgotten;
    m->ctx = ctx;
    m->n_buckets = 1;
    while (m->n_buckets < most) {
        m->n_buckets *= 2;
    }
    m->ring = mem_zarray(most, sizeof(struct remembered_answer *));
    m->buckets = mem_zarray(m->n_buckets, sizeof(struct remembered_answer *));
    if (!m->ring || !m->buckets) {
        answer_memory_destroy(m);
        return NULL;
    }
    return m;
}

/* Ids are random and made here. */
static struct remembered_answer **bucket_of(const struct answer_memory *m, const char *id)
{
    return &m->buckets[fnv64(FNV64_BASIS, id, strlen(id)) & (m->n_buckets - 1)];
}

static void drop_oldest(struct answer_memory *m)
{
    struct remembered_answer *a = m->ring[m->first];
    struct remembered_answer **at = bucket_of(m, a->id);
    while (*at != a) {
        at = &(*at)->next;
    }
    *at = a->next;
    m->ring[m->first] = NULL;
    m->first = (m->first + 1) % m->most;
    m->count--;
    m->bytes -= a->bytes;
    if (m->forgotten) {
        m->forgotten(m->ctx, a);
    }
    remembered_answer_destroy(a);
}

void answer_memory_destroy(struct answer_memory *m)
{
    if (!m) {
        return;
    }
    m->forgotten = NULL;
    while (m->count > 0) {
        drop_oldest(m);
    }
    mem_free(m->ring);
    mem_free(m->buckets);
    mem_free(m);
}

static void drop_old(struct answer_memory *m, uint64_t now_ns)
{
    while (m->count > 0 && now_ns - m->ring[m->first]->time_ns > ANSWER_MEMORY_NS) {
        drop_oldest(m);
    }
}

void answer_memory_add(struct answer_memory *m, struct remembered_answer *a)
{
    drop_old(m, a->time_ns);
    while (m->count > 0 && (m->count == m->most || m->bytes + a->bytes > ANSWER_MEMORY_BYTES)) {
        drop_oldest(m);
    }
    struct remembered_answer **bucket = bucket_of(m, a->id);
    a->next = *bucket;
    *bucket = a;
    m->ring[(m->first + m->count++) % m->most] = a;
    m->bytes += a->bytes;
}

struct remembered_answer *answer_memory_find(struct answer_memory *m, const char *id,
                                             uint64_t tenant, uint64_t now_ns)
{
    drop_old(m, now_ns);
    for (struct remembered_answer *a = *bucket_of(m, id); a; a = a->next) {
        if (strcmp(a->id, id) == 0) {
            return a->tenant == tenant ? a : NULL;
        }
    }
    return NULL;
}

size_t answer_memory_count(const struct answer_memory *m)
{
    return m->count;
}
