/* parallel.h: how a model asks for its work to be shared out, without knowing by whom.
 *
 * `run` calls work(ctx, worker, n_workers) once on each worker, the caller being worker 0, and
 * returns when all have returned. `barrier`, called inside work by every worker, returns when
 * all have reached it; what one wrote before it, all see after it.
 *
 * Where other processes hold the rest of the model, `ranks` reaches them (ranks.h). */
#pragma once

#include <stddef.h>

#include "models/ranks.h"

typedef void parallel_work_fn(void *ctx, int worker, int n_workers);

struct parallel {
    void *team; /* borrowed */
    int n_workers;
    void (*run)(void *team, parallel_work_fn *work, void *ctx);
    void (*barrier)(void *team);
    const struct ranks *ranks; /* borrowed; NULL: this process has the whole model */
};

/* Everything on the calling thread. */
extern const struct parallel parallel_none;

/* The part [*first, *end) of n items that falls to a worker: contiguous, the sizes differ by at
 * most 1. */
static inline void parallel_share(size_t n, int worker, int n_workers, size_t *first,
                                  size_t *end)
{
    *first = n * (size_t)worker / (size_t)n_workers;
    *end = n * ((size_t)worker + 1) / (size_t)n_workers;
}
