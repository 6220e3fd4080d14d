/* avx512_vnni_few.c: up to six rows of activations, which read all weights once, straight from
 * memory: decode.
 *
 * One row takes eight tiles side by side. Each is a stream that the processor's own prefetching
 * follows, and eight keep memory nearly as busy as reading alone. Two tiles, with prefetching
 * by instructions, reached 75 to 90 % of that, least where k is small: then new streams begin
 * every few thousand bytes, and what is fetched behind the end of one is of no use. More rows
 * have registers for fewer tiles and compute longer on each byte, so that prefetching has to be
 * asked for.
 */
#include "quant/kernels/avx512.h"

/* Tiles side by side for so many rows: a sum of each row and tile is in registers. */
#define TILES_1    8
#define TILES_2    4
#define TILES_3    4
#define TILES_4    3
#define TILES_5    2
#define TILES_6    2
#define MOST_TILES TILES_1

/* How far ahead of their use weights are prefetched. */
#define PREFETCH_BYTES 2048

ALWAYS_INLINE void fetch_ahead(const uint8_t *q)
{
    for (size_t p = 0; p < GROUP_Q_BYTES; p += 64) {
        _mm_prefetch((const char *)q + PREFETCH_BYTES + p, _MM_HINT_T0);
    }
}

/* Rows and tiles that follow one another, as many as constant where this is inlined. */
ALWAYS_INLINE void sums(const size_t n_rows, const size_t n_tiles, float *y, size_t y_stride,
                        const struct q8_acts *x, const struct q8_packed *w, size_t tile)
{
    const uint8_t *q[MOST_TILES], *scales[MOST_TILES];
    __m512 acc[VNNI_ROWS][MOST_TILES];
    for (size_t t = 0; t < n_tiles; t++) {
        q[t] = w->data + (tile + t) * w->tile_bytes;
        scales[t] = tile_scales(q[t], x->groups);
        for (size_t r = 0; r < n_rows; r++) {
            acc[r][t] = _mm512_setzero_ps();
        }
    }
    for (size_t g = 0; g < x->groups; g++) {
        __m512i isum[VNNI_ROWS][MOST_TILES];
        for (size_t t = 0; t < n_tiles; t++) {
            for (size_t r = 0; r < n_rows; r++) {
                isum[r][t] = _mm512_set1_epi32(x->correction[r * x->groups + g]);
            }
            if (n_rows > 1) {
                fetch_ahead(q[t] + g * GROUP_Q_BYTES);
            }
        }
#pragma GCC unroll 8
        for (size_t j = 0; j < Q8_GROUP / 4; j++) {
            __m512i four[VNNI_ROWS];
            for (size_t r = 0; r < n_rows; r++) {
                four[r] = broadcast4(x->q + r * x->q_stride + g * Q8_GROUP + j * 4);
            }
            for (size_t t = 0; t < n_tiles; t++) {
                const __m512i wq = load_unsigned(q[t] + g * GROUP_Q_BYTES + j * 64);
                for (size_t r = 0; r < n_rows; r++) {
                    isum[r][t] = _mm512_dpbusd_epi32(isum[r][t], wq, four[r]);
                }
            }
        }
        for (size_t t = 0; t < n_tiles; t++) {
            const __m512 ws = load_scales(scales[t], g);
            for (size_t r = 0; r < n_rows; r++) {
                acc[r][t] = accumulate(acc[r][t], isum[r][t], x->scale[r * x->groups + g], ws);
            }
        }
    }
    for (size_t t = 0; t < n_tiles; t++) {
        for (size_t r = 0; r < n_rows; r++) {
            _mm512_mask_storeu_ps(y + r * y_stride + (tile + t) * Q8_TILE,
                                  tile_mask(w, tile + t), acc[r][t]);
        }
    }
}

typedef void sums_fn(float *y, size_t y_stride, const struct q8_acts *x,
                     const struct q8_packed *w, size_t tile);

#define SUMS(name, n_rows, n_tiles)                                      \
    static void name(float *y, size_t y_stride, const struct q8_acts *x, \
                     const struct q8_packed *w, size_t tile)             \
    {                                                                    \
        sums(n_rows, n_tiles, y, y_stride, x, w, tile);                  \
    }
#define SUMS_OF_ROWS(n_rows, n_tiles)     \
    SUMS(sums_##n_rows##_rest, n_rows, 1) \
    SUMS(sums_##n_rows, n_rows, n_tiles)
SUMS_OF_ROWS(1, TILES_1)
SUMS_OF_ROWS(2, TILES_2)
SUMS_OF_ROWS(3, TILES_3)
SUMS_OF_ROWS(4, TILES_4)
SUMS_OF_ROWS(5, TILES_5)
SUMS_OF_ROWS(6, TILES_6)

/* By rows: how many tiles go together, and what computes them and one that is left over. */
static const struct {
    size_t n_tiles;
    sums_fn *together, *rest;
} ways[VNNI_ROWS + 1] = {
    {0},
    {TILES_1, sums_1, sums_1_rest},
    {TILES_2, sums_2, sums_2_rest},
    {TILES_3, sums_3, sums_3_rest},
    {TILES_4, sums_4, sums_4_rest},
    {TILES_5, sums_5, sums_5_rest},
    {TILES_6, sums_6, sums_6_rest},
};

void q8_avx512_vnni_few(float *y, size_t y_stride, const struct q8_acts *x, size_t m,
                        const struct q8_packed *w, size_t tile0, size_t tile1)
{
    size_t t = tile0;
    for (; t + ways[m].n_tiles <= tile1; t += ways[m].n_tiles) {
        ways[m].together(y, y_stride, x, w, t);
    }
    for (; t < tile1; t++) {
        ways[m].rest(y, y_stride, x, w, t);
    }
}
