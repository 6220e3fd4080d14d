/* avx512.h: what the AVX-512 VNNI and AMX kernels share; included by those alone. */
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "quant/q8.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Rows of activations that stay in the second-level cache while all the weights pass by. */
#define M_BLOCK_BYTES ((size_t)640 * 1024)

/* From so many rows on, panels are faster. */
#define PANELS_FROM 12

#define GROUP_Q_BYTES ((size_t)Q8_TILE * Q8_GROUP)

void q8_avx512_quantize(struct q8_acts *out, const float *x, size_t x_stride, size_t row0,
                        size_t row1);
void q8_avx512_vnni_matmul(float *y, size_t y_stride, const struct q8_acts *x, size_t m,
                           const struct q8_packed *w, size_t tile0, size_t tile1);
/* 1 to VNNI_ROWS rows, not in panels. */
void q8_avx512_vnni_few(float *y, size_t y_stride, const struct q8_acts *x, size_t m,
                        const struct q8_packed *w, size_t tile0, size_t tile1);
/* Rows in panels. */
void q8_avx512_vnni_panels(float *y, size_t y_stride, const struct q8_acts *x, size_t m,
                           const struct q8_packed *w, size_t tile0, size_t tile1);

ALWAYS_INLINE size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Lanes of tile t that are outputs. */
ALWAYS_INLINE __mmask16 tile_mask(const struct q8_packed *w, size_t t)
{
    const size_t left = min_size(w->n - t * Q8_TILE, Q8_TILE);
    return (__mmask16)((1u << left) - 1);
}

ALWAYS_INLINE const uint8_t *tile_scales(const uint8_t *tile, size_t groups)
{
    return tile + groups * GROUP_Q_BYTES;
}

ALWAYS_INLINE __m512 load_scales(const uint8_t *scales, size_t g)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(scales + g * Q8_TILE * 2)));
}

ALWAYS_INLINE __m512i broadcast4(const int8_t *q)
{
    int32_t four;
    memcpy(&four, q, 4);
    return _mm512_set1_epi32(four);
}

/* 16 outputs times 4 weights, as q + 128. */
ALWAYS_INLINE __m512i load_unsigned(const uint8_t *q)
{
    return _mm512_xor_si512(_mm512_loadu_si512(q), _mm512_set1_epi8((char)0x80));
}

/* What the two VNNI kernels have in registers: sums of VNNI_ROWS rows by VNNI_TILES tiles. */
#define VNNI_ROWS  6
#define VNNI_TILES 2

/* One group: isum += x * (w + 128), of n_rows rows, x_stride bytes apart, and n_tiles tiles. */
ALWAYS_INLINE void vnni_group(__m512i isum[VNNI_ROWS][VNNI_TILES], const int n_rows,
                              const int n_tiles, const int8_t *x, size_t x_stride,
                              const uint8_t *const w[VNNI_TILES], size_t g)
{
#pragma GCC unroll 8
    for (size_t j = 0; j < Q8_GROUP / 4; j++) {
        __m512i wq[VNNI_TILES];
        for (int t = 0; t < n_tiles; t++) {
            wq[t] = load_unsigned(w[t] + g * GROUP_Q_BYTES + j * 64);
        }
        for (int r = 0; r < n_rows; r++) {
            const __m512i four = broadcast4(x + (size_t)r * x_stride + j * 4);
            for (int t = 0; t < n_tiles; t++) {
                isum[r][t] = _mm512_dpbusd_epi32(isum[r][t], wq[t], four);
            }
        }
    }
}

/* acc + isum * (x_scale * w_scale), as q8.h says. */
ALWAYS_INLINE __m512 accumulate(__m512 acc, __m512i isum, float x_scale, __m512 w_scale)
{
    __m512 scale = _mm512_mul_ps(_mm512_set1_ps(x_scale), w_scale);
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(isum), scale, acc);
}

/* Even shares: the c-th of `count` parts of m begins here. */
ALWAYS_INLINE size_t share_start(size_t m, size_t count, size_t c)
{
    return m * c / count;
}

/* How many rows make a cache block, a multiple of `unit`. */
ALWAYS_INLINE size_t m_block_rows(const struct q8_acts *x, size_t unit)
{
    size_t rows = M_BLOCK_BYTES / x->q_stride / unit * unit;
    return rows > unit ? rows : unit;
}
