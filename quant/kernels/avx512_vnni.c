/* avx512_vnni.c: 16 outputs a register, vpdpbusd multiplies unsigned weights (q + 128) by
 * signed activations. Six rows by two tiles of sums stay in registers: twelve, as a multiply
 * takes five cycles and two begin in each.
 *
 * Rows are taken in chunks of up to six, a pair of tiles and a block of groups at a time, so
 * that all chunks but the first find the weights in a cache; meanwhile the next block is
 * fetched. The sums wait in y from one block to the next; a float in memory is the same float.
 *
 * Up to six rows in all are avx512_vnni_few.c's, and so many that they lie in panels
 * avx512_vnni_panels.c's.
 */
#include <string.h>

#include "quant/cpu.h"
#include "quant/kernels/avx512.h"
#include "quant/kernels/kernels.h"
#include "quant/q8_quantize.h"

#define ROWS  VNNI_ROWS
#define TILES VNNI_TILES

/* Groups in a block, at most. */
#define K_BLOCK 16

/* Where a call of `sums` finds weights, packed as q8.h says, and what it prefetches: so much
 * with each of its groups. */
struct source {
    const uint8_t *q[TILES];
    const uint8_t *scale[TILES];
    const uint8_t *ahead[TILES];
    size_t ahead_bytes; /* a multiple of 64 */
};

/* Rows and groups that a call of `sums` covers. */
struct region {
    const struct q8_acts *x;
    float *y;
    size_t y_stride;
    size_t row;    /* first row */
    size_t tile;   /* first tile */
    size_t g0, g1; /* groups */
    __mmask16 mask[TILES];
};

/* The heart: n_rows rows times n_tiles tiles, both constant where this is inlined. Group g's
 * weights are at index g - g0 of the source. */
ALWAYS_INLINE void sums(const int n_rows, const int n_tiles, const struct region *a,
                        const struct source *w)
{
    const struct q8_acts *x = a->x;
    const size_t groups = x->groups;
    const int8_t *xq = x->q + a->row * x->q_stride + a->g0 * Q8_GROUP;
    const float *xs = x->scale + a->row * groups + a->g0;
    const int32_t *xc = x->correction + a->row * groups + a->g0;
    float *y = a->y + a->row * a->y_stride + a->tile * Q8_TILE;
    __m512 acc[ROWS][TILES];

    for (int r = 0; r < n_rows; r++) {
        for (int t = 0; t < n_tiles; t++) {
            acc[r][t] = a->g0 == 0 ? _mm512_setzero_ps()
                                   : _mm512_maskz_loadu_ps(
                                         a->mask[t], y + (size_t)r * a->y_stride + t * Q8_TILE);
        }
    }
    for (size_t g = 0; g < a->g1 - a->g0; g++, xq += Q8_GROUP) {
        __m512i isum[ROWS][TILES];
        for (int r = 0; r < n_rows; r++) {
            for (int t = 0; t < n_tiles; t++) {
                isum[r][t] = _mm512_set1_epi32(xc[(size_t)r * groups + g]);
            }
        }
        for (int t = 0; t < n_tiles; t++) {
            const char *ahead = (const char *)w->ahead[t] + g * w->ahead_bytes;
            for (size_t p = 0; p < w->ahead_bytes; p += 64) {
                _mm_prefetch(ahead + p, _MM_HINT_T0);
            }
        }
        vnni_group(isum, n_rows, n_tiles, xq, x->q_stride, w->q, g);
        for (int t = 0; t < n_tiles; t++) {
            __m512 ws = load_scales(w->scale[t], g);
            for (int r = 0; r < n_rows; r++) {
                acc[r][t] = accumulate(acc[r][t], isum[r][t], xs[(size_t)r * groups + g], ws);
            }
        }
    }
    for (int r = 0; r < n_rows; r++) {
        for (int t = 0; t < n_tiles; t++) {
            _mm512_mask_storeu_ps(y + (size_t)r * a->y_stride + t * Q8_TILE, a->mask[t],
                                  acc[r][t]);
        }
    }
}

#define SUMS_CASE(rows, tiles)   \
    case rows:                   \
        sums(rows, tiles, a, w); \
        break;
