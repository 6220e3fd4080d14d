/* lanes_neon.h: the sixteen lanes of lanes.h as four NEON registers. Included by lanes.h alone.
 *
 * Source: Arm Architecture Reference Manual; FMAXNM and FMAX treat NaNs otherwise than x86
 * does, so maximum and minimum are a comparison and a selection. */
#pragma once

#include <arm_neon.h>

struct lanes {
    float32x4_t v[4];
};

/* A function of each register: `expr` in terms of i. */
#define EACH_REGISTER(expr)       \
    struct lanes out;             \
    for (int i = 0; i < 4; i++) { \
        out.v[i] = (expr);        \
    }                             \
    return out

ALWAYS_INLINE struct lanes lanes_set(float f)
{
    EACH_REGISTER(vdupq_n_f32(f));
}

ALWAYS_INLINE struct lanes lanes_load(const float *p)
{
    EACH_REGISTER(vld1q_f32(p + 4 * i));
}

ALWAYS_INLINE void lanes_store(float *p, struct lanes a)
{
    for (int i = 0; i < 4; i++) {
        vst1q_f32(p + 4 * i, a.v[i]);
    }
}

ALWAYS_INLINE struct lanes lanes_load_f16(const uint16_t *p)
{
    EACH_REGISTER(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))));
}

ALWAYS_INLINE void lanes_store_f16(uint16_t *p, struct lanes a)
{
    for (int i = 0; i < 4; i++) {
        vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(a.v[i])));
    }
}

ALWAYS_INLINE struct lanes lanes_load_i8(const int8_t *p)
{
    const int8x16_t bytes = vld1q_s8(p);
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
    const int32x4_t parts[4] = {vmovl_s16(vget_low_s16(low)), vmovl_s16(vget_high_s16(low)),
                                vmovl_s16(vget_low_s16(high)), vmovl_s16(vget_high_s16(high))};
    EACH_REGISTER(vcvtq_f32_s32(parts[i]));
}

ALWAYS_INLINE struct lanes lanes_add(struct lanes a, struct lanes b)
{
    EACH_REGISTER(vaddq_f32(a.v[i], b.v[i]));
}

ALWAYS_INLINE struct lanes lanes_sub(struct lanes a, struct lanes b)
{
    EACH_REGISTER(vsubq_f32(a.v[i], b.v[i]));
}

ALWAYS_INLINE struct lanes lanes_mul(struct lanes a, struct lanes b)
{
    EACH_REGISTER(vmulq_f32(a.v[i], b.v[i]));
}

ALWAYS_INLINE struct lanes lanes_div(struct lanes a, struct lanes b)
{
    EACH_REGISTER(vdivq_f32(a.v[i], b.v[i]));
}

ALWAYS_INLINE struct lanes lanes_fma(struct lanes a, struct lanes b, struct lanes c)
{
    EACH_REGISTER(vfmaq_f32(c.v[i], a.v[i], b.v[i]));
}

ALWAYS_INLINE struct lanes lanes_max(struct lanes a, struct lanes b)
{
    EACH_REGISTER(vbslq_f32(vcgtq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]));
}

ALWAYS_INLINE struct lanes lanes_min(struct lanes a, struct lanes b)
{
    EACH_REGISTER(vbslq_f32(vcltq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]));
}

ALWAYS_INLINE struct lanes lanes_zero_below(struct lanes a, struct lanes x, float limit)
{
    EACH_REGISTER(vbslq_f32(vcltq_f32(x.v[i], vdupq_n_f32(limit)), vdupq_n_f32(0.0f), a.v[i]));
}

ALWAYS_INLINE float32x4_t power_of_two4(int32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

ALWAYS_INLINE struct lanes lanes_scale(struct lanes a, struct lanes n_bits, int32_t zero_bits)
{
    struct lanes out;
    for (int i = 0; i < 4; i++) {
        const int32x4_t n =
            vsubq_s32(vreinterpretq_s32_f32(n_bits.v[i]), vdupq_n_s32(zero_bits));
        const int32x4_t half = vshrq_n_s32(n, 1);
        const float32x4_t once = vmulq_f32(a.v[i], power_of_two4(half));
        out.v[i] = vmulq_f32(once, power_of_two4(vsubq_s32(n, half)));
    }
    return out;
}
