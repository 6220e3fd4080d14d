#include <stdlib.h>
#include <string.h>

#include "models/curate/overlap.h"
#include "models/curate/pipeline.h"
#include "models/curate/workers.h"
#include "runtime/base/mem.h"

static bool is_excluded(const struct record *r)
{
    return r->flags & RECORD_EXCLUDED;
}

/* ---- exact ---- */

static void drop_as(struct record *r, enum curate_step step, uint32_t match, double value)
{
    r->step = (uint8_t)step;
    r->match = match;
    r->value = (float)value;
}

/* What was redacted is held against everything; what was not has been. */
static bool takes_part(const struct record *r, bool redacted)
{
    return r->step == CURATE_KEPT && (!redacted || !is_excluded(r));
}

int pipeline_drop_exact(struct pipeline *p, bool redacted, struct err *e)
{
    size_t cap = 64;
    while (cap < 2 * p->n) {
        cap *= 2;
    }
    uint32_t *first = mem_array(cap, sizeof(*first)); /* documents by digest */
    if (!first) {
        return err_nomem(e);
    }
    memset(first, 0xff, cap * sizeof(*first));
    for (size_t i = 0; i < p->n; i++) {
        struct record *r = &p->records[i];
        if (!takes_part(r, redacted)) {
            continue;
        }
        size_t at = (size_t)r->digest.a & (cap - 1);
        while (first[at] != NO_MATCH &&
               memcmp(&p->records[first[at]].digest, &r->digest, sizeof(r->digest)) != 0) {
            at = (at + 1) & (cap - 1);
        }
        if (first[at] == NO_MATCH) {
            first[at] = (uint32_t)i;
        } else if (!is_excluded(r)) {
            bool leaks = is_excluded(&p->records[first[at]]);
            drop_as(r, leaks ? CURATE_LEAK : CURATE_EXACT, first[at], 1);
        }
        if (r->step == CURATE_KEPT) {
            r->step = redacted ? CURATE_KEPT : r->judged;
        }
    }
    mem_free(first);
    return 0;
}

/* ---- leaks ---- */

struct leaks {
    struct pipeline *p;
    struct overlap overlap;
};

/* What is asked is the last question, and what follows it; the prompt and the turns before
 * are its setting. */
static size_t last_question(const struct document *d)
{
    size_t i = d->n_segments;
    while (i > 0 && strcmp(d->segments[i - 1].role, "user") != 0) {
        i--;
    }
    return i > 0 ? i - 1 : 0;
}

static int add_segments(struct overlap *o, struct scratch *s, uint32_t owner, struct err *e)
{
    const struct document *d = &s->document;
    for (size_t i = last_question(d); i < d->n_segments; i++) {
        s->words.count = 0;
        if (words_add(&s->words, d->text.data + d->segments[i].begin, d->segments[i].len, e) ||
            overlap_add(o, s->words.items, s->words.count, owner, NULL, NULL, e)) {
            return -1;
        }
    }
    return 0;
}

static void leak_found(void *ctx, uint32_t owner)
{
    struct record *r = ctx;
    if (r->step == CURATE_KEPT || owner < r->match) {
        drop_as(r, CURATE_LEAK, owner, 0);
    }
}

static int look_for_leaks(void *ctx, size_t worker, size_t i, struct err *e)
{
    struct leaks *l = ctx;
    struct pipeline *p = l->p;
    struct scratch *s = &p->scratch[worker];
    struct record *r = &p->records[i];
    if (r->step != CURATE_KEPT || is_excluded(r)) {
        return 0;
    }
    if (document_read(&s->document, &p->source, &p->source.places[i], e)) {
        return -1;
    }
    for (size_t k = 0; k < s->document.n_segments; k++) {
        const struct segment *segment = &s->document.segments[k];
        s->words.count = 0;
        if (words_add(&s->words, s->document.text.data + segment->begin, segment->len, e)) {
            return -1;
        }
        overlap_look_up(&l->overlap, s->words.items, s->words.count, leak_found, r);
    }
    return 0;
}

int pipeline_drop_leaks(struct pipeline *p, struct err *e)
{
    struct leaks l = {.p = p};
    if (p->options->n_excludes == 0 || p->options->exclude_ngram == 0) {
        return 0;
    }
    overlap_init(&l.overlap, p->options->exclude_ngram);
    int rc = 0;
    for (size_t i = 0; !rc && i < p->n && is_excluded(&p->records[i]); i++) {
        struct scratch *s = &p->scratch[0];
        rc = document_read(&s->document, &p->source, &p->source.places[i], e) ||
             add_segments(&l.overlap, s, (uint32_t)i, e);
    }
    rc = rc ? -1 : workers_run(p->options->threads, p->n, 32, look_for_leaks, &l, e);
    overlap_deinit(&l.overlap);
    return rc;
}

/* ---- near ---- */

static int load(void *ctx, size_t worker, uint32_t id, struct shingles *out, struct err *e)
{
    struct pipeline *p = ctx;
    struct scratch *s = &p->scratch[worker];
    if (pipeline_read(p, s, id, e) || pipeline_shingles(p, s, out, e)) {
        return -1;
    }
    shingles_unite(out);
    return 0;
}

static int jaccard(struct pipeline *p, uint32_t a, uint32_t b, double *out, struct err *e)
{
    struct shingles x = {0}, y = {0};
    int rc = load(p, 0, a, &x, e) || load(p, 0, b, &y, e) ? -1 : 0;
    *out = rc ? 0 : shingles_jaccard(&x, &y);
    shingles_deinit(&x);
    shingles_deinit(&y);
    return rc;
}

/* A text goes when it is like one that stays. What it is like may have gone itself; then it is
 * held against the one for which that went. */
static int resolve(struct pipeline *p, const struct near_pair *pair, struct err *e)
{
    struct record *r = &p->records[pair->later];
    const struct record *other = &p->records[pair->earlier];
    uint32_t stays = pair->earlier;
    double value = (double)pair->jaccard;
    if (r->step != CURATE_KEPT || is_excluded(r)) {
        return 0;
    }
    if (other->step != CURATE_KEPT) {
        stays = other->match;
        if (jaccard(p, pair->later, stays, &value, e)) {
            return -1;
        }
    }
    if (value >= p->options->near_threshold) {
        drop_as(r, is_excluded(&p->records[stays]) ? CURATE_LEAK : CURATE_NEAR, stays, value);
    }
    return 0;
}

int pipeline_drop_near(struct pipeline *p, struct err *e)
{
    if (!p->sketches) {
        return 0;
    }
    uint32_t *ids = mem_array(p->n + 1, sizeof(*ids));
    if (!ids) {
        return err_nomem(e);
    }
    struct near_search search = {.sketches = p->sketches,
                                 .ids = ids,
                                 .threshold = p->options->near_threshold,
                                 .threads = p->options->threads,
                                 .load = load,
                                 .ctx = p};
    for (size_t i = 0; i < p->n; i++) {
        if (p->records[i].step == CURATE_KEPT) {
            ids[search.n_ids++] = (uint32_t)i;
        }
    }
    int rc = near_find(&search, &p->pairs, e);
    for (size_t i = 0; !rc && p->options->near && i < p->pairs.count; i++) {
        rc = resolve(p, &p->pairs.items[i], e);
    }
    for (size_t i = 0; !rc && i < p->pairs.count; i++) {
        pipeline_unite(p->records, p->pairs.items[i].earlier, p->pairs.items[i].later);
    }
    mem_free(ids);
    return rc;
}
