#include "models/format/tensor_type.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "models/format/block_types.h"
#include "quant/q8.h"

/* GGUF specification, "enum ggml_type"; block layouts as ggml-common.h gives them. */
static const struct tensor_type_info types[] = {
    {TENSOR_F32, "f32", 1, 4},
    {TENSOR_F16, "f16", 1, 2},
    {TENSOR_Q4_0, "q4_0", 32, 18},
    {TENSOR_Q4_1, "q4_1", 32, 20},
    {TENSOR_Q5_0, "q5_0", 32, 22},
    {TENSOR_Q5_1, "q5_1", 32, 24},
    {TENSOR_Q8_0, "q8_0", 32, 34},
    {9, "q8_1", 32, 36},
    {TENSOR_Q2_K, "q2_k", 256, 84},
    {TENSOR_Q3_K, "q3_k", 256, 110},
    {TENSOR_Q4_K, "q4_k", 256, 144},
    {TENSOR_Q5_K, "q5_k", 256, 176},
    {TENSOR_Q6_K, "q6_k", 256, 210},
    {15, "q8_k", 256, 292},
    {16, "iq2_xxs", 256, 66},
    {17, "iq2_xs", 256, 74},
    {18, "iq3_xxs", 256, 98},
    {19, "iq1_s", 256, 50},
    {TENSOR_IQ4_NL, "iq4_nl", 32, 18},
    {21, "iq3_s", 256, 110},
    {22, "iq2_s", 256, 82},
    {TENSOR_IQ4_XS, "iq4_xs", 256, 136},
    {TENSOR_I8, "i8", 1, 1},
    {25, "i16", 1, 2},
    {26, "i32", 1, 4},
    {27, "i64", 1, 8},
    {28, "f64", 1, 8},
    {29, "iq1_m", 256, 56},
    {TENSOR_BF16, "bf16", 1, 2},
    {34, "tq1_0", 256, 54},
    {35, "tq2_0", 256, 66},
    {TENSOR_MXFP4, "mxfp4", 32, 17},
};

#define N_TYPES (sizeof types / sizeof types[0])

const struct tensor_type_info *tensor_type_info(uint32_t type)
{
    for (size_t i = 0; i < N_TYPES; i++) {
        if (types[i].type == type) {
            return &types[i];
        }
    }
    return NULL;
}

const struct tensor_type_info *tensor_type_find(const char *name)
{
    for (size_t i = 0; i < N_TYPES; i++) {
        if (strcasecmp(types[i].name, name) == 0) {
            return &types[i];
        }
    }
    return NULL;
}

uint64_t tensor_type_row_bytes(uint32_t type, uint64_t n)
{
    const struct tensor_type_info *info = tensor_type_info(type);
    uint64_t bytes;

    if (!info || n % info->block_size != 0) {
        return 0;
    }
    if (__builtin_mul_overflow(n / info->block_size, (uint64_t)info->block_bytes, &bytes)) {
        return 0;
    }
    return bytes;
}

static float f32_from_bits(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

float f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000U) << 16;
    const uint32_t exponent = (h >> 10) & 0x1fU;
    const uint32_t mantissa = h & 0x3ffU;

    if (exponent == 0) {
        const float f = (float)mantissa * 0x1p-24F;

        return sign ? -f : f;
    }
    if (exponent == 31) {
        return f32_from_bits(sign | 0x7f800000U | mantissa << 13);
    }
    return f32_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t f16_from_f32(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000U);
    const uint32_t magnitude = bits & 0x7fffffffU;

    if (magnitude > 0x7f800000U) { /* NaN, kept quiet */
        return sign | 0x7e00U;
    }
    if (magnitude >= 0x477ff000U) { /* 65520 and above round to infinity */
        return sign | 0x7c00U;
    }
    if (magnitude < 0x38800000U) { /* below 2^-14: subnormal; lrintf rounds ties to even */
        return (uint16_t)(sign | (uint16_t)lrintf(fabsf(f) * 0x1p24F));
    }

    const uint32_t round = 0xfffU + (magnitude >> 13 & 1U);

    return (uint16_t)(sign | (uint16_t)((magnitude + round - 0x38000000U) >> 13));
}

float bf16_to_f32(uint16_t h)
{
    return f32_from_bits((uint32_t)h << 16);
}

static uint16_t load_u16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

/* 32 numbers as an f16 scale and 32 signed bytes. */
static void q8_0_row_to_f32(const unsigned char *src, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i += 32, src += 34) {
        const float scale = f16_to_f32(load_u16(src));

        for (size_t j = 0; j < 32; j++) {
            dst[i + j] = scale * (float)(int8_t)src[2 + j];
        }
    }
}

bool tensor_type_readable(uint32_t type)
{
    return type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16 ||
           type == TENSOR_Q8_0 || block_type_known(type);
}

int tensor_row_to_f32(uint32_t type, const void *src, float *dst, size_t n)
{
    const unsigned char *p = src;

    switch (type) {
    case TENSOR_F32:
        memcpy(dst, src, n * sizeof *dst);
        return 0;
    case TENSOR_F16:
        for (size_t i = 0; i < n; i++) {
            dst[i] = f16_to_f32(load_u16(p + 2 * i));
        }
        return 0;
    case TENSOR_BF16:
        for (size_t i = 0; i < n; i++) {
            dst[i] = bf16_to_f32(load_u16(p + 2 * i));
        }
        return 0;
    case TENSOR_Q8_0:
        if (n % 32 != 0) {
            return -1;
        }
        q8_0_row_to_f32(p, dst, n);
        return 0;
    default:
        return block_row_to_f32(type, p, dst, n);
    }
}

/* The largest magnitude that does not become an infinity; of q8_0 it is the scale that could.
 */
static float largest(uint32_t type)
{
    const float f16_max = 65504.0F;

    return type == TENSOR_F16 ? f16_max : type == TENSOR_Q8_0 ? 127.0F * f16_max : FLT_MAX;
}

int tensor_row_from_f32(uint32_t type, const float *src, void *dst, size_t n)
{
    const float max = largest(type);
    unsigned char *p = dst;

    for (size_t i = 0; i < n; i++) {
        if (!(fabsf(src[i]) <= max)) {
            return -1;
        }
    }
    switch (type) {
    case TENSOR_F32:
        memcpy(dst, src, n * sizeof *src);
        return 0;
    case TENSOR_F16:
        for (size_t i = 0; i < n; i++) {
            const uint16_t h = f16_from_f32(src[i]);

            p[2 * i] = (unsigned char)(h & 0xffU);
            p[2 * i + 1] = (unsigned char)(h >> 8);
        }
        return 0;
    case TENSOR_Q8_0:
        if (n % Q8_GROUP != 0) {
            return -1;
        }
        q8_blocks_from_floats(dst, src, n);
        return 0;
    default:
        return -1;
    }
}
