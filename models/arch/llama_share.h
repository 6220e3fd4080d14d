/* llama_share.h: what of a model falls to which rank (models/ranks.h).
 *
 * - Rows of queries, keys and values: by KV heads, query heads with the KV head that they
 *   share. Where there are more ranks than KV heads, by query heads, and ranks that share a KV
 *   head all have its keys and values.
 * - Keys and values in the cache: as those rows.
 * - All other matrices: by their rows, in tiles of Q8_TILE.
 * - Norms, routers, positions: whole, on every rank.
 *
 * Shares are contiguous and, but for KV heads that several ranks have, differ by one unit at
 * the most. */
#pragma once

#include "models/arch/llama_config.h"
#include "models/ranks.h"
#include "runtime/base/err.h"

/* Columns of rows of `width` numbers: rank i has those from at[i] to at[i + 1]. */
struct llama_split {
    size_t width;
    size_t at[RANKS_MAX + 1];
};

/* n numbers in units of `unit`, of which the last may be cut short. */
void llama_split_init(struct llama_split *s, size_t n, size_t unit, int n_ranks);

static inline size_t llama_split_own(const struct llama_split *s, int rank)
{
    return s->at[rank + 1] - s->at[rank];
}

struct llama_range {
    size_t first, end;
};

/* Query heads of the share, and the KV heads that they look at. */
struct llama_share_heads {
    struct llama_range query, kv;
};
struct llama_share_heads llama_share_heads(const struct llama_config *c);

/* All ranks' numbers of a row of queries. */
void llama_split_queries(struct llama_split *s, const struct llama_config *c);

/* What n rows of a matrix are. */
enum llama_rows { LLAMA_ROWS_PLAIN, LLAMA_ROWS_QUERIES, LLAMA_ROWS_KV };

/* Those of the share. */
struct llama_range llama_share_rows(const struct llama_config *c, size_t n,
                                    enum llama_rows what);

/* Whether a model of this shape can be shared out among c->n_ranks: -1 and why not. */
int llama_share_check(const struct llama_config *c, struct err *e);
