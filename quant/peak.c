#include "quant/peak.h"

#include <string.h>
#include <time.h>

/* Each measurement is repeated and the best taken: other work on the machine only ever slows
 * it. */
#define REPEATS      5
#define SPIN_SECONDS 0.03

/* More workers than this run, but are not counted. */
#define PEAK_MAX_WORKERS 256

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct spin {
    const struct q8_kernel *kernel;
    uint64_t rounds;
    uint64_t ops[PEAK_MAX_WORKERS];
};

static void spin_worker(void *ctx, int worker, int n_workers)
{
    struct spin *s = ctx;
    (void)n_workers;
    if (worker < PEAK_MAX_WORKERS) {
        s->ops[worker] = s->kernel->spin_peak(s->rounds);
    }
}

/* Seconds that one run takes; *ops of all workers. */
static double spin_once(const struct peak_team *team, struct spin *s, double *ops)
{
    const double start = now_s();
    team->run_all(team->team, spin_worker, s);
    const double seconds = now_s() - start;
    *ops = 0.0;
    for (int i = 0; i < PEAK_MAX_WORKERS; i++) {
        *ops += (double)s->ops[i];
    }
    return seconds;
}

double peak_int8_ops(const struct peak_team *team, const struct q8_kernel *kernel)
{
    struct spin s = {.kernel = kernel, .rounds = 1000};
    double ops, best = 0.0;
    while (spin_once(team, &s, &ops) < SPIN_SECONDS) {
        s.rounds *= 2;
    }
    for (int i = 0; i < REPEATS; i++) {
        const double seconds = spin_once(team, &s, &ops);
        best = ops / seconds > best ? ops / seconds : best;
    }
    return best;
}

struct read {
    const char *buffer;
    size_t share;                    /* bytes for each worker */
    uint64_t sums[PEAK_MAX_WORKERS]; /* so that the reads are not left out */
};

/* Four streams at once, as each has its own prefetcher. */
#define READ_STREAMS 4
#define READ_LINE    64
#define READ_UNIT    (READ_STREAMS * READ_LINE)

static uint64_t word_at(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

/* A word of each cache line: memory delivers whole lines. `bytes` is a multiple of READ_UNIT.
 */
static uint64_t read_all(const char *p, size_t bytes)
{
    const size_t stream = bytes / READ_STREAMS;
    const char *p0 = p, *p1 = p0 + stream, *p2 = p1 + stream, *p3 = p2 + stream;
    uint64_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (size_t i = 0; i < stream; i += READ_LINE) {
        s0 += word_at(p0 + i);
        s1 += word_at(p1 + i);
        s2 += word_at(p2 + i);
        s3 += word_at(p3 + i);
    }
    return s0 + s1 + s2 + s3;
}

static void read_worker(void *ctx, int worker, int n_workers)
{
    struct read *r = ctx;
    (void)n_workers;
    const uint64_t sum = read_all(r->buffer + (size_t)worker * r->share, r->share);
    if (worker < PEAK_MAX_WORKERS) {
        r->sums[worker] = sum;
    }
}

static void count_worker(void *ctx, int worker, int n_workers)
{
    if (worker == 0) {
        *(int *)ctx = n_workers;
    }
}

double peak_read_bytes(const struct peak_team *team, const void *buffer, size_t bytes)
{
    int workers = 1;
    team->run_all(team->team, count_worker, &workers);
    struct read r = {.buffer = buffer};
    r.share = bytes / (size_t)workers / READ_UNIT * READ_UNIT;
    double best = 0.0;
    for (int i = 0; i < REPEATS; i++) {
        const double start = now_s();
        team->run_all(team->team, read_worker, &r);
        const double rate = (double)(r.share * (size_t)workers) / (now_s() - start);
        best = rate > best ? rate : best;
    }
    return best;
}