#define SUMS_CASES(tiles)   \
    switch (n_rows) {       \
        SUMS_CASE(1, tiles) \
        SUMS_CASE(2, tiles) \
        SUMS_CASE(3, tiles) \
        SUMS_CASE(4, tiles) \
        SUMS_CASE(5, tiles) \
        SUMS_CASE(6, tiles) \
    }

static void sums_of(size_t n_rows, size_t n_tiles, const struct region *a,
                    const struct source *w)
{
    if (n_tiles == 1) {
        SUMS_CASES(1)
    } else {
        SUMS_CASES(2)
    }
}

/* The groups of region a, where they lie packed. */
static void point_at(struct source *src, const struct q8_packed *w, const struct region *a,
                     size_t n_tiles)
{
    for (size_t t = 0; t < n_tiles; t++) {
        const uint8_t *tile = w->data + (a->tile + t) * w->tile_bytes;
        src->q[t] = tile + a->g0 * GROUP_Q_BYTES;
        src->scale[t] = tile_scales(tile, a->x->groups) + a->g0 * Q8_TILE * 2;
    }
}

/* The weights that will be used after those of region a: the next groups of its tiles, or the
 * first ones of the next pair. The scales, which are few, are prefetched at once; the rest is
 * spread evenly over the chunks, as memory delivers at an even pace. */
static void look_ahead(struct source *src, const struct region *a, const struct q8_packed *w,
                       size_t n_tiles, size_t chunk, size_t chunks)
{
    const size_t groups = a->x->groups, n_groups = a->g1 - a->g0;
    const size_t g = a->g1 < groups ? a->g1 : 0;
    const uint8_t *tile = w->data + (a->tile + (g == 0 ? TILES : 0)) * w->tile_bytes;
    const size_t bytes = (GROUP_Q_BYTES / 64 + chunks - 1) / chunks * 64;
    src->ahead_bytes = chunk * bytes < GROUP_Q_BYTES ? bytes : 0;
    for (size_t t = 0; t < n_tiles; t++, tile += w->tile_bytes) {
        src->ahead[t] = tile + g * GROUP_Q_BYTES + chunk * n_groups * bytes;
        const uint8_t *scales = tile_scales(tile, groups) + g * Q8_TILE * 2;
        for (size_t i = 0; i < n_groups * Q8_TILE * 2 && chunk == 0; i += 64) {
            _mm_prefetch((const char *)scales + i, _MM_HINT_T1);
        }
    }
}

/* Rows [m0, m1) of one or two tiles. */
static void matmul_blocks(struct region *a, const struct q8_packed *w, size_t n_tiles,
                          size_t m0, size_t m1)
{
    const size_t groups = a->x->groups;
    const size_t chunks = (m1 - m0 + ROWS - 1) / ROWS;
    const size_t blocks = (groups + K_BLOCK - 1) / K_BLOCK;
    struct source src = {0};
    for (size_t b = 0; b < blocks; b++) {
        a->g0 = share_start(groups, blocks, b);
        a->g1 = share_start(groups, blocks, b + 1);
        point_at(&src, w, a, n_tiles);
        for (size_t c = 0; c < chunks; c++) {
            a->row = m0 + share_start(m1 - m0, chunks, c);
            const size_t end = m0 + share_start(m1 - m0, chunks, c + 1);
            look_ahead(&src, a, w, n_tiles, c, chunks);
            sums_of(end - a->row, n_tiles, a, &src);
        }
    }
}

void q8_avx512_vnni_matmul(float *y, size_t y_stride, const struct q8_acts *x, size_t m,
                           const struct q8_packed *w, size_t tile0, size_t tile1)
{
    if (x->panels) {
        q8_avx512_vnni_panels(y, y_stride, x, m, w, tile0, tile1);
        return;
    }
    if (m > 0 && m <= ROWS) {
        q8_avx512_vnni_few(y, y_stride, x, m, w, tile0, tile1);
        return;
    }
    const size_t most = m_block_rows(x, ROWS);
    const size_t blocks = (m + most - 1) / most;
    struct region a = {.x = x, .y = y, .y_stride = y_stride};
    for (size_t b = 0; b < blocks; b++) {
        for (size_t t = tile0; t < tile1; t += TILES) {
            const size_t n_tiles = t + 1 < tile1 ? TILES : 1;
            a.tile = t;
            for (size_t i = 0; i < n_tiles; i++) {
                a.mask[i] = tile_mask(w, t + i);
            }
            matmul_blocks(&a, w, n_tiles, share_start(m, blocks, b),
                          share_start(m, blocks, b + 1));
        }
    }
}

