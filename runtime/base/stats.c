#include "runtime/base/stats.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

#define RESAMPLES 2000
#define Z_95      1.959963984540054

static double at_most_1(double p)
{
    return p < 1 ? p : 1;
}

double stats_mcnemar(size_t only_a, size_t only_b)
{
    double n = (double)only_a + (double)only_b;
    size_t fewer = only_a < only_b ? only_a : only_b;
    double sum = 0;
    for (size_t k = 0; k <= fewer; k++) {
        double i = (double)k;
        sum += exp(lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) - n * log(2));
    }
    return at_most_1(2 * sum);
}

/* --- signed ranks --- */

struct ranked {
    double size;   /* of the difference */
    bool is_above; /* 0 */
    size_t rank2;  /* twice the rank: shared ranks are whole or half */
};

static int by_size(const void *a, const void *b)
{
    double x = ((const struct ranked *)a)->size, y = ((const struct ranked *)b)->size;
    return (x > y) - (x < y);
}

/* The sum over groups of t equal ones of t^3 - t. */
static double give_ranks(struct ranked *r, size_t n)
{
    double ties = 0;
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && r[to].size == r[from].size; to++) {
        }
        for (size_t i = from; i < to; i++) {
            r[i].rank2 = from + 1 + to; /* the mean of from + 1 .. to, twice */
        }
        double t = (double)(to - from);
        ties += t * t * t - t;
    }
    return ties;
}

/* The share of all signs whose sum of ranks above 0 is at most sum2 / 2. */
static int share_at_most(const struct ranked *r, size_t n, size_t sum2, double *share,
                         struct err *e)
{
    double *with = mem_zarray(sum2 + 1, sizeof(*with)); /* [s]: the share with the sum s */
    if (!with) {
        return err_nomem(e);
    }
    with[0] = 1;
    for (size_t i = 0; i < n; i++) {
        for (size_t s = sum2 + 1; s-- > 0;) {
            double before = s >= r[i].rank2 ? with[s - r[i].rank2] : 0;
            with[s] = (with[s] + before) / 2;
        }
    }
    *share = 0;
    for (size_t s = 0; s <= sum2; s++) {
        *share += with[s];
    }
    mem_free(with);
    return 0;
}

static double normal_p(size_t n_ranked, double ties, double sum)
{
    double n = (double)n_ranked;
    double mean = n * (n + 1) / 4;
    double variance = n * (n + 1) * (2 * n + 1) / 24 - ties / 48;
    double off = fabs(sum - mean) - 0.5;
    return off > 0 ? erfc(off / sqrt(2 * variance)) : 1;
}

static int rank_test(struct ranked *r, size_t n, double *p, struct err *e)
{
    size_t above2 = 0, all2 = n * (n + 1);
    double ties = give_ranks(r, n);
    for (size_t i = 0; i < n; i++) {
        above2 += r[i].is_above ? r[i].rank2 : 0;
    }
    if (n > STATS_EXACT_MAX) {
        *p = normal_p(n, ties, (double)above2 / 2);
        return 0;
    }
    /* The distribution is the same from both ends. */
    size_t less2 = above2 < all2 - above2 ? above2 : all2 - above2;
    double share = 0;
    if (share_at_most(r, n, less2, &share, e) != 0) {
        return -1;
    }
    *p = at_most_1(2 * share);
    return 0;
}

int stats_wilcoxon(const double *differences, size_t n, double *p, struct err *e)
{
    struct ranked *r = mem_zarray(n + 1, sizeof(*r));
    size_t n_ranked = 0;
    if (!r) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++) {
        if (differences[i] != 0) {
            r[n_ranked++] =
                (struct ranked){.size = fabs(differences[i]), .is_above = differences[i] > 0};
        }
    }
    *p = 1;
    qsort(r, n_ranked, sizeof(*r), by_size);
    int rc = n_ranked > 0 ? rank_test(r, n_ranked, p, e) : 0;
    mem_free(r);
    return rc;
}

/* --- intervals --- */

struct stats_figure stats_share(size_t hits, size_t n)
{
    if (n == 0) {
        return (struct stats_figure){0, 0, 1};
    }
    double count = (double)n, share = (double)hits / count, z2 = Z_95 * Z_95;
    double middle = (share + z2 / (2 * count)) / (1 + z2 / count);
    double half =
        Z_95 * sqrt(share * (1 - share) / count + z2 / (4 * count * count)) / (1 + z2 / count);
    return (struct stats_figure){share, fmax(0, middle - half), fmin(1, middle + half)};
}

