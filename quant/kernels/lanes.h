/* lanes.h: sixteen floats side by side, as one AVX-512 register, two AVX registers, four NEON
 * registers or an array.
 *
 * The vocabulary of ops_body.h. Each function is one IEEE 754 operation in each lane, rounded
 * to nearest, and so gives the same bits however it is carried out. Which form is compiled
 * depends on the flags of the file that includes this; NEON, which every AArch64 compiler uses,
 * is asked for by LANES_NEON.
 */
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "quant/q8.h"

#if defined(__AVX2__)
#    include <immintrin.h>
#endif

#define LANES         16
#define ALWAYS_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)

struct lanes {
    __m512 v;
};

ALWAYS_INLINE struct lanes lanes_set(float f)
{
    return (struct lanes){_mm512_set1_ps(f)};
}

ALWAYS_INLINE struct lanes lanes_load(const float *p)
{
    return (struct lanes){_mm512_loadu_ps(p)};
}

ALWAYS_INLINE void lanes_store(float *p, struct lanes a)
{
    _mm512_storeu_ps(p, a.v);
}

ALWAYS_INLINE struct lanes lanes_load_f16(const uint16_t *p)
{
    return (struct lanes){_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p))};
}

/* Rounded to nearest even, as q8_f32_to_f16. */
ALWAYS_INLINE void lanes_store_f16(uint16_t *p, struct lanes a)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}

ALWAYS_INLINE struct lanes lanes_load_i8(const int8_t *p)
{
    const __m512i wide = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p));
    return (struct lanes){_mm512_cvtepi32_ps(wide)};
}

ALWAYS_INLINE struct lanes lanes_add(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm512_add_ps(a.v, b.v)};
}

ALWAYS_INLINE struct lanes lanes_sub(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm512_sub_ps(a.v, b.v)};
}

ALWAYS_INLINE struct lanes lanes_mul(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm512_mul_ps(a.v, b.v)};
}

ALWAYS_INLINE struct lanes lanes_div(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm512_div_ps(a.v, b.v)};
}

/* a * b + c, rounded once. */
ALWAYS_INLINE struct lanes lanes_fma(struct lanes a, struct lanes b, struct lanes c)
{
    return (struct lanes){_mm512_fmadd_ps(a.v, b.v, c.v)};
}

/* a > b ? a : b, so b where either is a NaN. */
ALWAYS_INLINE struct lanes lanes_max(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm512_max_ps(a.v, b.v)};
}

/* a < b ? a : b, so b where either is a NaN. */
ALWAYS_INLINE struct lanes lanes_min(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm512_min_ps(a.v, b.v)};
}

/* x < limit ? 0 : a. */
ALWAYS_INLINE struct lanes lanes_zero_below(struct lanes a, struct lanes x, float limit)
{
    __mmask16 keep = _mm512_cmp_ps_mask(x.v, _mm512_set1_ps(limit), _CMP_NLT_UQ);
    return (struct lanes){_mm512_maskz_mov_ps(keep, a.v)};
}

/* a * 2^n, where n is the integer whose low bits stand in the mantissa of n_bits, -128 <= n <=
 * 129. */
ALWAYS_INLINE struct lanes lanes_scale(struct lanes a, struct lanes n_bits, int32_t zero_bits)
{
    __m512i n = _mm512_sub_epi32(_mm512_castps_si512(n_bits.v), _mm512_set1_epi32(zero_bits));
    return (struct lanes){_mm512_scalef_ps(a.v, _mm512_cvtepi32_ps(n))};
}

/* As below. */
ALWAYS_INLINE struct lanes lanes_load_part(const float *p, size_t count, float fill)
{
    const __mmask16 mask = (__mmask16)((1u << count) - 1);
    return (struct lanes){_mm512_mask_loadu_ps(_mm512_set1_ps(fill), mask, p)};
}

ALWAYS_INLINE void lanes_store_part(float *p, size_t count, struct lanes a)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), a.v);
}

