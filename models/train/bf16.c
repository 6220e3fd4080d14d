#include "models/train/bf16.h"

static bool in_use;

void train_bf16_use(bool on)
{
    in_use = on;
}

bool train_bf16_in_use(void)
{
    return in_use;
}

#if defined(__x86_64__) && (__GNUC__ >= 10 || __clang_major__ >= 10)

#    include <immintrin.h>
#    include <stdint.h>

/* A tile of c in registers, and blocks so that b's lies in the second cache and a's in the
 * first (Goto and van de Geijn 2008). Of k, pairs are counted. */
#    define TILE_ROWS  12
#    define TILE_COLS  32
#    define BLOCK_ROWS (8 * TILE_ROWS)
#    define BLOCK_COLS (24 * TILE_COLS)
#    define BLOCK_K    256 /* floats */
#    define LANES      16

#    define BF16_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))

bool train_bf16_available(void)
{
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static inline size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static inline __mmask16 first_lanes(size_t n)
{
    return (__mmask16)(n >= LANES ? 0xffffu : (1u << n) - 1u);
}

/* Rows that lie along k: 32 numbers of a row become 16 pairs, each of which goes to another
 * line of the panel. */
BF16_TARGET
static void pack_along(uint32_t *panel, const float *x, size_t ld, size_t rows, size_t k,
                       size_t width)
{
    uint32_t pairs[LANES];
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * ld;
        for (size_t at = 0; at < k; at += 2 * LANES) {
            size_t left = k - at, behind = left > LANES ? left - LANES : 0;
            __m512 low = _mm512_maskz_loadu_ps(first_lanes(left), row + at);
            __m512 high = behind > 0
                              ? _mm512_maskz_loadu_ps(first_lanes(behind), row + at + LANES)
                              : _mm512_setzero_ps();
            _mm512_storeu_si512(pairs, (__m512i)_mm512_cvtne2ps_pbh(high, low));
            size_t count = least((left + 1) / 2, LANES);
            for (size_t i = 0; i < count; i++) {
                panel[(at / 2 + i) * width + r] = pairs[i];
            }
        }
    }
}

/* Rows that lie across: two lines of x become one line of pairs. */
BF16_TARGET
static void pack_across(uint32_t *panel, const float *x, size_t ld, size_t rows, size_t k,
                        size_t width)
{
    for (size_t at = 0; at < k; at += 2, panel += width) {
        for (size_t r = 0; r < rows; r += LANES) {
            __mmask16 lanes = first_lanes(rows - r);
            __m512 even = _mm512_maskz_loadu_ps(lanes, x + at * ld + r);
            __m512 odd = at + 1 < k ? _mm512_maskz_loadu_ps(lanes, x + (at + 1) * ld + r)
                                    : _mm512_setzero_ps();
            __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(even));
            __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(odd));
            __m512i pairs = _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
            _mm512_mask_storeu_epi32(panel + r, lanes, pairs);
        }
    }
}

/* Panels of `width` rows, k pairs long, one behind the other; what is missing of the last one
 * is left as it was, and nothing of it gets into c. */
static void pack(uint32_t *out, const struct bf16_factor *f, size_t row, size_t rows, size_t at,
                 size_t k, size_t width)
{
    size_t panel = (k + 1) / 2 * width;
    for (size_t r = 0; r < rows; r += width, out += panel) {
        size_t count = least(rows - r, width);
        if (f->transposed) {
            pack_across(out, f->data + at * f->ld + row + r, f->ld, count, k, width);
        } else {
            pack_along(out, f->data + (row + r) * f->ld + at, f->ld, count, k, width);
        }
    }
}

/* A tile (rows, cols) of c from a panel of each; rows and cols may be less than the tile's. */
BF16_TARGET
static void multiply_tile(float *c, size_t ldc, const uint32_t *a, const uint32_t *b,
                          size_t pairs, size_t rows, size_t cols, bool add)
{
    __m512 sum[TILE_ROWS][2];
    __mmask16 left = first_lanes(cols), right = first_lanes(cols > LANES ? cols - LANES : 0);
    for (size_t i = 0; i < TILE_ROWS; i++) {
        sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    }
    for (size_t p = 0; p < pairs; p++, a += TILE_ROWS, b += TILE_COLS) {
        __m512bh b0 = (__m512bh)_mm512_loadu_si512(b);
        __m512bh b1 = (__m512bh)_mm512_loadu_si512(b + LANES);
#    pragma GCC unroll 12
        for (size_t i = 0; i < TILE_ROWS; i++) {
            __m512bh ai = (__m512bh)_mm512_set1_epi32((int)a[i]);
            sum[i][0] = _mm512_dpbf16_ps(sum[i][0], ai, b0);
            sum[i][1] = _mm512_dpbf16_ps(sum[i][1], ai, b1);
        }
    }
#    pragma GCC unroll 12
    for (size_t i = 0; i < TILE_ROWS; i++) {
        if (i >= rows) {
            break;
        }
        float *row = c + i * ldc;
        if (add) {
            sum[i][0] = _mm512_add_ps(sum[i][0], _mm512_maskz_loadu_ps(left, row));
            sum[i][1] = _mm512_add_ps(sum[i][1], _mm512_maskz_loadu_ps(right, row + LANES));
        }
        _mm512_mask_storeu_ps(row, left, sum[i][0]);
        _mm512_mask_storeu_ps(row + LANES, right, sum[i][1]);
    }
}

/* A block of c from packed blocks of a and b. */
static void multiply_block(float *c, size_t ldc, const uint32_t *a, const uint32_t *b,
                           size_t pairs, size_t rows, size_t cols, bool add)
{
    for (size_t j = 0; j < cols; j += TILE_COLS) {
        for (size_t i = 0; i < rows; i += TILE_ROWS) {
            multiply_tile(c + i * ldc + j, ldc, a + i * pairs, b + j * pairs, pairs,
                          least(rows - i, TILE_ROWS), least(cols - j, TILE_COLS), add);
        }
    }
}

void train_bf16_product(float *c, size_t ldc, const struct bf16_factor *a,
                        const struct bf16_factor *b, size_t m, size_t n, size_t k, bool add)
{
    _Alignas(64) uint32_t packed_a[BLOCK_ROWS * BLOCK_K / 2];
    _Alignas(64) uint32_t packed_b[BLOCK_COLS * BLOCK_K / 2];
    for (size_t j = 0; j < n; j += BLOCK_COLS) {
        size_t cols = least(n - j, BLOCK_COLS);
        for (size_t at = 0; at < k; at += BLOCK_K) {
            size_t depth = least(k - at, BLOCK_K);
            pack(packed_b, b, j, cols, at, depth, TILE_COLS);
            for (size_t i = 0; i < m; i += BLOCK_ROWS) {
                size_t rows = least(m - i, BLOCK_ROWS);
                pack(packed_a, a, i, rows, at, depth, TILE_ROWS);
                multiply_block(c + i * ldc + j, ldc, packed_a, packed_b, (depth + 1) / 2, rows,
                               cols, add || at > 0);
            }
        }
    }
}

#else

bool train_bf16_available(void)
{
    return false;
}

void train_bf16_product(float *c, size_t ldc, const struct bf16_factor *a,
                        const struct bf16_factor *b, size_t m, size_t n, size_t k, bool add)
{
    (void)c;
    (void)ldc;
    (void)a;
    (void)b;
    (void)m;
    (void)n;
    (void)k;
    (void)add;
}

#endif
