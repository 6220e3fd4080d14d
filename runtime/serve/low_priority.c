#include "runtime/serve/low_priority.h"

#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

/* Engines compute at 5 (team_step_back): of a processor that both want, a tenth. */
#define NICE 15

struct job {
    void (*run)(void *arg);
    void *arg;
};

static void run_job(void *arg)
{
    struct job *job = arg;
    /* Linux has a priority for each thread; elsewhere nothing is lost. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    job->run(job->arg);
}

void low_priority_run(void (*run)(void *arg), void *arg)
{
    struct job job = {run, arg};
    uv_thread_t thread;
    if (uv_thread_create(&thread, run_job, &job) != 0) {
        run(arg);
        return;
    }
    uv_thread_join(&thread);
}
