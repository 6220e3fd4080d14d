/* near.h: pairs of texts that are nearly the same, and which of them go.
 *
 * Candidates are pairs with a band of their sketches in common (sketch.h); those whose sketches
 * agree are verified on the shingles themselves. In a bucket a text is held against at most
 * NEAR_LOOKS before it, the first and the last, so that what thousands share costs no square;
 * pairs beyond are not seen.
 *
 * Memory: 16 bytes a text and thread for a band's order, 12 bytes a pair. A text has at most
 * NEAR_LOOKS candidates a band; few have more than two altogether. */
#pragma once

#include <stdint.h>

#include "models/curate/sketch.h"
#include "runtime/base/err.h"

#define NEAR_LOOKS 64
#define NEAR_TAKES 8 /* candidates of a text in one bucket */

struct near_pair {
    uint32_t earlier, later; /* ids, earlier < later */
    float jaccard;
};

struct near_pairs {
    struct near_pair *items; /* (count) by later, then earlier */
    size_t count, cap;
};

void near_pairs_deinit(struct near_pairs *p);

struct near_search {
    const struct sketch *sketches; /* (by id) */
    const uint32_t *ids;           /* (n_ids) rising */
    size_t n_ids;
    double threshold; /* Jaccard */
    size_t threads;
    /* The shingles of a text; called by several threads. */
    int (*load)(void *ctx, size_t worker, uint32_t id, struct shingles *out, struct err *e);
    void *ctx;
};

/* All pairs at the threshold or above, the same for any number of threads. */
int near_find(const struct near_search *search, struct near_pairs *out, struct err *e);
