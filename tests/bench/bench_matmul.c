/* bench_matmul: how fast the kernels are on a model's shapes, beside what the machine can do at
 * most.
 *
 * Weights of one layer after another are read, as a model step does, so that one token at a
 * time is limited by memory. Not run by ctest. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quant/cpu.h"
#include "quant/ops.h"
#include "quant/peak.h"
#include "quant/q8_kernel.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/options.h"
#include "runtime/base/rng.h"
#include "runtime/engine/team.h"

#define READ_BYTES   ((size_t)512 << 20)
#define WEIGHT_BYTES ((size_t)256 << 20) /* of copies: more than the caches hold */
#define REPEATS      3

/* n and k of TinyLlama-1.1B: attention, feed-forward in and out. */
static const size_t shapes[][2] = {{2048, 2048}, {5632, 2048}, {2048, 5632}};
static const size_t batches[] = {1, 2, 4, 8, 16, 64, 512};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void *must(void *p)
{
    if (!p) {
        fprintf(stderr, "bench_matmul: out of memory\n");
        exit(1);
    }
    return p;
}

static void run_team(void *team, void (*work)(void *ctx, int worker, int n_workers), void *ctx)
{
    team_run(team, work, ctx);
}

/* --- one product --- */

struct product {
    const struct q8_kernel *kernel;
    struct q8_packed weights;
    struct q8_acts acts;
    size_t m;
    float *y;
};

static void product_worker(void *ctx, int worker, int n_workers)
{
    const struct product *p = ctx;
    const size_t tiles = q8_tiles(&p->weights);
    const size_t first = tiles * (size_t)worker / (size_t)n_workers;
    const size_t last = tiles * ((size_t)worker + 1) / (size_t)n_workers;
    p->kernel->matmul(p->y, p->weights.n, &p->acts, p->m, &p->weights, first, last);
}

/* Seconds for a product, the best of some passes over copies of the weights. */
static double time_product(struct team *team, struct product *p, const uint8_t *weights,
                           size_t copies)
{
    const size_t bytes = q8_packed_bytes(p->weights.n, p->weights.k);
    const size_t passes = p->m < 64 ? copies : 4;
    double best = HUGE_VAL;
    for (int r = 0; r < REPEATS; r++) {
        const double start = clock_now_s();
        for (size_t i = 0; i < passes; i++) {
            p->weights.data = weights + i % copies * bytes;
            team_run(team, product_worker, p);
        }
        best = fmin(best, (clock_now_s() - start) / (double)passes);
    }
    return best;
}

static float *random_floats(struct rng *r, size_t n)
{
    float *x = must(mem_array(n, sizeof(*x)));
    for (size_t i = 0; i < n; i++) {
        x[i] = rng_uniform(r) - 0.5f;
    }
    return x;
}

struct peaks {
    double ops, bytes;
};

static void bench_batch(struct team *team, struct product *p, const uint8_t *weights,
                        size_t copies, size_t m, struct rng *r, const struct peaks *peaks)
{
    const size_t n = p->weights.n, k = p->weights.k;
    float *x = random_floats(r, m * k);
    void *acts = must(mem_zalloc_aligned(q8_acts_bytes(m, k)));
    p->m = m;
    p->y = must(mem_zalloc_aligned(m * n * sizeof(float)));
    q8_acts_init(&p->acts, acts, m, k);
    q8_acts_arrange(&p->acts, q8_kernel_wants_panels(p->kernel, m));
    p->kernel->quantize(&p->acts, x, k, 0, m);

    const double s = time_product(team, p, weights, copies);
    const double ops = 2.0 * (double)m * (double)n * (double)k / s;
    const double bytes = (double)q8_packed_bytes(n, k) / s;
    printf("%-11s n %5zu k %5zu m %4zu  %8.1f GOP/s %5.1f %% of peak  %6.1f GB/s %5.1f %%\n",
           p->kernel->name, n, k, m, ops / 1e9, 100.0 * ops / peaks->ops, bytes / 1e9,
           100.0 * bytes / peaks->bytes);
    fflush(stdout);
    mem_free_aligned(p->y);
    mem_free_aligned(acts);
    mem_free(x);
}

static void bench_shape(struct team *team, const struct q8_kernel *kernel, size_t n, size_t k,
                        const struct peaks *peaks)
{
    struct rng r;
    rng_seed(&r, 1);
    const size_t bytes = q8_packed_bytes(n, k);
    const size_t copies = WEIGHT_BYTES / bytes + 1;
    uint8_t *weights = must(mem_zalloc_aligned(copies * bytes));
    float *w = random_floats(&r, n * k);
    struct product p = {.kernel = kernel};
    q8_packed_init(&p.weights, weights, n, k);
    q8_pack_floats(weights, &p.weights, w, 0, q8_tiles(&p.weights));
    mem_free(w);
    for (size_t i = 1; i < copies; i++) {
        memcpy(weights + i * bytes, weights, bytes);
    }
    for (size_t i = 0; i < COUNT(batches); i++) {
        if (kernel->needs != 0 || batches[i] <= 4) { /* the reference takes minutes for more */
            bench_batch(team, &p, weights, copies, batches[i], &r, peaks);
        }
    }
    mem_free_aligned(weights);
}

