/* stats.h: is what two models did to the same prompts different by more than chance, and how
 * sure is a figure?
 *
 * The tests are for pairs, two-sided, and exact while that can be computed, so that they hold
 * for twenty prompts too.
 *
 * Threads: pure functions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"

/* McNemar (1947): of the prompts that the two did not treat alike, `only_a` were refused (say)
 * by the first alone and `only_b` by the second alone. The exact test: under no difference each
 * is a fair coin. The p-value, 1 where there is none. */
double stats_mcnemar(size_t only_a, size_t only_b);

/* Wilcoxon's signed rank test (1945) of differences; those that are 0 are left out, equal ones
 * share their ranks. Exact up to STATS_EXACT_MAX differences, by the distribution of the rank
 * sum over all signs; beyond by the normal distribution with corrections for ties and
 * continuity. *p is 1 where all are 0. -1: no memory. */
#define STATS_EXACT_MAX 200
int stats_wilcoxon(const double *differences, size_t n, double *p, struct err *e);

/* A figure and the interval that holds it with 95 % confidence. */
struct stats_figure {
    double value, low, high;
};

/* Of a share, `hits` of n: Wilson (1927). 0 and all from 0 to 1 where n is 0. */
struct stats_figure stats_share(size_t hits, size_t n);

/* Of the difference of two shares over the same n: `only_a` hits are the first's alone and
 * `only_b` the second's. Agresti and Min (2005): half a hit more in each cell, so that there is
 * an interval where all agree. The value is (only_b - only_a) / n. */
struct stats_figure stats_share_difference(size_t only_a, size_t only_b, size_t n);

/* What is computed of values drawn: drawn[i] < n is the index of the i-th. */
typedef double stats_statistic(void *ctx, const uint32_t *drawn, size_t n);

/* The statistic of all n values and percentiles of it over 2,000 resamples (Efron 1979), the
 * same for the same values. All 0 where n is 0. *p, unless NULL: whether it is 0, by twice the
 * share of resamples on the rarer side. -1: no memory. */
int stats_bootstrap(size_t n, stats_statistic *of, void *ctx, struct stats_figure *out,
                    double *p, struct err *e);

/* The same of the mean and of the median. */
int stats_mean(const double *values, size_t n, struct stats_figure *out, struct err *e);
int stats_median(const double *values, size_t n, struct stats_figure *out, struct err *e);

/* Replaces p-values by Holm's (1979): that one of them is below 0.05 by chance has then a
 * probability of 0.05 at most, however many there are. -1: no memory. */
int stats_holm(double *p, size_t n, struct err *e);
