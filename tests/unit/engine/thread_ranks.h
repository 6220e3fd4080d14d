/* thread_ranks.h: ranks that are threads of one process, for tests of what ranks compute
 * without MPI. What a rank gathers is copied out of the others' memory. */
#pragma once

#include <pthread.h>

#include "models/ranks.h"

#define THREAD_RANKS_MAX 4

struct thread_ranks {
    struct ranks ranks[THREAD_RANKS_MAX];
    struct thread_rank {
        struct thread_ranks *all;
        int rank;
        const unsigned char *block;
        size_t bytes;
        bool flag;
    } own[THREAD_RANKS_MAX];
    pthread_barrier_t barrier;
    int n;
};

void thread_ranks_init(struct thread_ranks *t, int n);
void thread_ranks_deinit(struct thread_ranks *t);

/* Calls fn(ctx, rank) on a thread for each rank, and waits for all. */
void thread_ranks_run(struct thread_ranks *t, void (*fn)(void *ctx, int rank), void *ctx);
