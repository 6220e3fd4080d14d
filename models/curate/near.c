#include "models/curate/near.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "models/curate/workers.h"
#include "runtime/base/mem.h"

#define SLACK 0.15 /* below the threshold at which sketches still count as agreeing */

struct entry {
    uint64_t key;
    uint32_t id;
};

struct finding {
    const struct near_search *search;
    struct entry *entries; /* (threads, n_ids) */
    pthread_mutex_t mutex; /* of pairs */
    struct near_pairs *pairs;
    struct shingles *a, *b; /* (threads) */
};

void near_pairs_deinit(struct near_pairs *p)
{
    mem_free(p->items);
    *p = (struct near_pairs){0};
}

static int push(struct near_pairs *p, uint32_t earlier, uint32_t later, struct err *e)
{
    if (p->count == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 1024;
        struct near_pair *grown = mem_realloc_array(p->items, cap, sizeof(*grown));
        if (!grown) {
            return err_nomem(e);
        }
        p->items = grown;
        p->cap = cap;
    }
    p->items[p->count++] = (struct near_pair){earlier, later, 0};
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->key != y->key ? (x->key > y->key) - (x->key < y->key)
                            : (x->id > y->id) - (x->id < y->id);
}

static int by_ids(const void *a, const void *b)
{
    const struct near_pair *x = a, *y = b;
    return x->later != y->later ? (x->later > y->later) - (x->later < y->later)
                                : (x->earlier > y->earlier) - (x->earlier < y->earlier);
}

static void sort_and_unite(struct near_pairs *p)
{
    size_t kept = 0;
    if (p->count > 0) {
        qsort(p->items, p->count, sizeof(*p->items), by_ids);
    }
    for (size_t i = 0; i < p->count; i++) {
        if (kept == 0 || by_ids(&p->items[i], &p->items[kept - 1]) != 0) {
            p->items[kept++] = p->items[i];
        }
    }
    p->count = kept;
}

/* Candidates among bucket[0 .. n), whose keys are equal and whose ids rise. */
static int search_bucket(struct finding *f, const struct entry *bucket, size_t n,
                         struct near_pairs *out, struct err *e)
{
    const struct near_search *s = f->search;
    for (size_t i = 1; i < n; i++) {
        size_t taken = 0;
        for (size_t j = 0; j < i && taken < NEAR_TAKES; j++) {
            if (j == NEAR_LOOKS / 2 && i > NEAR_LOOKS) {
                j = i - NEAR_LOOKS / 2;
            }
            const struct sketch *mine = &s->sketches[bucket[i].id];
            if (sketch_jaccard(mine, &s->sketches[bucket[j].id]) < s->threshold - SLACK) {
                continue;
            }
            taken++;
            if (push(out, bucket[j].id, bucket[i].id, e)) {
                return -1;
            }
        }
    }
    return 0;
}

static int merge(struct finding *f, const struct near_pairs *found, struct err *e)
{
    int rc = 0;
    pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; !rc && i < found->count; i++) {
        rc = push(f->pairs, found->items[i].earlier, found->items[i].later, e);
    }
    if (f->pairs->count > 4 * f->search->n_ids) {
        sort_and_unite(f->pairs);
    }
    pthread_mutex_unlock(&f->mutex);
    return rc;
}

static int search_band(void *ctx, size_t worker, size_t band, struct err *e)
{
    struct finding *f = ctx;
    size_t n = f->search->n_ids;
    struct entry *entries = f->entries + worker * n;
    struct near_pairs found = {0};
    for (size_t i = 0; i < n; i++) {
        uint32_t id = f->search->ids[i];
        entries[i] = (struct entry){sketch_band(&f->search->sketches[id], band), id};
    }
    qsort(entries, n, sizeof(*entries), by_key);
    int rc = 0;
    for (size_t i = 0, end; !rc && i < n; i = end) {
        for (end = i + 1; end < n && entries[end].key == entries[i].key; end++) {
        }
        rc = search_bucket(f, entries + i, end - i, &found, e);
    }
    rc = rc ? rc : merge(f, &found, e);
    near_pairs_deinit(&found);
    return rc;
}

static int verify(void *ctx, size_t worker, size_t item, struct err *e)
{
    struct finding *f = ctx;
    const struct near_search *s = f->search;
    struct near_pair *pair = &f->pairs->items[item];
    struct shingles *a = &f->a[worker], *b = &f->b[worker];
    if (s->load(s->ctx, worker, pair->later, a, e) ||
        s->load(s->ctx, worker, pair->earlier, b, e)) {
        return -1;
    }
    pair->jaccard = (float)shingles_jaccard(a, b);
    return 0;
}

static void keep_verified(struct near_pairs *p, double threshold)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        if ((double)p->items[i].jaccard >= threshold) {
            p->items[kept++] = p->items[i];
        }
    }
    p->count = kept;
}

int near_find(const struct near_search *search, struct near_pairs *out, struct err *e)
{
    struct finding f = {.search = search, .pairs = out};
    if (search->n_ids < 2) {
        return 0;
    }
    pthread_mutex_init(&f.mutex, NULL);
    f.entries = mem_array(search->threads * search->n_ids, sizeof(*f.entries));
    f.a = mem_zarray(search->threads, sizeof(*f.a));
    f.b = mem_zarray(search->threads, sizeof(*f.b));
    int rc = f.entries && f.a && f.b ? 0 : err_nomem(e);
    rc = rc ? rc : workers_run(search->threads, SKETCH_BANDS, 1, search_band, &f, e);
    if (!rc) {
        sort_and_unite(out);
        rc = workers_run(search->threads, out->count, 64, verify, &f, e);
        keep_verified(out, search->threshold);
    }
    for (size_t i = 0; f.a && f.b && i < search->threads; i++) {
        shingles_deinit(&f.a[i]);
        shingles_deinit(&f.b[i]);
    }
    mem_free(f.a);
    mem_free(f.b);
    mem_free(f.entries);
    pthread_mutex_destroy(&f.mutex);
    return rc;
}
