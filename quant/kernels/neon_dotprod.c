/* neon_dotprod.c: the kernel for Arm processors with SDOT, four signed bytes by four into each
 * 32-bit lane (FEAT_DotProd, from Armv8.2 on). A 16-byte register of a tile is four outputs by
 * four k, which is what SDOT takes; activations are its indexed operand. */
#include "quant/kernels/neon.h"

#include <math.h>
#include <string.h>

#include "quant/cpu.h"
#include "quant/kernels/kernels.h"
#include "quant/q8_quantize.h"

#define ROWS 4

/* Adds four k (word `word` of 16 bytes of x) of all 16 outputs. */
#define DOT_WORD(word)                                                                \
    for (int quarter = 0; quarter < QUARTERS; quarter++) {                            \
        const int8x16_t w = vld1q_s8(wq + (word)*64 + quarter * 16);                  \
        for (int r = 0; r < n_rows; r++) {                                            \
            isum[r][quarter] = vdotq_laneq_s32(isum[r][quarter], w, four[r], (word)); \
        }                                                                             \
    }

/* n_rows is constant where this is inlined. */
ALWAYS_INLINE void chunk(const int n_rows, float *y, size_t y_stride, const struct q8_acts *x,
                         size_t row, const uint8_t *tile, size_t n_lanes)
{
    const uint8_t *scales = tile + x->groups * Q8_TILE * Q8_GROUP;
    float32x4_t acc[ROWS][QUARTERS];
    for (int r = 0; r < n_rows; r++) {
        for (int quarter = 0; quarter < QUARTERS; quarter++) {
            acc[r][quarter] = vdupq_n_f32(0.0f);
        }
    }
    for (size_t g = 0; g < x->groups; g++) {
        const int8_t *xq = x->q + row * x->q_stride + g * Q8_GROUP;
        int32x4_t isum[ROWS][QUARTERS];
        for (int r = 0; r < n_rows; r++) {
            for (int quarter = 0; quarter < QUARTERS; quarter++) {
                isum[r][quarter] = vdupq_n_s32(0);
            }
        }
        for (size_t half = 0; half < 2; half++) {
            const int8_t *wq = (const int8_t *)tile + (g * 2 + half) * 4 * 64;
            int8x16_t four[ROWS];
            for (int r = 0; r < n_rows; r++) {
                four[r] = vld1q_s8(xq + (size_t)r * x->q_stride + half * 16);
            }
            DOT_WORD(0)
            DOT_WORD(1)
            DOT_WORD(2)
            DOT_WORD(3)
        }
        for (int quarter = 0; quarter < QUARTERS; quarter++) {
            const float32x4_t ws = neon_scales(scales, g, quarter);
            for (int r = 0; r < n_rows; r++) {
                const float xs = x->scale[(row + (size_t)r) * x->groups + g];
                acc[r][quarter] = neon_accumulate(acc[r][quarter], isum[r][quarter], xs, ws);
            }
        }
    }
    for (int r = 0; r < n_rows; r++) {
        float out[Q8_TILE];
        for (int quarter = 0; quarter < QUARTERS; quarter++) {
            vst1q_f32(out + quarter * 4, acc[r][quarter]);
        }
        memcpy(y + (size_t)r * y_stride, out, n_lanes * sizeof(float));
    }
}

void q8_neon_dotprod_chunk(float *y, size_t y_stride, const struct q8_acts *x, size_t row,
                           size_t n_rows, const uint8_t *tile, size_t n_lanes)
{
    switch (n_rows) {
    case 1:
        chunk(1, y, y_stride, x, row, tile, n_lanes);
        break;
    case 2:
        chunk(2, y, y_stride, x, row, tile, n_lanes);
        break;
    case 3:
        chunk(3, y, y_stride, x, row, tile, n_lanes);
        break;
    default:
        chunk(4, y, y_stride, x, row, tile, n_lanes);
        break;
    }
}

static void matmul(float *y, size_t y_stride, const struct q8_acts *x, size_t m,
                   const struct q8_packed *w, size_t tile0, size_t tile1)
{
    neon_matmul(q8_neon_dotprod_chunk, ROWS, y, y_stride, x, m, w, tile0, tile1);
}

/* One group of 32 floats, as q8_quantize_group. */
ALWAYS_INLINE struct q8_group quantize_group(int8_t *q, const float *x)
{
    const uint32x4_t magnitude = vdupq_n_u32(0x7fffffff);
    uint32x4_t max = vdupq_n_u32(0);
    float32x4_t v[8];
    for (int i = 0; i < 8; i++) {
        v[i] = vld1q_f32(x + i * 4);
        max = vmaxq_u32(max, vandq_u32(vreinterpretq_u32_f32(v[i]), magnitude));
    }
    const uint32_t amax_bits = vmaxvq_u32(max);
    float amax;
    memcpy(&amax, &amax_bits, 4);
    if (amax_bits >= 0x7f800000 || amax < Q8_AMAX_MIN) {
        memset(q, 0, Q8_GROUP);
        return (struct q8_group){.scale = amax_bits >= 0x7f800000 ? NAN : 0.0f};
    }
    const float inverse = 127.0f / amax;
    int32x4_t sum = vdupq_n_s32(0);
    for (int i = 0; i < 8; i += 2) {
        const int32x4_t low = vcvtnq_s32_f32(vmulq_n_f32(v[i], inverse));
        const int32x4_t high = vcvtnq_s32_f32(vmulq_n_f32(v[i + 1], inverse));
        sum = vaddq_s32(sum, vaddq_s32(low, high));
        vst1_s8(q + i * 4, vmovn_s16(vcombine_s16(vmovn_s32(low), vmovn_s32(high))));
    }
    return (struct q8_group){.scale = amax / 127.0f, .sum = vaddvq_s32(sum)};
}

void q8_neon_quantize(struct q8_acts *out, const float *x, size_t x_stride, size_t row0,
                      size_t row1)
{
    q8_quantize_rows(out, x, x_stride, row0, row1, quantize_group);
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
            sum[i] = vdotq_s32(sum[i], w, x);
        }
    }
    for (int i = 1; i < SUMS; i++) {
        sum[0] = vaddq_s32(sum[0], sum[i]);
    }
    __asm__ volatile("" : : "w"(sum[0]));
    return rounds * SUMS * 16 * 2;
}

const struct q8_kernel q8_kernel_neon_dotprod = {
    .name = "dotprod",
    .needs = CPU_NEON | CPU_DOTPROD,
    .quantize = q8_neon_quantize,
    .matmul = matmul,
    .spin_peak = spin_peak,
};
