#include "models/format/block_types.h"

#include <math.h>
#include <string.h>

#include "models/format/tensor_type.h"

#define BLOCK 32
#define SUPER 256 /* numbers of a "k" block */

static float f16_at(const unsigned char *p)
{
    return f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

/* --- blocks of 32: byte j holds number j in its low half and number j + 16 in its high half
 * --- */

static void q4_0(const unsigned char *b, float *y)
{
    const float d = f16_at(b);
    for (size_t j = 0; j < BLOCK / 2; j++) {
        y[j] = d * (float)((b[2 + j] & 15) - 8);
        y[j + 16] = d * (float)((b[2 + j] >> 4) - 8);
    }
}

static void q4_1(const unsigned char *b, float *y)
{
    const float d = f16_at(b), m = f16_at(b + 2);
    for (size_t j = 0; j < BLOCK / 2; j++) {
        y[j] = d * (float)(b[4 + j] & 15) + m;
        y[j + 16] = d * (float)(b[4 + j] >> 4) + m;
    }
}

/* Number j of a 5-bit block: four bits of `low`, the fifth from the bit field at `high`. */
static int five_bits(const unsigned char *low, const unsigned char *high, size_t j)
{
    const int four = j < 16 ? low[j] & 15 : low[j - 16] >> 4;
    return four | (high[j / 8] >> j % 8 & 1) << 4;
}

static void q5_0(const unsigned char *b, float *y)
{
    const float d = f16_at(b);
    for (size_t j = 0; j < BLOCK; j++) {
        y[j] = d * (float)(five_bits(b + 6, b + 2, j) - 16);
    }
}

static void q5_1(const unsigned char *b, float *y)
{
    const float d = f16_at(b), m = f16_at(b + 2);
    for (size_t j = 0; j < BLOCK; j++) {
        y[j] = d * (float)five_bits(b + 8, b + 4, j) + m;
    }
}

static const signed char iq4_steps[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

/* 32 numbers of 16 bytes as steps of a table. */
static void steps(const unsigned char *q, const signed char table[16], float scale, float *y)
{
    for (size_t j = 0; j < BLOCK / 2; j++) {
        y[j] = scale * (float)table[q[j] & 15];
        y[j + 16] = scale * (float)table[q[j] >> 4];
    }
}

static void iq4_nl(const unsigned char *b, float *y)
{
    steps(b + 2, iq4_steps, f16_at(b), y);
}

/* e2m1 in halves: the exponent is one less. */
static void mxfp4(const unsigned char *b, float *y)
{
    static const signed char halves[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                           0, -1, -2, -3, -4, -6, -8, -12};
    steps(b + 1, halves, ldexpf(1.0f, (int)b[0] - 128), y);
}

/* --- blocks of 256 --- */

/* scales[16] of 4 bits and minima of 4 bits; qs[64] of 2 bits; d, dmin. Numbers 32 i .. 32 i +
 * 31 of each half of the block are the bits 2 i of its 32 bytes. */
static void q2_k(const unsigned char *b, float *y)
{
    const unsigned char *scales = b, *qs = b + 16;
    const float d = f16_at(b + 80), dmin = f16_at(b + 82);
    for (size_t i = 0; i < SUPER; i++) {
        const unsigned char scale = scales[i / 16];
        const int q = qs[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
        y[i] = d * (float)(scale & 15) * (float)q - dmin * (float)(scale >> 4);
    }
}

/* Part i's 6-bit scale: four bits of the first eight bytes, two of the last four. */
static int q3_k_scale(const unsigned char *scales, size_t i)
{
    const int low = i < 8 ? scales[i] & 15 : scales[i - 8] >> 4;
    const int high = scales[8 + i % 4] >> i / 4 * 2 & 3;
    return (low | high << 4) - 32;
}

/* high[32]: a bit of each; qs[64] as in q2_k; scales[12]; d. */
static void q3_k(const unsigned char *b, float *y)
{
    const unsigned char *high = b, *qs = b + 32, *scales = b + 96;
    const float d = f16_at(b + 108);
    for (size_t i = 0; i < SUPER; i++) {
        const int low = qs[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
        const int q = low - (high[i % 32] >> i / 32 & 1 ? 0 : 4);
        y[i] = d * (float)q3_k_scale(scales, i / 16) * (float)q;
    }
}

/* Scale and minimum of part i of eight, 6 bits each, in 12 bytes: the first four parts lie in
 * the low six bits of bytes 0..3 and 4..7, whose top two bits belong to the other four, as do
 * the halves of bytes 8..11. */
static void k4_scale(const unsigned char *s, size_t i, int *scale, int *min)
{
    if (i < 4) {
        *scale = s[i] & 63;
        *min = s[i + 4] & 63;
    } else {
        *scale = (s[i + 4] & 15) | s[i - 4] >> 6 << 4;
        *min = s[i + 4] >> 4 | s[i] >> 6 << 4;
    }
}

/* Numbers of q4_k and q5_k: 64 i .. 64 i + 31 are the low halves of 32 bytes, the next 32 the
 * high ones; high: a fifth bit, bit number i / 32 of byte i % 32, or NULL. */
static void k4_k5(const unsigned char *b, const unsigned char *qs, const unsigned char *high,
                  float *y)
{
    const float d = f16_at(b), dmin = f16_at(b + 2);
    for (size_t part = 0; part < 8; part++) {
        int scale, min;
        k4_scale(b + 4, part, &scale, &min);
        const float by = d * (float)scale, less = dmin * (float)min;
        for (size_t l = 0; l < 32; l++) {
            const int byte = qs[part / 2 * 32 + l];
            int q = part % 2 == 0 ? byte & 15 : byte >> 4;
            q += high && high[l] >> part & 1 ? 16 : 0;
            y[part * 32 + l] = by * (float)q - less;
        }
    }
}

static void q4_k(const unsigned char *b, float *y)
{
    k4_k5(b, b + 16, NULL, y);
}

static void q5_k(const unsigned char *b, float *y)
{
    k4_k5(b, b + 48, b + 16, y);
}

/* low[128]: four bits, high[64]: two, scales[16]: signed bytes, d. Each half of the block is
 * four runs of 32: run r has its low bits in bytes r % 2 * 32 of the half's 64, low halves for
 * r < 2. */
static void q6_k(const unsigned char *b, float *y)
{
    const float d = f16_at(b + 208);
    for (size_t i = 0; i < SUPER; i++) {
        const size_t half = i / 128, run = i % 128 / 32, l = i % 32;
        const int byte = b[half * 64 + run % 2 * 32 + l];
        const int low = run < 2 ? byte & 15 : byte >> 4;
        const int high = b[128 + half * 32 + l] >> run * 2 & 3;
        y[i] = d * (float)(signed char)b[192 + i / 16] * (float)((low | high << 4) - 32);
    }
}

/* d, scales_h of 2 bits, scales_l[4] of 4 bits, then eight runs of 16 bytes. */
static void iq4_xs(const unsigned char *b, float *y)
{
    const float d = f16_at(b);
    const int scales_h = b[2] | b[3] << 8;
    for (int i = 0; i < 8; i++) {
        const int low = b[4 + i / 2] >> i % 2 * 4 & 15, high = scales_h >> 2 * i & 3;
        steps(b + 8 + 16 * i, iq4_steps, d * (float)((low | high << 4) - 32), y + 32 * i);
    }
}

/* --- rows --- */

static const struct block_type {
    uint32_t type;
    void (*to_f32)(const unsigned char *block, float *y);
} known[] = {
    {TENSOR_Q4_0, q4_0},     {TENSOR_Q4_1, q4_1},     {TENSOR_Q5_0, q5_0},
    {TENSOR_Q5_1, q5_1},     {TENSOR_Q2_K, q2_k},     {TENSOR_Q3_K, q3_k},
    {TENSOR_Q4_K, q4_k},     {TENSOR_Q5_K, q5_k},     {TENSOR_Q6_K, q6_k},
    {TENSOR_IQ4_NL, iq4_nl}, {TENSOR_IQ4_XS, iq4_xs}, {TENSOR_MXFP4, mxfp4},
};

static const struct block_type *find(uint32_t type)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].type == type) {
            return &known[i];
        }
    }
    return NULL;
}

bool block_type_known(uint32_t type)
{
    return find(type) != NULL;
}

int block_row_to_f32(uint32_t type, const unsigned char *src, float *dst, size_t n)
{
    const struct block_type *block = find(type);
    const struct tensor_type_info *info = tensor_type_info(type);
    if (!block || !info || n % info->block_size != 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i += info->block_size, src += info->block_bytes) {
        block->to_f32(src, dst + i);
    }
    return 0;
}
