/* q8_quantize.h: how 32 floats become 32 int8 and a scale, in plain C; private to quant/.
 *
 * The one definition of what q8.h says in words: the reference kernel and the writer of Q8_0
 * blocks use it, vector kernels give the same bits.
 */
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "quant/q8.h"

/* Groups whose greatest magnitude is below this are zeros: 127 / amax must not overflow. */
#define Q8_AMAX_MIN 0x1p-100f

struct q8_group {
    float scale;
    int32_t sum; /* of q */
};

static inline struct q8_group q8_quantize_group(int8_t *q, const float *x)
{
    uint32_t amax_bits = 0; /* magnitudes order like their bits, infinities and NaNs last */
    for (int i = 0; i < Q8_GROUP; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], 4);
        bits &= 0x7fffffff;
        amax_bits = bits > amax_bits ? bits : amax_bits;
    }
    float amax;
    memcpy(&amax, &amax_bits, 4);
    if (amax_bits >= 0x7f800000 || amax < Q8_AMAX_MIN) {
        memset(q, 0, Q8_GROUP);
        return (struct q8_group){.scale = amax_bits >= 0x7f800000 ? NAN : 0.0f};
    }
    const float inverse = 127.0f / amax;
    int32_t sum = 0;
    for (int i = 0; i < Q8_GROUP; i++) {
        q[i] = (int8_t)lrintf(x[i] * inverse);
        sum += q[i];
    }
    return (struct q8_group){.scale = amax / 127.0f, .sum = sum};
}

/* Rows of groups, each by `group`, which is constant where this is inlined. */
static inline __attribute__((always_inline)) void
q8_quantize_rows(struct q8_acts *out, const float *x, size_t x_stride, size_t row0, size_t row1,
                 struct q8_group (*group)(int8_t *q, const float *x))
{
    for (size_t r = row0; r < row1; r++) {
        for (size_t g = 0; g < out->groups; g++) {
            const struct q8_acts_group to = q8_acts_at(out, r, g);
            const struct q8_group made = group(to.q, x + r * x_stride + g * Q8_GROUP);
            *to.scale = made.scale;
            *to.correction = -128 * made.sum;
        }
    }
}