struct stats_figure stats_share_difference(size_t only_a, size_t only_b, size_t n)
{
    if (n == 0) {
        return (struct stats_figure){0, -1, 1};
    }
    double a = (double)only_a + 0.5, b = (double)only_b + 0.5, count = (double)n + 2;
    double middle = (b - a) / count;
    double half = Z_95 * sqrt(fmax(0, a + b - (b - a) * (b - a) / count)) / count;
    return (struct stats_figure){((double)only_b - (double)only_a) / (double)n,
                                 fmax(-1, middle - half), fmin(1, middle + half)};
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Twice the share of the results that lie on the rarer side of 0. */
static double p_of_zero(const double *results)
{
    size_t below = 0, above = 0;
    for (size_t k = 0; k < RESAMPLES; k++) {
        below += results[k] <= 0;
        above += results[k] >= 0;
    }
    size_t fewer = below < above ? below : above;
    return at_most_1(2 * (double)(fewer + 1) / (RESAMPLES + 1));
}

/* drawn: (n), results: (RESAMPLES). */
static void resample(size_t n, stats_statistic *of, void *ctx, uint32_t *drawn, double *results,
                     struct stats_figure *out)
{
    for (size_t i = 0; i < n; i++) {
        drawn[i] = (uint32_t)i;
    }
    out->value = of(ctx, drawn, n);
    struct rng rng;
    rng_seed(&rng, 1);
    for (size_t k = 0; k < RESAMPLES; k++) {
        for (size_t i = 0; i < n; i++) {
            drawn[i] = rng_below(&rng, (uint32_t)n);
        }
        results[k] = of(ctx, drawn, n);
    }
    qsort(results, RESAMPLES, sizeof(*results), by_value);
    out->low = results[RESAMPLES * 25 / 1000];
    out->high = results[RESAMPLES * 975 / 1000 - 1];
}

int stats_bootstrap(size_t n, stats_statistic *of, void *ctx, struct stats_figure *out,
                    double *p, struct err *e)
{
    *out = (struct stats_figure){0};
    if (p) {
        *p = 1;
    }
    if (n == 0) {
        return 0;
    }
    if (n > UINT32_MAX) {
        return err_set(e, ERR_LIMIT, "more than %u values", UINT32_MAX);
    }
    uint32_t *drawn = mem_zarray(n, sizeof(*drawn));
    double *results = mem_zarray(RESAMPLES, sizeof(*results));
    int rc = drawn && results ? 0 : err_nomem(e);
    if (rc == 0) {
        resample(n, of, ctx, drawn, results, out);
    }
    if (rc == 0 && p) {
        *p = p_of_zero(results);
    }
    mem_free(drawn);
    mem_free(results);
    return rc;
}

static double mean_of(void *ctx, const uint32_t *drawn, size_t n)
{
    const double *values = ctx;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += values[drawn[i]];
    }
    return sum / (double)n;
}

struct median {
    const double *values; /* (n) */
    double *sorted;       /* (n) */
};

static double median_of(void *ctx, const uint32_t *drawn, size_t n)
{
    const struct median *m = ctx;
    double *sorted = m->sorted;
    for (size_t i = 0; i < n; i++) {
        sorted[i] = m->values[drawn[i]];
    }
    qsort(sorted, n, sizeof(*sorted), by_value);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

int stats_mean(const double *values, size_t n, struct stats_figure *out, struct err *e)
{
    return stats_bootstrap(n, mean_of, (void *)values, out, NULL, e);
}

int stats_median(const double *values, size_t n, struct stats_figure *out, struct err *e)
{
    struct median m = {.values = values, .sorted = mem_zarray(n + 1, sizeof(*values))};
    int rc = m.sorted ? stats_bootstrap(n, median_of, &m, out, NULL, e) : err_nomem(e);
    mem_free(m.sorted);
    return rc;
}

/* --- many tests --- */

struct ordered {
    double p;
    size_t at;
};

static int by_p(const void *a, const void *b)
{
    double x = ((const struct ordered *)a)->p, y = ((const struct ordered *)b)->p;
    return (x > y) - (x < y);
}

int stats_holm(double *p, size_t n, struct err *e)
{
    struct ordered *o = mem_zarray(n + 1, sizeof(*o));
    double largest = 0;
    if (!o) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++) {
        o[i] = (struct ordered){p[i], i};
    }
    qsort(o, n, sizeof(*o), by_p);
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, at_most_1(o[i].p * (double)(n - i)));
        p[o[i].at] = largest;
    }
    mem_free(o);
    return 0;
}
