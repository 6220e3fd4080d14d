/* What an exchange between ranks costs: the whole rows of a product of which every rank has its
 * columns.
 *
 *     mpirun -np 2 build/release/tests/bench/bench_ranks [ROUNDS]
 *
 * Prints the median and the slowest hundredth, in microseconds, for rows of `width` floats, as
 * rank 0 sees it. A layer of a model has four exchanges: of the attention's width, twice of the
 * residual stream's and of the feed-forward network's. */
#include <stdio.h>
#include <stdlib.h>

#include "models/arch/llama_exchange.h"
#include "quant/q8.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/ranks/rank_group.h"

#define ROUNDS_MAX 100000

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(const struct ranks *ranks, size_t rows, size_t width, int rounds,
                   double *times, struct err *e)
{
    struct llama_split split;
    struct llama_exchange x;
    struct parallel alone = parallel_none;
    alone.ranks = ranks;
    llama_split_init(&split, width, Q8_TILE, ranks->n_ranks);
    if (llama_exchange_init(&x, &alone, rows * width, NULL, e) != 0) {
        return -1;
    }
    for (int i = 0; i < rounds; i++) {
        double begin = clock_now_s();
        llama_exchange_gather(&x, &split, rows, true);
        times[i] = 1e6 * (clock_now_s() - begin);
    }
    llama_exchange_deinit(&x);
    qsort(times, (size_t)rounds, sizeof(*times), compare);
    return 0;
}

static int measure_all(struct rank_group *g, const struct ranks *ranks, int rounds,
                       struct err *e)
{
    static const struct {
        size_t rows, width;
    } cases[] = {{1, 256},   {1, 2048},   {1, 5632},  {16, 2048},
                 {16, 5632}, {256, 2048}, {256, 5632}};
    double *times = mem_zarray(ROUNDS_MAX, sizeof(*times));
    int rc = times ? 0 : err_nomem(e);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) && rc == 0; i++) {
        rc = measure(ranks, cases[i].rows, cases[i].width, rounds, times, e);
        if (rc == 0 && rank_group_rank(g) == 0) {
            printf("%3zu rows of %4zu floats: %9.1f us, slowest hundredth %9.1f us\n",
                   cases[i].rows, cases[i].width, times[rounds / 2], times[rounds * 99 / 100]);
        }
    }
    mem_free(times);
    return rc;
}

int main(int argc, char **argv)
{
    const struct rank_group_settings s = {.timeout_ms = 60000, .version = "bench"};
    struct rank_group *g = NULL;
    struct rank_channel *channel = NULL;
    struct err e = {0};
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 1000;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: mpirun -np N bench_ranks [ROUNDS, at most %d]\n", ROUNDS_MAX);
        return 2;
    }
    int rc = rank_group_open(&g, &s, &e);
    if (rc == 0 && !g) {
        rc = err_set(&e, ERR_INVALID, "alone: start it with mpirun -np N");
    }
    if (rc == 0) {
        channel = rank_channel_open(g, 1, &e);
        rc = channel ? measure_all(g, rank_channel_ranks(channel), (int)rounds, &e) : -1;
    }
    rank_channel_close(channel);
    rank_group_close(g);
    if (rc != 0) {
        fprintf(stderr, "bench_ranks: %s\n", e.message);
    }
    return rc == 0 ? 0 : 1;
}
