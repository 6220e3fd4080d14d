#include "runtime/engine/team.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"

#define COMPUTE_NICE 5
#define ASIDE_NICE   19

/* How long a wait spins before it sleeps: longer than the gaps between the stages of a step,
 * shorter than anybody would notice on an idle machine. */
#define SPIN_NS     50000
#define SPIN_PAUSES 32 /* between looks at the clock */

/* A number that threads wait to see change. Waiters spin, then sleep on the condition variable.
 */
struct gate {
    atomic_uint value;
    atomic_uint sleepers;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

struct worker {
    struct team *team;
    pthread_t thread;
    int index;
};

struct team {
    int size;
    int started; /* threads that run */
    bool spin;   /* there is a core for each, and nobody else wants it */
    void (*fn)(void *ctx, int worker, int n_workers);
    void *ctx;
    bool stop;           /* published by `go`, like fn and ctx */
    struct gate go;      /* a run begins */
    struct gate done;    /* the last worker has returned */
    struct gate barrier; /* the last worker has arrived */
    atomic_int running;
    atomic_int arrived;
    struct worker workers[];
};

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void gate_init(struct gate *g)
{
    atomic_init(&g->value, 0);
    atomic_init(&g->sleepers, 0);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
}

static void gate_deinit(struct gate *g)
{
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
}

/* Teams of the process that run something now. */
static atomic_int n_running;

/* Whether the value changed from `old` while spinning. Beside another team, whose thread may be
 * what this core should run, the core is offered to it. */
static bool gate_spin(struct gate *g, unsigned old)
{
    const uint64_t end = clock_now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < SPIN_PAUSES; i++) {
            if (atomic_load_explicit(&g->value, memory_order_acquire) != old) {
                return true;
            }
            pause_briefly();
        }
        if (atomic_load_explicit(&n_running, memory_order_relaxed) > 1) {
            sched_yield();
        }
    } while (clock_now_ns() < end);
    return false;
}

/* A waiter counts itself and then looks at the value; gate_open changes the value and then
 * looks at the count. Both in the one order of sequentially consistent operations, so one sees
 * the other. */
static void gate_wait(struct gate *g, unsigned old, bool spin)
{
    if (spin && gate_spin(g, old)) {
        return;
    }
    pthread_mutex_lock(&g->lock);
    atomic_fetch_add(&g->sleepers, 1);
    while (atomic_load(&g->value) == old) {
        pthread_cond_wait(&g->changed, &g->lock);
    }
    atomic_fetch_sub(&g->sleepers, 1);
    pthread_mutex_unlock(&g->lock);
}