/* --- attention --- */

#define HEAD_DIM 64
#define HEADS    8 /* query heads of a KV head */

/* A prompt of n positions, or the last position alone, on one thread. */
static void bench_attention(const struct ops *ops, enum ops_type type, size_t n, size_t rows)
{
    struct rng r;
    rng_seed(&r, 1);
    void *page = must(mem_zalloc_aligned(2 * n * HEAD_DIM * sizeof(float)));
    struct ops_kv kv = {.pages = &page,
                        .page_positions = n,
                        .v_offset = n * HEAD_DIM,
                        .head_dim = HEAD_DIM,
                        .type = type};
    const size_t width = (size_t)HEADS * HEAD_DIM;
    float *q = random_floats(&r, rows * width), *out = random_floats(&r, rows * width);
    float *scratch = must(mem_zalloc_aligned(ops_attention_scratch(n) * sizeof(float)));
    for (size_t p = 0; p < n; p++) {
        ops->kv_store(&kv, p, q + p % rows * width, q + p % rows * width);
    }
    const struct ops_attention a = {.out = out,
                                    .out_stride = width,
                                    .q = q,
                                    .q_stride = width,
                                    .n_rows = rows,
                                    .n_heads = HEADS,
                                    .n_past = n - rows,
                                    .scale = 0.125f,
                                    .kv = &kv,
                                    .scratch = scratch};
    double best = HUGE_VAL;
    for (int i = 0; i < 10 * REPEATS; i++) {
        const double start = clock_now_s();
        ops->attend(&a);
        best = fmin(best, clock_now_s() - start);
    }
    const double pairs =
        (double)rows * (double)(n - rows) + (double)rows * (double)(rows + 1) / 2;
    printf(
        "%-11s attend %s, %zu rows at %zu positions, %d heads of %d: %8.1f us %7.1f GFLOP/s\n",
        ops->name, type == OPS_F16 ? "f16" : "f32", rows, n, HEADS, HEAD_DIM, best * 1e6,
        4.0 * pairs * HEADS * HEAD_DIM / best / 1e9);
    mem_free(q);
    mem_free(out);
    mem_free_aligned(scratch);
    mem_free_aligned(page);
}

static void bench_ops(uint32_t features)
{
    for (const struct ops *const *o = ops_variants; *o; o++) {
        if (((*o)->needs & ~features) != 0 || ((*o)->needs == 0 && features != 0)) {
            continue;
        }
        for (int type = 0; type < 2; type++) {
            bench_attention(*o, type ? OPS_F16 : OPS_F32, 512, 512);
            bench_attention(*o, type ? OPS_F16 : OPS_F32, 1024, 1);
        }
    }
}

int main(int argc, char **argv)
{
    const char *cpu = "auto";
    long threads = 1;
    bool ops_only = false;
    const struct option table[] = {
        {"threads", 't', OPTION_INT, &threads, "N", "threads [1]", 1, TEAM_MAX_THREADS},
        {"cpu", 0, OPTION_STRING, &cpu, "NAME", "the most that kernels may use [auto]", 0, 0},
        {"ops", 0, OPTION_FLAG, &ops_only, NULL, "attention alone", 0, 0},
        {0},
    };
    const struct options options = {"bench_matmul [options]", "speed of the kernels", table};
    struct err e = {0};
    int positional;
    uint32_t mask;
    const int parsed = options_parse(&options, argc, argv, &positional, &e);
    if (parsed == 1) {
        return 0;
    }
    if (parsed != 0 || cpu_features_named(cpu, &mask) != 0) {
        fprintf(stderr, "bench_matmul: %s\n", parsed != 0 ? e.message : "no such --cpu");
        return 2;
    }
    const uint32_t features = cpu_features() & mask;
    bench_ops(features);
    if (ops_only) {
        return 0;
    }

    struct team *team = team_create((int)threads, &e);
    if (!team) {
        fprintf(stderr, "bench_matmul: %s\n", e.message);
        return 1;
    }
    const struct peak_team run = {run_team, team};
    void *buffer = must(mem_zalloc_aligned(READ_BYTES));
    memset(buffer, 1, READ_BYTES);
    struct peaks peaks = {.bytes = peak_read_bytes(&run, buffer, READ_BYTES)};
    mem_free_aligned(buffer);
    printf("%ld threads, read peak %.1f GB/s\n", threads, peaks.bytes / 1e9);
    for (const struct q8_kernel *const *k = q8_kernels; *k; k++) {
        if (((*k)->needs & ~features) != 0) {
            continue;
        }
        peaks.ops = peak_int8_ops(&run, *k);
        printf("%s: int8 peak %.3f TOP/s\n", (*k)->name, peaks.ops / 1e12);
        for (size_t i = 0; i < COUNT(shapes); i++) {
            bench_shape(team, *k, shapes[i][0], shapes[i][1], &peaks);
        }
    }
    team_destroy(team);
    return 0;
}
