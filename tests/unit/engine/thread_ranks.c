#include "tests/unit/engine/thread_ranks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static bool gather(void *channel, unsigned char *blocks, const size_t *at, bool to_all,
                   bool flag)
{
    struct thread_rank *own = channel;
    struct thread_ranks *t = own->all;
    memset(blocks + at[own->rank], own->rank, RANKS_HEAD); /* the head is the carrier's */
    own->block = blocks + at[own->rank];
    own->bytes = at[own->rank + 1] - at[own->rank];
    own->flag = flag;
    pthread_barrier_wait(&t->barrier);
    for (int i = 0; i < t->n && (to_all || own->rank == 0); i++) {
        if (i != own->rank) {
            assert_int_equal(t->own[i].bytes, at[i + 1] - at[i]);
            memcpy(blocks + at[i], t->own[i].block, t->own[i].bytes);
        }
    }
    bool first = t->own[0].flag;
    pthread_barrier_wait(&t->barrier);
    return first;
}

void thread_ranks_init(struct thread_ranks *t, int n)
{
    *t = (struct thread_ranks){.n = n};
    pthread_barrier_init(&t->barrier, NULL, (unsigned)n);
    for (int i = 0; i < n; i++) {
        t->own[i] = (struct thread_rank){.all = t, .rank = i};
        t->ranks[i] =
            (struct ranks){.channel = &t->own[i], .rank = i, .n_ranks = n, .gather = gather};
    }
}

void thread_ranks_deinit(struct thread_ranks *t)
{
    pthread_barrier_destroy(&t->barrier);
}

struct call {
    void (*fn)(void *ctx, int rank);
    void *ctx;
    int rank;
};

static void *run(void *arg)
{
    const struct call *call = arg;
    call->fn(call->ctx, call->rank);
    return NULL;
}

void thread_ranks_run(struct thread_ranks *t, void (*fn)(void *ctx, int rank), void *ctx)
{
    pthread_t threads[THREAD_RANKS_MAX];
    struct call calls[THREAD_RANKS_MAX];
    for (int i = 0; i < t->n; i++) {
        calls[i] = (struct call){fn, ctx, i};
        assert_int_equal(pthread_create(&threads[i], NULL, run, &calls[i]), 0);
    }
    for (int i = 0; i < t->n; i++) {
        pthread_join(threads[i], NULL);
    }
}
