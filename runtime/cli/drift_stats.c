#include "runtime/cli/drift_stats.h"

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

double drift_mcnemar(size_t only_a, size_t only_b)
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
    if (n > DRIFT_EXACT_MAX) {
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

int drift_wilcoxon(const double *differences, size_t n, double *p, struct err *e)
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

struct drift_figure drift_share(size_t hits, size_t n)
{
    if (n == 0) {
        return (struct drift_figure){0, 0, 1};
    }
    double count = (double)n, share = (double)hits / count, z2 = Z_95 * Z_95;
    double middle = (share + z2 / (2 * count)) / (1 + z2 / count);
    double half =
        Z_95 * sqrt(share * (1 - share) / count + z2 / (4 * count * count)) / (1 + z2 / count);
    return (struct drift_figure){share, fmax(0, middle - half), fmin(1, middle + half)};
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double mean_of(double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
    }
    return sum / (double)n;
}

/* Sorts them. */
static double median_of(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static int resample(const double *values, size_t n, double (*statistic)(double *, size_t),
                    struct drift_figure *out, struct err *e)
{
    *out = (struct drift_figure){0};
    if (n == 0) {
        return 0;
    }
    double *drawn = mem_zarray(n, sizeof(*drawn));
    double *results = mem_zarray(RESAMPLES, sizeof(*results));
    if (!drawn || !results) {
        mem_free(drawn);
        mem_free(results);
        return err_nomem(e);
    }
    memcpy(drawn, values, n * sizeof(*drawn));
    out->value = statistic(drawn, n);
    struct rng rng;
    rng_seed(&rng, 1);
    for (size_t k = 0; k < RESAMPLES; k++) {
        for (size_t i = 0; i < n; i++) {
            drawn[i] = values[rng_below(&rng, (uint32_t)n)];
        }
        results[k] = statistic(drawn, n);
    }
    qsort(results, RESAMPLES, sizeof(*results), by_value);
    out->low = results[RESAMPLES * 25 / 1000];
    out->high = results[RESAMPLES * 975 / 1000 - 1];
    mem_free(drawn);
    mem_free(results);
    return 0;
}

int drift_mean(const double *values, size_t n, struct drift_figure *out, struct err *e)
{
    return resample(values, n, mean_of, out, e);
}

int drift_median(const double *values, size_t n, struct drift_figure *out, struct err *e)
{
    return resample(values, n, median_of, out, e);
}
