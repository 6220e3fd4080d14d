#include "models/parallel.h"

static void run_alone(void *team, parallel_work_fn *work, void *ctx)
{
    (void)team;
    work(ctx, 0, 1);
}

static void no_barrier(void *team)
{
    (void)team;
}

const struct parallel parallel_none = {.n_workers = 1, .run = run_alone, .barrier = no_barrier};
