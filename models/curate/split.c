#include <stdatomic.h>

#include "models/curate/overlap.h"
#include "models/curate/pipeline.h"
#include "models/curate/workers.h"
#include "runtime/base/mem.h"

uint32_t pipeline_cluster(struct record *records, uint32_t i)
{
    while (records[i].cluster != i) {
        records[i].cluster = records[records[i].cluster].cluster;
        i = records[i].cluster;
    }
    return i;
}

void pipeline_unite(struct record *records, uint32_t a, uint32_t b)
{
    a = pipeline_cluster(records, a);
    b = pipeline_cluster(records, b);
    records[a < b ? b : a].cluster = a < b ? a : b;
}

struct split {
    struct pipeline *p;
    struct overlap overlap; /* of what is held out */
    atomic_uchar *is_moved; /* (n) by cluster: it shares a run with the training text */
};

static bool is_kept(const struct record *r)
{
    return r->step == CURATE_KEPT && !(r->flags & RECORD_EXCLUDED);
}

/* A cluster is held out by a hash of its first text, so that what else is there does not
 * matter. */
static void choose(struct pipeline *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct record *r = &p->records[i];
        const struct record *root = &p->records[pipeline_cluster(p->records, (uint32_t)i)];
        uint64_t hash = words_mix(root->digest.a ^ words_mix(p->options->seed + 1));
        double place = (double)(hash >> 11) * 0x1p-53;
        if (is_kept(r) && place < p->options->heldout) {
            r->flags |= RECORD_HELDOUT;
        }
    }
}

static void shares(void *ctx, uint32_t owner, uint32_t other)
{
    pipeline_unite(ctx, owner, other);
}

/* Parts shorter than a run have none. */
static int each_part(struct pipeline *p, size_t worker, size_t i,
                     int (*part)(struct split *s, const struct words *w, uint32_t i,
                                 struct err *e),
                     struct split *s, struct err *e)
{
    struct scratch *scratch = &p->scratch[worker];
    if (pipeline_read(p, scratch, i, e)) {
        return -1;
    }
    for (size_t k = 0; k < scratch->document.n_segments; k++) {
        size_t len;
        const char *text = scratch_part(scratch, k, &len);
        scratch->words.count = 0;
        if (words_add(&scratch->words, text, len, e) ||
            (scratch->words.count >= p->options->split_ngram &&
             part(s, &scratch->words, (uint32_t)i, e))) {
            return -1;
        }
    }
    return 0;
}

static int add_part(struct split *s, const struct words *w, uint32_t i, struct err *e)
{
    return overlap_add(&s->overlap, w->items, w->count, i, shares, s->p->records, e);
}

static void found(void *ctx, uint32_t owner)
{
    struct split *s = ctx;
    /* The owner itself; its cluster's root is found when nobody writes any more. */
    atomic_store_explicit(&s->is_moved[owner], 1, memory_order_relaxed);
}

static int look_up_part(struct split *s, const struct words *w, uint32_t i, struct err *e)
{
    (void)i;
    (void)e;
    overlap_look_up(&s->overlap, w->items, w->count, found, s);
    return 0;
}

static int look_up(void *ctx, size_t worker, size_t i, struct err *e)
{
    struct split *s = ctx;
    const struct record *r = &s->p->records[i];
    if (!is_kept(r) || (r->flags & RECORD_HELDOUT)) {
        return 0;
    }
    return each_part(s->p, worker, i, look_up_part, s, e);
}

/* Whole clusters, which may have been united by runs that they share. */
static void move_back(struct split *s)
{
    struct pipeline *p = s->p;
    for (size_t i = 0; i < p->n; i++) {
        if (s->is_moved[i]) {
            s->is_moved[pipeline_cluster(p->records, (uint32_t)i)] = 1;
        }
    }
    for (size_t i = 0; i < p->n; i++) {
        struct record *r = &p->records[i];
        if ((r->flags & RECORD_HELDOUT) &&
            s->is_moved[pipeline_cluster(p->records, (uint32_t)i)]) {
            r->flags &= (uint8_t)~RECORD_HELDOUT;
            p->summary->moved_back++;
        }
    }
}

int pipeline_split(struct pipeline *p, struct err *e)
{
    struct split s = {.p = p};
    if (p->options->heldout <= 0) {
        return 0;
    }
    choose(p);
    if (p->options->split_ngram == 0) {
        return 0;
    }
    overlap_init(&s.overlap, p->options->split_ngram);
    s.is_moved = mem_zarray(p->n + 1, sizeof(*s.is_moved));
    int rc = s.is_moved ? 0 : err_nomem(e);
    for (size_t i = 0; !rc && i < p->n; i++) {
        if (p->records[i].flags & RECORD_HELDOUT) {
            rc = each_part(p, 0, i, add_part, &s, e);
        }
    }
    if (!rc && !(rc = workers_run(p->options->threads, p->n, 32, look_up, &s, e))) {
        move_back(&s);
    }
    overlap_deinit(&s.overlap);
    mem_free(s.is_moved);
    return rc;
}