/* One group of 32 floats, as q8_quantize_group. */
ALWAYS_INLINE struct q8_group quantize_group(int8_t *q, const float *x)
{
    const __m512 x0 = _mm512_loadu_ps(x), x1 = _mm512_loadu_ps(x + 16);
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i m0 = _mm512_and_si512(_mm512_castps_si512(x0), magnitude);
    __m512i m1 = _mm512_and_si512(_mm512_castps_si512(x1), magnitude);
    const uint32_t amax_bits = _mm512_reduce_max_epu32(_mm512_max_epu32(m0, m1));
    float amax;
    memcpy(&amax, &amax_bits, 4);
    if (amax_bits >= 0x7f800000 || amax < Q8_AMAX_MIN) {
        _mm256_storeu_si256((__m256i *)q, _mm256_setzero_si256());
        return (struct q8_group){.scale = amax_bits >= 0x7f800000 ? NAN : 0.0f};
    }
    const __m512 inverse = _mm512_set1_ps(127.0f / amax);
    const __m512i q0 = _mm512_cvtps_epi32(_mm512_mul_ps(x0, inverse));
    const __m512i q1 = _mm512_cvtps_epi32(_mm512_mul_ps(x1, inverse));
    _mm_storeu_si128((__m128i *)q, _mm512_cvtepi32_epi8(q0));
    _mm_storeu_si128((__m128i *)(q + 16), _mm512_cvtepi32_epi8(q1));
    return (struct q8_group){.scale = amax / 127.0f,
                             .sum = _mm512_reduce_add_epi32(_mm512_add_epi32(q0, q1))};
}

void q8_avx512_quantize(struct q8_acts *out, const float *x, size_t x_stride, size_t row0,
                        size_t row1)
{
    q8_quantize_rows(out, x, x_stride, row0, row1, quantize_group);
}

/* Twelve independent sums: enough for two multiplies a cycle of five cycles each. */
static uint64_t spin_peak(uint64_t rounds)
{
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0;
    __m512i s6 = s0, s7 = s0, s8 = s0, s9 = s0, s10 = s0, s11 = s0;
    const __m512i w = _mm512_set1_epi8(77), x = _mm512_set1_epi8(-3);
    for (uint64_t i = 0; i < rounds; i++) {
        /* In one asm statement: a compiler may not move, merge or spill these. */
        __asm__ volatile("vpdpbusd %13, %12, %0\n\tvpdpbusd %13, %12, %1\n\t"
                         "vpdpbusd %13, %12, %2\n\tvpdpbusd %13, %12, %3\n\t"
                         "vpdpbusd %13, %12, %4\n\tvpdpbusd %13, %12, %5\n\t"
                         "vpdpbusd %13, %12, %6\n\tvpdpbusd %13, %12, %7\n\t"
                         "vpdpbusd %13, %12, %8\n\tvpdpbusd %13, %12, %9\n\t"
                         "vpdpbusd %13, %12, %10\n\tvpdpbusd %13, %12, %11"
                         : "+v"(s0), "+v"(s1), "+v"(s2), "+v"(s3), "+v"(s4), "+v"(s5), "+v"(s6),
                           "+v"(s7), "+v"(s8), "+v"(s9), "+v"(s10), "+v"(s11)
                         : "v"(w), "v"(x));
    }
    return rounds * 12 * 64 * 2;
}

const struct q8_kernel q8_kernel_avx512_vnni = {
    .name = "avx512vnni",
    .needs = CPU_AVX2 | CPU_AVX512 | CPU_AVX512_VNNI,
    .panels_from = PANELS_FROM,
    .quantize = q8_avx512_quantize,
    .matmul = q8_avx512_vnni_matmul,
    .spin_peak = spin_peak,
};
