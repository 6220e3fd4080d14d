/* neon.h: what the NEON kernels share; included by those alone. */
#pragma once

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#include "quant/q8.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define QUARTERS      4 /* of a tile: the outputs of a register */

/* Rows of activations that stay in the second-level cache while all the weights pass by. */
#define M_BLOCK_BYTES ((size_t)512 * 1024)

void q8_neon_quantize(struct q8_acts *out, const float *x, size_t x_stride, size_t row0,
                      size_t row1);

/* Up to four rows of x times one tile, with the dot-product instruction. */
void q8_neon_dotprod_chunk(float *y, size_t y_stride, const struct q8_acts *x, size_t row,
                           size_t n_rows, const uint8_t *tile, size_t n_lanes);

/* Computes y for a few rows of x and one tile: q8_neon_dotprod_chunk or its like. */
typedef void q8_neon_chunk_fn(float *y, size_t y_stride, const struct q8_acts *x, size_t row,
                              size_t n_rows, const uint8_t *tile, size_t n_lanes);

/* The whole product by chunks of up to `rows` rows. */
ALWAYS_INLINE void neon_matmul(q8_neon_chunk_fn *chunk, size_t rows, float *y, size_t y_stride,
                               const struct q8_acts *x, size_t m, const struct q8_packed *w,
                               size_t tile0, size_t tile1)
{
    const size_t fit = M_BLOCK_BYTES / x->q_stride / rows * rows;
    const size_t block = fit > rows ? fit : rows;
    for (size_t m0 = 0; m0 < m; m0 += block) {
        const size_t m1 = m0 + block < m ? m0 + block : m;
        for (size_t t = tile0; t < tile1; t++) {
            const size_t left = w->n - t * Q8_TILE;
            const size_t n_lanes = left < Q8_TILE ? left : Q8_TILE;
            for (size_t r = m0; r < m1; r += rows) {
                chunk(y + r * y_stride + t * Q8_TILE, y_stride, x, r,
                      m1 - r < rows ? m1 - r : rows, w->data + t * w->tile_bytes, n_lanes);
            }
        }
    }
}

/* Four outputs' scales of group g. */
ALWAYS_INLINE float32x4_t neon_scales(const uint8_t *scales, size_t g, int quarter)
{
    const uint16_t *p = (const void *)(scales + g * Q8_TILE * 2 + (size_t)quarter * 8);
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

/* acc + isum * (x_scale * w_scale), as q8.h says. */
ALWAYS_INLINE float32x4_t neon_accumulate(float32x4_t acc, int32x4_t isum, float x_scale,
                                          float32x4_t w_scale)
{
    return vfmaq_f32(acc, vcvtq_f32_s32(isum), vmulq_n_f32(w_scale, x_scale));
}