static void gate_open(struct gate *g)
{
    atomic_fetch_add(&g->value, 1);
    if (atomic_load(&g->sleepers) == 0) {
        return;
    }
    pthread_mutex_lock(&g->lock);
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static unsigned gate_value(struct gate *g)
{
    return atomic_load_explicit(&g->value, memory_order_relaxed);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct team *t = w->team;
    for (unsigned seen = 0;; seen++) {
        gate_wait(&t->go, seen, t->spin);
        if (t->stop) {
            return NULL;
        }
        t->fn(t->ctx, w->index, t->size);
        if (atomic_fetch_sub(&t->running, 1) == 1) {
            gate_open(&t->done);
        }
    }
}

/* Starts the threads with all signals blocked: those are for the threads that made the team. */
static int start_workers(struct team *t, struct err *e)
{
    sigset_t all, before;
    int status = 0;
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* of a mapped file: base/map_guard.h */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 1; i < t->size && status == 0; i++) {
        struct worker *w = &t->workers[i];
        *w = (struct worker){.team = t, .index = i};
        status = pthread_create(&w->thread, NULL, worker_main, w);
        if (status == 0) {
            t->started++;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != 0) {
        return err_set_errno(e, status, "cannot start thread %d of %d", t->started + 2,
                             t->size);
    }
    return 0;
}

static struct team *create(int threads, bool spin, struct err *e)
{
    if (threads < 1 || threads > TEAM_MAX_THREADS) {
        err_set_param(e, ERR_INVALID, "threads", "%d threads: 1 to %d are possible", threads,
                      TEAM_MAX_THREADS);
        return NULL;
    }
    struct team *t = mem_zalloc(sizeof(*t) + (size_t)threads * sizeof(t->workers[0]));
    if (!t) {
        err_nomem(e);
        return NULL;
    }
    t->size = threads;
    t->spin = spin;
    gate_init(&t->go);
    gate_init(&t->done);
    gate_init(&t->barrier);
    atomic_init(&t->running, 0);
    atomic_init(&t->arrived, 0);
    if (start_workers(t, e) != 0) {
        team_destroy(t);
        return NULL;
    }
    return t;
}

struct team *team_create(int threads, struct err *e)
{
    return create(threads, threads <= sysconf(_SC_NPROCESSORS_ONLN), e);
}

struct team *team_create_behind(int threads, struct err *e)
{
    return create(threads, false, e);
}

void team_destroy(struct team *t)
{
    if (!t) {
        return;
    }
    t->stop = true;
    gate_open(&t->go);
    for (int i = 1; i <= t->started; i++) {
        pthread_join(t->workers[i].thread, NULL);
    }
    gate_deinit(&t->go);
    gate_deinit(&t->done);
    gate_deinit(&t->barrier);
    mem_free(t);
}

int team_size(const struct team *t)
{
    return t->size;
}

void team_run(struct team *t, void (*fn)(void *ctx, int worker, int n_workers), void *ctx)
{
    if (t->size == 1) {
        fn(ctx, 0, 1);
        return;
    }
    const unsigned done = gate_value(&t->done);
    atomic_fetch_add_explicit(&n_running, 1, memory_order_relaxed);
    t->fn = fn;
    t->ctx = ctx;
    atomic_store_explicit(&t->running, t->size, memory_order_relaxed);
    gate_open(&t->go);
    fn(ctx, 0, t->size);
    if (atomic_fetch_sub(&t->running, 1) != 1) {
        gate_wait(&t->done, done, t->spin);
    }
    atomic_fetch_sub_explicit(&n_running, 1, memory_order_relaxed);
}

struct pinning {
    cpu_set_t allowed;
    atomic_int status; /* errno of a worker that failed, or 0 */
};

/* The index-th CPU of the set. */
static size_t nth_cpu(const cpu_set_t *set, int index)
{
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, set) || index-- > 0) {
        cpu++;
    }
    return cpu;
}

static void pin_worker(void *ctx, int worker, int n_workers)
{
    (void)n_workers;
    struct pinning *p = ctx;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(nth_cpu(&p->allowed, worker), &one);
    int status = pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
    if (status != 0) {
        atomic_store(&p->status, status);
    }
}

static int read_allowed(cpu_set_t *allowed, int threads, struct err *e)
{
    int status = pthread_getaffinity_np(pthread_self(), sizeof(*allowed), allowed);
    if (status != 0) {
        return err_set_errno(e, status, "cannot read which CPUs may be used");
    }
    if (CPU_COUNT(allowed) < threads) {
        return err_set_param(e, ERR_INVALID, "pin",
                             "%d threads cannot be pinned: the process may use %d CPUs; lower "
                             "--threads or leave out --pin",
                             threads, CPU_COUNT(allowed));
    }
    return 0;
}

int team_check_pin(int threads, struct err *e)
{
    cpu_set_t allowed;
    return read_allowed(&allowed, threads, e);
}

int team_pin(struct team *t, struct err *e)
{
    struct pinning p;
    atomic_init(&p.status, 0);
    if (read_allowed(&p.allowed, t->size, e) != 0) {
        return -1;
    }
    team_run(t, pin_worker, &p);
    int status = atomic_load(&p.status);
    return status == 0 ? 0 : err_set_errno(e, status, "cannot pin a thread to a CPU");
}

/* On Linux each thread has a nice value of its own. */
static void set_nice(void *ctx, int worker, int n_workers)
{
    const int *nice = ctx;
    (void)worker;
    (void)n_workers;
    (void)setpriority(PRIO_PROCESS, 0, *nice);
}

void team_step_back(struct team *t)
{
    int nice = COMPUTE_NICE;
    team_run(t, set_nice, &nice);
}

void team_step_aside(struct team *t)
{
    int nice = ASIDE_NICE;
    team_run(t, set_nice, &nice);
}

void team_barrier(struct team *t)
{
    if (t->size == 1) {
        return;
    }
    const unsigned seen = gate_value(&t->barrier);
    if (atomic_fetch_add(&t->arrived, 1) + 1 == t->size) {
        atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
        gate_open(&t->barrier);
    } else {
        gate_wait(&t->barrier, seen, t->spin);
    }
}
