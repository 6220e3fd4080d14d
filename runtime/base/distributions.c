#include "runtime/base/distributions.h"

#include <float.h>
#include <math.h>

/* It converges in some sqrt(max(a, b)) steps. */
#define FRACTION_STEPS_MAX 20000
#define HALVINGS           200

/* The library's lgamma writes to a global. */
static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

static double away_from_zero(double x)
{
    return fabs(x) < DBL_MIN / DBL_EPSILON ? DBL_MIN / DBL_EPSILON : x;
}

/* The m-th pair of terms of DLMF 8.17.23: one step of Lentz's method for each. */
static double beta_fraction(double a, double b, double x)
{
    double c = 1.0;
    double d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    double value = d;
    for (int m = 1; m <= FRACTION_STEPS_MAX; m++) {
        double even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        value *= c * d;
        double odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        value *= c * d;
        if (fabs(c * d - 1.0) < 1e-15) {
            break;
        }
    }
    return value;
}

double beta_below(double a, double b, double x)
{
    if (x <= 0.0) {
        return 0.0;
    }
    if (x >= 1.0) {
        return 1.0;
    }
    double front =
        exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * log(x) + b * log1p(-x));
    /* On the other side of the mean it converges for the complement. */
    return x < (a + 1.0) / (a + b + 2.0) ? front * beta_fraction(a, b, x) / a
                                         : 1.0 - front * beta_fraction(b, a, 1.0 - x) / b;
}

double beta_quantile(double a, double b, double p)
{
    double low = 0.0, high = 1.0;
    for (int i = 0; i < HALVINGS && high - low > 1e-12 * high; i++) {
        double middle = 0.5 * (low + high);
        if (beta_below(a, b, middle) < p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return 0.5 * (low + high);
}

double student_above(double t, double df)
{
    double tail = 0.5 * beta_below(0.5 * df, 0.5, df / (df + t * t));
    return t >= 0.0 ? tail : 1.0 - tail;
}

double student_quantile_above(double p, double df)
{
    double x = beta_quantile(0.5 * df, 0.5, 2.0 * p);
    return sqrt(df * (1.0 - x) / x);
}

double binomial_low(double hits, double n, double p)
{
    return hits <= 0.0 ? 0.0 : beta_quantile(hits, n - hits + 1.0, p);
}

double binomial_high(double hits, double n, double p)
{
    return hits >= n ? 1.0 : beta_quantile(hits + 1.0, n - hits, 1.0 - p);
}

struct interval share_difference_interval(double hits_a, double n_a, double hits_b, double n_b,
                                          double p)
{
    if (n_a <= 0 || n_b <= 0) {
        return (struct interval){-1, 1};
    }
    double a = hits_a / n_a, b = hits_b / n_b;
    double a_below = a - binomial_low(hits_a, n_a, p),
           a_above = binomial_high(hits_a, n_a, p) - a;
    double b_below = b - binomial_low(hits_b, n_b, p),
           b_above = binomial_high(hits_b, n_b, p) - b;
    return (struct interval){b - a - hypot(b_below, a_above), b - a + hypot(b_above, a_below)};
}
