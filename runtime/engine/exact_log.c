#include "runtime/engine/exact_log.h"

#include <math.h>

#define LN_2      0.69314718055994530942
#define SQRT_HALF 0.70710678118654752440

/* x = m * 2^e with m about 1, and log(m) = 2 artanh(z) for z = (m - 1) / (m + 1), as a series:
 * |z| < 0.172, so its 12th term is below 2^-60. */
double exact_log(double x)
{
    int e;
    double m = frexp(x, &e);
    if (m < SQRT_HALF) {
        m *= 2.0;
        e--;
    }
    double z = (m - 1.0) / (m + 1.0);
    double z2 = z * z;
    double sum = 0.0;
    for (int k = 23; k >= 1; k -= 2) {
        sum = sum * z2 + 1.0 / k;
    }
    return 2.0 * z * sum + e * LN_2;
}
