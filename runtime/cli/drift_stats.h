/* drift_stats.h: is what two versions of a model did to the same prompts different by more than
 * chance? Command-internal.
 *
 * Both tests are for pairs, two-sided, and exact while that can be computed, so that they hold
 * for twenty prompts too.
 *
 * Threads: pure functions. */
#pragma once

#include <stddef.h>

#include "runtime/base/err.h"

/* McNemar (1947): of the prompts that the two did not treat alike, `only_a` were refused (say)
 * by the first alone and `only_b` by the second alone. The exact test: under no difference each
 * is a fair coin. The p-value, 1 where there is none. */
double drift_mcnemar(size_t only_a, size_t only_b);

/* Wilcoxon's signed rank test (1945) of differences; those that are 0 are left out, equal ones
 * share their ranks. Exact up to DRIFT_EXACT_MAX differences, by the distribution of the rank
 * sum over all signs; beyond by the normal distribution with corrections for ties and
 * continuity. *p is 1 where all are 0. -1: no memory. */
#define DRIFT_EXACT_MAX 200
int drift_wilcoxon(const double *differences, size_t n, double *p, struct err *e);

/* A figure and the interval that holds it with 95 % confidence. */
struct drift_figure {
    double value, low, high;
};

/* Of a share, `hits` of n: Wilson (1927). 0 and all from 0 to 1 where n is 0. */
struct drift_figure drift_share(size_t hits, size_t n);

/* Of values: percentiles of 2,000 resamples (Efron 1979), the same for the same values. All 0
 * where n is 0. -1: no memory. */
int drift_mean(const double *values, size_t n, struct drift_figure *out, struct err *e);
int drift_median(const double *values, size_t n, struct drift_figure *out, struct err *e);
