#include "filters/secret_scan.h"

#define FRACTION 10u /* bits: 1 << FRACTION is SECRET_BIT */
#define MAX_LEN  256u

/* log2(n) in 1 / SECRET_BIT, for n from 1: the fraction by repeated squaring of the mantissa.
 */
static uint32_t log2_of(uint32_t n)
{
    uint32_t whole = 31u - (uint32_t)__builtin_clz(n);
    uint64_t mantissa = (uint64_t)n
                        << (31u - whole); /* 1 to 2, with 31 bits behind the point */
    uint32_t log = whole;
    for (unsigned i = 0; i < FRACTION; i++) {
        mantissa = mantissa * mantissa >> 31;
        bool is_above = mantissa >> 32 != 0;
        mantissa >>= is_above;
        log = log << 1 | is_above;
    }
    return log;
}

uint32_t secret_entropy(const char *text, size_t len)
{
    uint32_t count[UINT8_MAX + 1] = {0};
    uint32_t n = len < MAX_LEN ? (uint32_t)len : MAX_LEN;
    if (n == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        count[(unsigned char)text[i]]++;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i <= UINT8_MAX; i++) {
        sum += count[i] > 1 ? (uint64_t)count[i] * log2_of(count[i]) : 0;
    }
    uint64_t all = (uint64_t)n * log2_of(n);
    return (uint32_t)((all - (sum < all ? sum : all)) / n);
}
