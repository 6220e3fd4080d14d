/* avx512_vnni_few.c: up to six rows of activations, which read all weights once, straight from
 * memory: decode.
 *
 * One row takes eight tiles side by side. Each is a stream that the processor's own prefetching
 * follows, and eight keep memory nearly as busy as reading alone. Two tiles, with prefetching
 * by instructions, reached 74 to 91 % of that, least where k is small: then new streams begin
 * every few thousand bytes, and what is fetched behind the end of one is of no use. More rows
 * have registers for fewer tiles and compute longer on each byte, so that prefetching has to be
 * asked for.
 */
#include "quant/kernels/avx512.h"

#define MOST_TILES 8

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

#define SUMS(n_rows, n_tiles)                                                                 \
    static void sums_##n_rows##_##n_tiles(float *y, size_t y_stride, const struct q8_acts *x, \
                                          const struct q8_packed *w, size_t tile)             \
    {                                                                                         \
        sums(n_rows, n_tiles, y, y_stride, x, w, tile);                                       \
    }
SUMS(1, 1)
SUMS(1, 2)
SUMS(1, 3)
SUMS(1, 4)
SUMS(1, 5)
SUMS(1, 6)
SUMS(1, 7)
SUMS(1, 8)
SUMS(2, 1)
SUMS(2, 2)
SUMS(2, 3)
SUMS(2, 4)
SUMS(3, 1)
SUMS(3, 2)
SUMS(3, 3)
SUMS(3, 4)
SUMS(4, 1)
SUMS(4, 2)
SUMS(4, 3)
SUMS(5, 1)
SUMS(5, 2)
SUMS(6, 1)
SUMS(6, 2)

/* By rows: how many tiles go together at most, a sum of each row and tile being in a register,
 * and what computes one tile and more. */
static const struct {
    size_t most;
    sums_fn *of_tiles[MOST_TILES];
} ways[VNNI_ROWS + 1] = {
    [1] = {8, {sums_1_1, sums_1_2, sums_1_3, sums_1_4, sums_1_5, sums_1_6, sums_1_7, sums_1_8}},
    [2] = {4, {sums_2_1, sums_2_2, sums_2_3, sums_2_4}},
    [3] = {4, {sums_3_1, sums_3_2, sums_3_3, sums_3_4}},
    [4] = {3, {sums_4_1, sums_4_2, sums_4_3}},
    [5] = {2, {sums_5_1, sums_5_2}},
    [6] = {2, {sums_6_1, sums_6_2}},
};

void q8_avx512_vnni_few(float *y, size_t y_stride, const struct q8_acts *x, size_t m,
                        const struct q8_packed *w, size_t tile0, size_t tile1)
{
    const size_t tiles = tile1 - tile0, most = ways[m].most;
    const size_t chunks = (tiles + most - 1) / most;
    for (size_t c = 0; c < chunks; c++) {
        const size_t begin = share_start(tiles, chunks, c);
        const size_t end = share_start(tiles, chunks, c + 1);
        ways[m].of_tiles[end - begin - 1](y, y_stride, x, w, tile0 + begin);
    }
}
