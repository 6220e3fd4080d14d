/* avx2_body.h: the 256-bit kernel, compiled twice: by avx2.c, and by avx_vnni.c where one
 * instruction does what AVX2 needs three for. The file that includes it defines, before:
 *
 *     static inline __m256i dot4(__m256i sum, __m256i a, __m256i b)
 *         sum + a . b in each 32-bit lane, a: 4 unsigned bytes up to 128, b: 4 of -127..127
 *     KERNEL_TABLE, KERNEL_NAME, KERNEL_NEEDS
 *
 * The weights' signs are moved to the activations (|w| * (x * sign w)), so that the unsigned
 * factor is at most 128 and no pair of products passes 16 bits. Four rows by one tile of
 * integer sums stay in registers, float sums in memory.
 */
#include <immintrin.h>
#include <string.h>

#include "quant/cpu.h"
#include "quant/kernels/kernels.h"
#include "quant/q8_quantize.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define ROWS          4
#define HALVES        2 /* of a tile: 8 outputs each */
#define M_BLOCK_BYTES ((size_t)512 * 1024)

/* How far ahead of their use weights are prefetched: the hardware's own prefetching stops at
 * each page. */
#define PREFETCH_BYTES 4096

ALWAYS_INLINE __m256i broadcast4(const int8_t *q)
{
    int32_t four;
    memcpy(&four, q, 4);
    return _mm256_set1_epi32(four);
}

/* Adds groups [g0, g1) of n_rows rows (constant where this is inlined) to sums [n_rows][16]. */
ALWAYS_INLINE void sums(const int n_rows, float (*sum)[Q8_TILE], const struct q8_acts *x,
                        size_t row, const uint8_t *tile, size_t g0, size_t g1)
{
    const uint8_t *scales = tile + x->groups * Q8_TILE * Q8_GROUP;
    for (size_t g = g0; g < g1; g++) {
        const int8_t *xq = x->q + row * x->q_stride + g * Q8_GROUP;
        const uint8_t *wq = tile + g * Q8_TILE * Q8_GROUP;
        const float *xs = x->scale + row * x->groups + g;
        __m256i isum[ROWS][HALVES];
        for (int r = 0; r < n_rows; r++) {
            isum[r][0] = isum[r][1] = _mm256_setzero_si256();
        }
        for (size_t p = 0; p < Q8_TILE * Q8_GROUP; p += 64) {
            _mm_prefetch((const char *)wq + PREFETCH_BYTES + p, _MM_HINT_T0);
        }
        for (size_t j = 0; j < Q8_GROUP / 4; j++) {
            const __m256i w0 = _mm256_loadu_si256((const __m256i *)(wq + j * 64));
            const __m256i w1 = _mm256_loadu_si256((const __m256i *)(wq + j * 64 + 32));
            const __m256i abs0 = _mm256_abs_epi8(w0), abs1 = _mm256_abs_epi8(w1);
            for (int r = 0; r < n_rows; r++) {
                const __m256i four = broadcast4(xq + (size_t)r * x->q_stride + j * 4);
                isum[r][0] = dot4(isum[r][0], abs0, _mm256_sign_epi8(four, w0));
                isum[r][1] = dot4(isum[r][1], abs1, _mm256_sign_epi8(four, w1));
            }
        }
        for (int h = 0; h < HALVES; h++) {
            const void *s = scales + g * Q8_TILE * 2 + h * 16;
            const __m256 ws = _mm256_cvtph_ps(_mm_loadu_si128(s));
            for (int r = 0; r < n_rows; r++) {
                float *at = &sum[r][h * 8];
                const __m256 scale =
                    _mm256_mul_ps(_mm256_set1_ps(xs[(size_t)r * x->groups]), ws);
                const __m256 f = _mm256_cvtepi32_ps(isum[r][h]);
                _mm256_storeu_ps(at, _mm256_fmadd_ps(f, scale, _mm256_loadu_ps(at)));
            }
        }
    }
}

static void sums_for(size_t n_rows, float (*sum)[Q8_TILE], const struct q8_acts *x, size_t row,
                     const uint8_t *tile, size_t g0, size_t g1)
{
    switch (n_rows) {
    case 1:
        sums(1, sum, x, row, tile, g0, g1);
        break;
    case 2:
        sums(2, sum, x, row, tile, g0, g1);
        break;
    case 3:
        sums(3, sum, x, row, tile, g0, g1);
        break;
    default:
        sums(4, sum, x, row, tile, g0, g1);
        break;
    }
}

