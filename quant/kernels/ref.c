/* ref.c: what every int8 kernel computes, in plain C. Written to be read; speed is the others'
 * task. */
#include <math.h>
#include <string.h>

#include "quant/kernels/kernels.h"
#include "quant/q8_quantize.h"

static void quantize(struct q8_acts *out, const float *x, size_t x_stride, size_t row0,
                     size_t row1)
{
    q8_quantize_rows(out, x, x_stride, row0, row1, q8_quantize_group);
}

/* One output: a row of x times lane `lane` of a tile. */
static float dot_lane(const struct q8_acts *x, size_t row, const uint8_t *tile, size_t lane)
{
    const int8_t *xq = x->q + row * x->q_stride;
    const uint8_t *wq = tile + lane * 4;
    const uint8_t *scales = tile + x->groups * Q8_TILE * Q8_GROUP + lane * 2;
    float acc = 0.0f;
    for (size_t g = 0; g < x->groups; g++) {
        int32_t isum = 0;
        for (size_t j = 0; j < Q8_GROUP / 4; j++, xq += 4, wq += Q8_TILE * 4) {
            for (size_t i = 0; i < 4; i++) {
                isum += xq[i] * (int8_t)wq[i];
            }
        }
        uint16_t half;
        memcpy(&half, scales + g * Q8_TILE * 2, 2);
        acc = fmaf((float)isum, x->scale[row * x->groups + g] * q8_f16_to_f32(half), acc);
    }
    return acc;
}

static void matmul(float *y, size_t y_stride, const struct q8_acts *x, size_t m,
                   const struct q8_packed *w, size_t tile0, size_t tile1)
{
    for (size_t t = tile0; t < tile1; t++) {
        const uint8_t *tile = w->data + t * w->tile_bytes;
        for (size_t r = 0; r < m; r++) {
            for (size_t lane = 0; lane < Q8_TILE && t * Q8_TILE + lane < w->n; lane++) {
                y[r * y_stride + t * Q8_TILE + lane] = dot_lane(x, r, tile, lane);
            }
        }
    }
}

/* There is no multiply instruction to speak of: eight products a turn in scalar code. */
static uint64_t spin_peak(uint64_t rounds)
{
    volatile int8_t seed = 3;
    uint32_t acc[8] = {0};
    for (uint64_t i = 0; i < rounds; i++) {
        uint32_t x = (uint32_t)seed;
        for (uint32_t j = 0; j < 8; j++) {
            acc[j] += x * (acc[j] + j);
        }
    }
    volatile uint32_t sink =
        acc[0] + acc[1] + acc[2] + acc[3] + acc[4] + acc[5] + acc[6] + acc[7];
    (void)sink;
    return rounds * 16;
}

const struct q8_kernel q8_kernel_ref = {
    .name = "ref",
    .needs = 0,
    .quantize = quantize,
    .matmul = matmul,
    .spin_peak = spin_peak,
};