#elif defined(__AVX2__)

struct lanes {
    __m256 lo, hi;
};

ALWAYS_INLINE struct lanes lanes_set(float f)
{
    return (struct lanes){_mm256_set1_ps(f), _mm256_set1_ps(f)};
}

ALWAYS_INLINE struct lanes lanes_load(const float *p)
{
    return (struct lanes){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

ALWAYS_INLINE void lanes_store(float *p, struct lanes a)
{
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
}

ALWAYS_INLINE struct lanes lanes_load_f16(const uint16_t *p)
{
    return (struct lanes){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
                          _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8)))};
}

ALWAYS_INLINE void lanes_store_f16(uint16_t *p, struct lanes a)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a.lo, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((__m128i *)(p + 8), _mm256_cvtps_ph(a.hi, _MM_FROUND_TO_NEAREST_INT));
}

ALWAYS_INLINE struct lanes lanes_load_i8(const int8_t *p)
{
    const __m256i lo = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p));
    const __m256i hi = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(p + 8)));
    return (struct lanes){_mm256_cvtepi32_ps(lo), _mm256_cvtepi32_ps(hi)};
}

ALWAYS_INLINE struct lanes lanes_add(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}

ALWAYS_INLINE struct lanes lanes_sub(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}

ALWAYS_INLINE struct lanes lanes_mul(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}

ALWAYS_INLINE struct lanes lanes_div(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}

ALWAYS_INLINE struct lanes lanes_fma(struct lanes a, struct lanes b, struct lanes c)
{
    return (struct lanes){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}

ALWAYS_INLINE struct lanes lanes_max(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}

ALWAYS_INLINE struct lanes lanes_min(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}

ALWAYS_INLINE struct lanes lanes_zero_below(struct lanes a, struct lanes x, float limit)
{
    const __m256 l = _mm256_set1_ps(limit);
    return (struct lanes){_mm256_and_ps(a.lo, _mm256_cmp_ps(x.lo, l, _CMP_NLT_UQ)),
                          _mm256_and_ps(a.hi, _mm256_cmp_ps(x.hi, l, _CMP_NLT_UQ))};
}

ALWAYS_INLINE __m256 scale8(__m256 a, __m256 n_bits, int32_t zero_bits)
{
    __m256i n = _mm256_sub_epi32(_mm256_castps_si256(n_bits), _mm256_set1_epi32(zero_bits));
    __m256i half = _mm256_srai_epi32(n, 1), rest = _mm256_sub_epi32(n, half);
    const __m256i one = _mm256_set1_epi32(127);
    __m256 f0 = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, one), 23));
    __m256 f1 = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, one), 23));
    return _mm256_mul_ps(_mm256_mul_ps(a, f0), f1);
}

ALWAYS_INLINE struct lanes lanes_scale(struct lanes a, struct lanes n_bits, int32_t zero_bits)
{
    return (struct lanes){scale8(a.lo, n_bits.lo, zero_bits),
                          scale8(a.hi, n_bits.hi, zero_bits)};
}

#elif defined(LANES_NEON)

#    include "quant/kernels/lanes_neon.h"

#else

struct lanes {
    float v[LANES];
};

/* A function of each lane: `expr` in terms of l. */
#    define EACH_LANE(expr)             \
        struct lanes out;               \
        for (int l = 0; l < LANES; l++) \
            out.v[l] = (expr);          \
        return out

ALWAYS_INLINE struct lanes lanes_set(float f)
{
    EACH_LANE(f);
}

ALWAYS_INLINE struct lanes lanes_load(const float *p)
{
    EACH_LANE(p[l]);
}

ALWAYS_INLINE void lanes_store(float *p, struct lanes a)
{
    memcpy(p, a.v, sizeof(a.v));
}

ALWAYS_INLINE struct lanes lanes_load_f16(const uint16_t *p)
{
    EACH_LANE(q8_f16_to_f32(p[l]));
}