/* All groups of up to ROWS rows. */
static void matmul_chunk(float *y, size_t y_stride, const struct q8_acts *x, size_t row,
                         size_t n_rows, const uint8_t *tile, size_t n_lanes)
{
    float sum[ROWS][Q8_TILE] = {0};
    sums_for(n_rows, sum, x, row, tile, 0, x->groups);
    for (size_t r = 0; r < n_rows; r++) {
        memcpy(y + r * y_stride, sum[r], n_lanes * sizeof(float));
    }
}

static void matmul(float *y, size_t y_stride, const struct q8_acts *x, size_t m,
                   const struct q8_packed *w, size_t tile0, size_t tile1)
{
    /* A cache block of activations stays in the second level while all the weights pass by. */
    const size_t rows = M_BLOCK_BYTES / x->q_stride;
    const size_t block = rows > ROWS ? rows / ROWS * ROWS : ROWS;
    for (size_t m0 = 0; m0 < m; m0 += block) {
        const size_t m1 = m0 + block < m ? m0 + block : m;
        for (size_t t = tile0; t < tile1; t++) {
            const size_t left = w->n - t * Q8_TILE;
            const size_t n_lanes = left < Q8_TILE ? left : Q8_TILE;
            for (size_t r = m0; r < m1; r += ROWS) {
                const size_t n_rows = m1 - r < ROWS ? m1 - r : ROWS;
                matmul_chunk(y + r * y_stride + t * Q8_TILE, y_stride, x, r, n_rows,
                             w->data + t * w->tile_bytes, n_lanes);
            }
        }
    }
}

ALWAYS_INLINE int32_t sum_lanes(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm_cvtsi128_si32(s);
}

ALWAYS_INLINE uint32_t max_lanes(__m256i v)
{
    __m128i s = _mm_max_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_max_epu32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_max_epu32(s, _mm_shuffle_epi32(s, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(s);
}

/* One group of 32 floats, as q8_quantize_group. */
ALWAYS_INLINE struct q8_group quantize_group(int8_t *q, const float *x)
{
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i max = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++) {
        const __m256i bits = _mm256_castps_si256(_mm256_loadu_ps(x + i * 8));
        max = _mm256_max_epu32(max, _mm256_and_si256(bits, magnitude));
    }
    const uint32_t amax_bits = max_lanes(max);
    float amax;
    memcpy(&amax, &amax_bits, 4);
    if (amax_bits >= 0x7f800000 || amax < Q8_AMAX_MIN) {
        memset(q, 0, Q8_GROUP);
        return (struct q8_group){.scale = amax_bits >= 0x7f800000 ? NAN : 0.0f};
    }
    const __m256 inverse = _mm256_set1_ps(127.0f / amax);
    __m256i n[4], sum = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++) {
        n[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + i * 8), inverse));
        sum = _mm256_add_epi32(sum, n[i]);
    }
    /* The packs work within 128-bit halves; the permutation puts their fours back in order. */
    const __m256i packed =
        _mm256_packs_epi16(_mm256_packs_epi32(n[0], n[1]), _mm256_packs_epi32(n[2], n[3]));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256((__m256i *)q, _mm256_permutevar8x32_epi32(packed, order));
    return (struct q8_group){.scale = amax / 127.0f, .sum = sum_lanes(sum)};
}

static void quantize(struct q8_acts *out, const float *x, size_t x_stride, size_t row0,
                     size_t row1)
{
    q8_quantize_rows(out, x, x_stride, row0, row1, quantize_group);
}

/* Eight independent sums, in registers. */
static uint64_t spin_peak(uint64_t rounds)
{
    enum { SUMS = 8 };
    __m256i sum[SUMS];
    __m256i w = _mm256_set1_epi8(77), x = _mm256_set1_epi8(-3);
    for (int i = 0; i < SUMS; i++) {
        sum[i] = _mm256_setzero_si256();
    }
    for (uint64_t n = 0; n < rounds; n++) {
        for (int i = 0; i < SUMS; i++) {
            /* A new value for all that a compiler knows: or AVX2's product, which does not
             * depend on the sum, would be computed once for all of them. */
            __asm__ volatile("" : "+x"(w));
            sum[i] = dot4(sum[i], w, x);
        }
    }
    for (int i = 1; i < SUMS; i++) {
        sum[0] = _mm256_add_epi32(sum[0], sum[i]);
    }
    __asm__ volatile("" : : "x"(sum[0]));
    return rounds * SUMS * 32 * 2;
}

const struct q8_kernel KERNEL_TABLE = {
    .name = KERNEL_NAME,
    .needs = KERNEL_NEEDS,
    .quantize = quantize,
    .matmul = matmul,
    .spin_peak = spin_peak,
};
