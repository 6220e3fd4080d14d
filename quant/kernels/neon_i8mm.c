/* neon_i8mm.c: the kernel for Arm processors with SMMLA, which multiplies two rows of eight
 * signed bytes by two columns of eight (FEAT_I8MM, from Armv8.6 on). Two neighbouring registers
 * of a tile hold eight k of four outputs; interleaving their words gives SMMLA its pairs of
 * columns. A single row has no partner and goes by the dot-product instruction. */
#include "quant/kernels/neon.h"

#include <string.h>

#include "quant/cpu.h"
#include "quant/kernels/kernels.h"

#define PAIRS 2 /* of rows */
#define ROWS  (2 * PAIRS)

/* Rows of x, two by two; the partner of an odd last row is that row again. */
struct row_pairs {
    const int8_t *q[ROWS];
    const float *scale[ROWS];
};

static struct row_pairs find_rows(const struct q8_acts *x, size_t row, size_t n_rows)
{
    struct row_pairs p;
    for (size_t r = 0; r < ROWS; r++) {
        const size_t from = row + (r < n_rows ? r : n_rows - 1);
        p.q[r] = x->q + from * x->q_stride;
        p.scale[r] = x->scale + from * x->groups;
    }
    return p;
}

/* Sums of group g: isum[pair][eighth] = two rows by the outputs 2 * eighth and the next. */
ALWAYS_INLINE void group_sums(int32x4_t isum[PAIRS][2 * QUARTERS], const struct row_pairs *p,
                              int n_pairs, const int8_t *wq, size_t k)
{
    for (int pair = 0; pair < n_pairs; pair++) {
        for (int eighth = 0; eighth < 2 * QUARTERS; eighth++) {
            isum[pair][eighth] = vdupq_n_s32(0);
        }
    }
    for (size_t j = 0; j < Q8_GROUP / 8; j++, wq += 128, k += 8) {
        int8x16_t rows[PAIRS];
        for (int pair = 0; pair < n_pairs; pair++) {
            rows[pair] =
                vcombine_s8(vld1_s8(p->q[2 * pair] + k), vld1_s8(p->q[2 * pair + 1] + k));
        }
        for (int quarter = 0; quarter < QUARTERS; quarter++) {
            const int32x4_t k03 = vreinterpretq_s32_s8(vld1q_s8(wq + quarter * 16));
            const int32x4_t k47 = vreinterpretq_s32_s8(vld1q_s8(wq + 64 + quarter * 16));
            const int8x16_t low = vreinterpretq_s8_s32(vzip1q_s32(k03, k47));
            const int8x16_t high = vreinterpretq_s8_s32(vzip2q_s32(k03, k47));
            for (int pair = 0; pair < n_pairs; pair++) {
                int32x4_t *sum = &isum[pair][2 * quarter];
                sum[0] = vmmlaq_s32(sum[0], rows[pair], low);
                sum[1] = vmmlaq_s32(sum[1], rows[pair], high);
            }
        }
    }
}

/* n_pairs is constant where this is inlined. */
ALWAYS_INLINE void pairs_by_tile(float sum[ROWS][Q8_TILE], const struct row_pairs *p,
                                 int n_pairs, size_t groups, const uint8_t *tile)
{
    const uint8_t *scales = tile + groups * Q8_TILE * Q8_GROUP;
    for (size_t g = 0; g < groups; g++) {
        int32x4_t isum[PAIRS][2 * QUARTERS];
        group_sums(isum, p, n_pairs, (const int8_t *)tile + g * Q8_TILE * Q8_GROUP,
                   g * Q8_GROUP);
        for (int quarter = 0; quarter < QUARTERS; quarter++) {
            const float32x4_t ws = neon_scales(scales, g, quarter);
            for (int pair = 0; pair < n_pairs; pair++) {
                const int64x2_t low = vreinterpretq_s64_s32(isum[pair][2 * quarter]);
                const int64x2_t high = vreinterpretq_s64_s32(isum[pair][2 * quarter + 1]);
                const int32x4_t of_row[2] = {vreinterpretq_s32_s64(vzip1q_s64(low, high)),
                                             vreinterpretq_s32_s64(vzip2q_s64(low, high))};
                for (int r = 0; r < 2; r++) {
                    float *at = &sum[2 * pair + r][quarter * 4];
                    vst1q_f32(at, neon_accumulate(vld1q_f32(at), of_row[r],
                                                  p->scale[2 * pair + r][g], ws));
                }
            }
        }
    }
}

static void chunk(float *y, size_t y_stride, const struct q8_acts *x, size_t row, size_t n_rows,
                  const uint8_t *tile, size_t n_lanes)
{
    if (n_rows == 1) {
        q8_neon_dotprod_chunk(y, y_stride, x, row, 1, tile, n_lanes);
        return;
    }
    float sum[ROWS][Q8_TILE] = {0};
    const struct row_pairs p = find_rows(x, row, n_rows);
    if (n_rows > 2) {
        pairs_by_tile(sum, &p, 2, x->groups, tile);
    } else {
        pairs_by_tile(sum, &p, 1, x->groups, tile);
    }
    for (size_t r = 0; r < n_rows; r++) {
        memcpy(y + r * y_stride, sum[r], n_lanes * sizeof(float));
    }
}

static void matmul(float *y, size_t y_stride, const struct q8_acts *x, size_t m,
                   const struct q8_packed *w, size_t tile0, size_t tile1)
{
    neon_matmul(chunk, ROWS, y, y_stride, x, m, w, tile0, tile1);
}

/* Sixteen independent sums, in registers. */
static uint64_t spin_peak(uint64_t rounds)
{
    enum { SUMS = 16 };
    int32x4_t sum[SUMS];
    int8x16_t w = vdupq_n_s8(77), x = vdupq_n_s8(-3);
    for (int i = 0; i < SUMS; i++) {
        sum[i] = vdupq_n_s32(0);
    }
    for (uint64_t n = 0; n < rounds; n++) {
        __asm__ volatile("" : "+w"(w), "+w"(x)); /* new values, for all a compiler knows */
        for (int i = 0; i < SUMS; i++) {
            sum[i] = vmmlaq_s32(sum[i], w, x);
        }
    }
    for (int i = 1; i < SUMS; i++) {
        sum[0] = vaddq_s32(sum[0], sum[i]);
    }
    __asm__ volatile("" : : "w"(sum[0]));
    return rounds * SUMS * 32 * 2;
}

const struct q8_kernel q8_kernel_neon_i8mm = {
    .name = "i8mm",
    .needs = CPU_NEON | CPU_DOTPROD | CPU_I8MM,
    .quantize = q8_neon_quantize,
    .matmul = matmul,
    .spin_peak = spin_peak,
};