ALWAYS_INLINE void lanes_store_f16(uint16_t *p, struct lanes a)
{
    for (int l = 0; l < LANES; l++) {
        p[l] = q8_f32_to_f16(a.v[l]);
    }
}

ALWAYS_INLINE struct lanes lanes_load_i8(const int8_t *p)
{
    EACH_LANE((float)p[l]);
}

ALWAYS_INLINE struct lanes lanes_add(struct lanes a, struct lanes b)
{
    EACH_LANE(a.v[l] + b.v[l]);
}

ALWAYS_INLINE struct lanes lanes_sub(struct lanes a, struct lanes b)
{
    EACH_LANE(a.v[l] - b.v[l]);
}

ALWAYS_INLINE struct lanes lanes_mul(struct lanes a, struct lanes b)
{
    EACH_LANE(a.v[l] * b.v[l]);
}

ALWAYS_INLINE struct lanes lanes_div(struct lanes a, struct lanes b)
{
    EACH_LANE(a.v[l] / b.v[l]);
}

ALWAYS_INLINE struct lanes lanes_fma(struct lanes a, struct lanes b, struct lanes c)
{
    EACH_LANE(fmaf(a.v[l], b.v[l], c.v[l]));
}

ALWAYS_INLINE struct lanes lanes_max(struct lanes a, struct lanes b)
{
    EACH_LANE(a.v[l] > b.v[l] ? a.v[l] : b.v[l]);
}

ALWAYS_INLINE struct lanes lanes_min(struct lanes a, struct lanes b)
{
    EACH_LANE(a.v[l] < b.v[l] ? a.v[l] : b.v[l]);
}

ALWAYS_INLINE struct lanes lanes_zero_below(struct lanes a, struct lanes x, float limit)
{
    EACH_LANE(x.v[l] < limit ? 0.0f : a.v[l]);
}

/* 2^n as a float. */
ALWAYS_INLINE float power_of_two(int32_t n)
{
    const uint32_t bits = (uint32_t)(n + 127) << 23;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

ALWAYS_INLINE struct lanes lanes_scale(struct lanes a, struct lanes n_bits, int32_t zero_bits)
{
    struct lanes out;
    for (int l = 0; l < LANES; l++) {
        int32_t bits;
        memcpy(&bits, &n_bits.v[l], 4);
        const int32_t n = (int32_t)((uint32_t)bits - (uint32_t)zero_bits);
        const int32_t half = n >> 1; /* arithmetic, on every compiler that this builds with */
        out.v[l] = a.v[l] * power_of_two(half) * power_of_two(n - half);
    }
    return out;
}

#endif

#if !defined(__AVX512F__)

/* The first `count` < 16 floats at p, and `fill` after them. */
ALWAYS_INLINE struct lanes lanes_load_part(const float *p, size_t count, float fill)
{
    float part[LANES];
    for (size_t l = 0; l < LANES; l++) {
        part[l] = l < count ? p[l] : fill;
    }
    return lanes_load(part);
}

ALWAYS_INLINE void lanes_store_part(float *p, size_t count, struct lanes a)
{
    float part[LANES];
    lanes_store(part, a);
    memcpy(p, part, count * sizeof(float));
}

#endif

/* Folds 16 -> 8 -> 4 -> 2 -> 1, adding the upper half to the lower. */
ALWAYS_INLINE float lanes_sum(struct lanes a)
{
    float v[LANES];
    lanes_store(v, a);
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t l = 0; l < half; l++) {
            v[l] += v[l + half];
        }
    }
    return v[0];
}

/* The greatest lane, NaNs left out; -infinity if all are. */
ALWAYS_INLINE float lanes_greatest(struct lanes a)
{
    float v[LANES], greatest = -INFINITY;
    lanes_store(v, a);
    for (size_t l = 0; l < LANES; l++) {
        greatest = v[l] > greatest ? v[l] : greatest;
    }
    return greatest;
}
