#include "models/curate/workers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/mem.h"

struct job {
    size_t n, run;
    workers_fn *work;
    void *ctx;
    atomic_size_t next;
    atomic_bool failed;
};

struct worker {
    struct job *job;
    size_t number;
    size_t failed_at; /* SIZE_MAX: nowhere */
    struct err e;
    pthread_t thread;
    bool is_started;
};

static void *work(void *argument)
{
    struct worker *w = argument;
    struct job *job = w->job;
    while (!atomic_load(&job->failed)) {
        size_t first = atomic_fetch_add(&job->next, job->run);
        if (first >= job->n) {
            break;
        }
        size_t end = job->n - first < job->run ? job->n : first + job->run;
        for (size_t i = first; i < end; i++) {
            if (job->work(job->ctx, w->number, i, &w->e)) {
                w->failed_at = i;
                atomic_store(&job->failed, true);
                return NULL;
            }
        }
    }
    return NULL;
}

int workers_run(size_t threads, size_t n, size_t run, workers_fn *fn, void *ctx, struct err *e)
{
    struct job job = {.n = n, .run = run, .work = fn, .ctx = ctx};
    struct worker *workers = mem_zarray(threads, sizeof(*workers));
    if (!workers) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < threads; i++) {
        workers[i] = (struct worker){.job = &job, .number = i, .failed_at = SIZE_MAX};
        /* Without a thread the others do its share. */
        workers[i].is_started =
            i > 0 && pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
    }
    work(&workers[0]);
    const struct worker *first = &workers[0];
    for (size_t i = 1; i < threads; i++) {
        if (workers[i].is_started) {
            pthread_join(workers[i].thread, NULL);
        }
        first = workers[i].failed_at < first->failed_at ? &workers[i] : first;
    }
    int rc = first->failed_at == SIZE_MAX ? 0 : -1;
    if (rc) {
        *e = first->e;
    }
    mem_free(workers);
    return rc;
}
