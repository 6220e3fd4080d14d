#include "models/arch/llama_adapt.h"

#include "runtime/base/mem.h"

/* A x of the pairs of one product lie side by side in a row of so many. */
#define ROW_FLOATS ((size_t)LLAMA_ADAPTER_PARTS * LLAMA_ADAPTER_RANK_MAX)

/* With fewer rows than so many for each worker they share out the rank instead. */
#define ROWS_TO_SHARE 4

_Static_assert(OPS_LOW_RANK_TILE == Q8_TILE, "workers have the same outputs of both");

struct group {
    const struct llama_adapter *adapter;
    size_t first, n_rows; /* in `rows` */
};

struct llama_adapt {
    float *u;             /* (max_rows, ROW_FLOATS) */
    size_t *rows;         /* (max_rows) those that have adapters, in order of the groups */
    size_t *of;           /* (max_rows) group of each row */
    struct group *groups; /* (max_rows) */
    size_t n_groups;
};

struct llama_adapt *llama_adapt_create(int max_rows)
{
    size_t n = (size_t)max_rows;
    struct llama_adapt *a = mem_zalloc(sizeof(*a));
    if (!a) {
        return NULL;
    }
    a->u = mem_array(n, ROW_FLOATS * sizeof(*a->u));
    a->rows = mem_zarray(n, sizeof(*a->rows));
    a->of = mem_zarray(n, sizeof(*a->of));
    a->groups = mem_zarray(n, sizeof(*a->groups));
    if (!a->u || !a->rows || !a->of || !a->groups) {
        llama_adapt_destroy(a);
        return NULL;
    }
    return a;
}

void llama_adapt_destroy(struct llama_adapt *a)
{
    if (a) {
        mem_free(a->u);
        mem_free(a->rows);
        mem_free(a->of);
        mem_free(a->groups);
        mem_free(a);
    }
}

static size_t group_of(struct llama_adapt *a, const struct llama_adapter *adapter)
{
    size_t i = 0;
    while (i < a->n_groups && a->groups[i].adapter != adapter) {
        i++;
    }
    if (i == a->n_groups) {
        a->groups[a->n_groups++] = (struct group){.adapter = adapter};
    }
    return i;
}

void llama_adapt_rows(struct llama_adapt *a, const struct llama_row *rows, const size_t *which,
                      size_t n)
{
    a->n_groups = 0;
    for (size_t i = 0; i < n; i++) {
        const struct llama_adapter *adapter = rows[which ? which[i] : i].adapter;
        if (adapter) {
            a->of[i] = group_of(a, adapter);
            a->groups[a->of[i]].n_rows++;
        }
    }
    for (size_t g = 1; g < a->n_groups; g++) {
        a->groups[g].first = a->groups[g - 1].first + a->groups[g - 1].n_rows;
        a->groups[g - 1].n_rows = 0;
    }
    if (a->n_groups > 0) {
        a->groups[a->n_groups - 1].n_rows = 0; /* counted again while they are filled */
    }
    for (size_t i = 0; i < n && a->n_groups > 0; i++) {
        if (rows[which ? which[i] : i].adapter) {
            struct group *g = &a->groups[a->of[i]];
            a->rows[g->first + g->n_rows++] = i;
        }
    }
}

bool llama_adapt_any(const struct llama_adapt *a)
{
    return a->n_groups > 0;
}

/* The pair of a group for part `part`; u: where A x of that pair begins in a row, for the next
 * one too. */
static struct ops_low_rank pair_of(const struct llama_adapt *a, const struct group *g,
                                   const struct llama_pair *pair, size_t *at)
{
    struct ops_low_rank p = {.rows = a->rows + g->first,
                             .n_rows = g->n_rows,
                             .a = pair->a,
                             .n_in = pair->n_in,
                             .scale = pair->scale,
                             .u = a->u + *at,
                             .u_stride = ROW_FLOATS,
                             .rank = pair->rank,
                             .b = pair->b,
                             .n_out = pair->n_out};
    *at += pair->rank;
    return p;
}

void llama_adapt_down(struct llama_adapt *a, const struct ops *ops, int layer,
                      enum llama_product product, const float *x, size_t x_stride, int worker,
                      int n_workers)
{
    for (size_t i = 0; i < a->n_groups; i++) {
        const struct group *g = &a->groups[i];
        const struct llama_pair *pairs = g->adapter->layers[layer].pairs[product];
        bool by_rows = g->n_rows >= (size_t)n_workers * ROWS_TO_SHARE;
        size_t at = 0, r0, r1;
        for (size_t k = 0; k < LLAMA_ADAPTER_PARTS; k++) {
            struct ops_low_rank p = pair_of(a, g, &pairs[k], &at);
            if (p.rank == 0) {
                continue;
            }
            p.x = x;
            p.x_stride = x_stride;
            parallel_share(by_rows ? p.n_rows : p.rank, worker, n_workers, &r0, &r1);
            if (by_rows) {
                p.rows += r0;
                p.n_rows = r1 - r0;
                r0 = 0;
                r1 = p.rank;
            }
            ops->low_rank_down(&p, r0, r1);
        }
    }
}

void llama_adapt_up(const struct llama_adapt *a, const struct ops *ops, int layer,
                    enum llama_product product, float *y, size_t y_stride, size_t tile0,
                    size_t tile1)
{
    for (size_t i = 0; i < a->n_groups; i++) {
        const struct group *g = &a->groups[i];
        const struct llama_pair *pairs = g->adapter->layers[layer].pairs[product];
        size_t at = 0;
        for (size_t k = 0; k < LLAMA_ADAPTER_PARTS; k++) {
            struct ops_low_rank p = pair_of(a, g, &pairs[k], &at);
            size_t first = pairs[k].first / OPS_LOW_RANK_TILE;
            size_t end = first + (p.n_out + OPS_LOW_RANK_TILE - 1) / OPS_LOW_RANK_TILE;
            size_t from = tile0 > first ? tile0 : first;
            size_t to = tile1 < end ? tile1 : end;
            if (p.rank == 0 || from >= to) {
                continue;
            }
            p.y = y + pairs[k].first;
            p.y_stride = y_stride;
            ops->low_rank_up(&p, from - first, to - first);
        }
    }
}
