/* distributions.h: the distribution functions that statistical tests need, and their inverses.
 *
 * The regularised incomplete beta function by its continued fraction (NIST DLMF 8.17.22,
 * evaluated as by Lentz 1976); the others follow from it: Student's t (Abramowitz and Stegun
 * 26.7.1) and the limits of a binomial share (Clopper and Pearson 1934), of which the interval
 * of the difference of two is made by squaring and adding (Zou and Donner 2008). Inverses halve
 * an interval, so they are as exact as what they invert: about 1e-9 of the value for parameters
 * up to a million.
 *
 * Threads: pure functions. */
#pragma once

/* I_x(a, b), the share of a Beta(a, b) below x. a, b > 0; x outside of 0..1 counts as its end.
 */
double beta_below(double a, double b, double x);

/* The x below which is the share p. */
double beta_quantile(double a, double b, double p);

/* The share of Student's t with df degrees of freedom above t. df > 0. */
double student_above(double t, double df);

/* The t above which is the share p, 0 < p <= 0.5. */
double student_quantile_above(double p, double df);

/* The least (most) that a share can be if `hits` or more (less) of n are seen with a
 * probability of p at least: exact one-sided confidence limits of level 1 - p. 0 <= hits <= n;
 * both may be fractions, as of counts that were divided by a design effect. Without any n: 0
 * and 1. */
double binomial_low(double hits, double n, double p);
double binomial_high(double hits, double n, double p);

struct interval {
    double low, high;
};

/* In which the true share of b less that of a lies. p: of each end, as above. Without any n of
 * one of them: -1 and 1. */
struct interval share_difference_interval(double hits_a, double n_a, double hits_b, double n_b,
                                          double p);
