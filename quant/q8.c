#include "quant/q8.h"

#include <math.h>
#include <string.h>

#include "quant/q8_quantize.h"

/* Bytes of a tile's integers for one group, and of its scales. */
#define TILE_Q_BYTES     ((size_t)Q8_TILE * Q8_GROUP)
#define TILE_SCALE_BYTES ((size_t)Q8_TILE * 2)

static size_t round_up(size_t x, size_t to)
{
    return (x + to - 1) / to * to;
}

static size_t tile_bytes(size_t k)
{
    return round_up(k / Q8_GROUP * (TILE_Q_BYTES + TILE_SCALE_BYTES), Q8_ALIGN);
}

static size_t acts_q_stride(size_t k)
{
    return (round_up(k, Q8_ALIGN) / Q8_ALIGN | 1) * Q8_ALIGN;
}

/* Where nothing below can overflow: rows and k that far exceed any model. */
static int size_is_sane(size_t rows, size_t k)
{
    const size_t limit = (size_t)1 << 28;
    return k > 0 && k % Q8_GROUP == 0 && k < limit && rows < limit;
}

size_t q8_packed_bytes(size_t n, size_t k)
{
    if (!size_is_sane(n, k)) {
        return 0;
    }
    return (n + Q8_TILE - 1) / Q8_TILE * tile_bytes(k);
}

size_t q8_acts_bytes(size_t rows, size_t k)
{
    if (!size_is_sane(rows, k)) {
        return 0;
    }
    const size_t groups = k / Q8_GROUP;
    const size_t arrays =
        rows * acts_q_stride(k) + 2 * round_up(rows * groups * sizeof(float), Q8_ALIGN);
    const size_t panels =
        (rows + Q8_PANEL_ROWS - 1) / Q8_PANEL_ROWS * groups * sizeof(struct q8_panel_group);
    return arrays > panels ? arrays : panels;
}

void q8_packed_init(struct q8_packed *p, const void *block, size_t n, size_t k)
{
    *p = (struct q8_packed){.data = block, .n = n, .k = k, .tile_bytes = tile_bytes(k)};
}

void q8_acts_init(struct q8_acts *a, void *block, size_t rows, size_t k)
{
    size_t stride = acts_q_stride(k);
    size_t groups = k / Q8_GROUP;
    size_t per_group = round_up(rows * groups * 4, Q8_ALIGN);
    char *p = block;
    *a = (struct q8_acts){
        .rows = rows,
        .k = k,
        .q_stride = stride,
        .groups = groups,
        .q = (void *)p,
        .scale = (void *)(p + rows * stride),
        .correction = (void *)(p + rows * stride + per_group),
    };
}

void q8_acts_arrange(struct q8_acts *a, bool in_panels)
{
    a->panels = in_panels ? (void *)a->q : NULL;
}

void q8_acts_from(struct q8_acts *view, const struct q8_acts *a, size_t first)
{
    *view = *a;
    view->rows -= first;
    view->q += first * a->q_stride;
    view->scale += first * a->groups;
    view->correction += first * a->groups;
    if (a->panels) {
        view->panels += first / Q8_PANEL_ROWS * a->groups;
    }
}

void q8_acts_copy(struct q8_acts *a, size_t to, const struct q8_acts *source, size_t from)
{
    for (size_t g = 0; g < a->groups; g++) {
        const struct q8_acts_group copy = q8_acts_at(a, to, g);
        const struct q8_acts_group of = q8_acts_at(source, from, g);
        memcpy(copy.q, of.q, Q8_GROUP);
        *copy.scale = *of.scale;
        *copy.correction = *of.correction;
    }
}

/* Puts one row's block into lane `lane` of group g of a tile. */
static void tile_put(uint8_t *tile, size_t groups, size_t g, size_t lane, const uint8_t *block)
{
    uint8_t *q = tile + g * TILE_Q_BYTES + lane * 4;
    uint8_t *scale = tile + groups * TILE_Q_BYTES + g * TILE_SCALE_BYTES + lane * 2;
    memcpy(scale, block, 2);
    for (size_t j = 0; j < Q8_GROUP / 4; j++) {
        memcpy(q + j * Q8_TILE * 4, block + 2 + j * 4, 4);
    }
}

void q8_pack_blocks(void *block, const struct q8_packed *p, const void *blocks, size_t tile0,
                    size_t tile1)
{
    const size_t groups = p->k / Q8_GROUP;
    const uint8_t *src = blocks;
    for (size_t t = tile0; t < tile1; t++) {
        uint8_t *tile = (uint8_t *)block + t * p->tile_bytes;
        memset(tile, 0, p->tile_bytes);
        for (size_t lane = 0; lane < Q8_TILE && t * Q8_TILE + lane < p->n; lane++) {
            const uint8_t *row = src + (t * Q8_TILE + lane) * groups * Q8_BLOCK_BYTES;
            for (size_t g = 0; g < groups; g++) {
                tile_put(tile, groups, g, lane, row + g * Q8_BLOCK_BYTES);
            }
        }
    }
}

void q8_pack_floats(void *block, const struct q8_packed *p, const float *w, size_t tile0,
                    size_t tile1)
{
    const size_t groups = p->k / Q8_GROUP;
    for (size_t t = tile0; t < tile1; t++) {
        uint8_t *tile = (uint8_t *)block + t * p->tile_bytes;
        memset(tile, 0, p->tile_bytes);
        for (size_t lane = 0; lane < Q8_TILE && t * Q8_TILE + lane < p->n; lane++) {
            const float *row = w + (t * Q8_TILE + lane) * p->k;
            for (size_t g = 0; g < groups; g++) {
                uint8_t one[Q8_BLOCK_BYTES];
                q8_blocks_from_floats(one, row + g * Q8_GROUP, Q8_GROUP);
                tile_put(tile, groups, g, lane, one);
            }
        }
    }
}

void q8_blocks_from_floats(void *blocks, const float *x, size_t count)
{
    uint8_t *out = blocks;
    for (size_t i = 0; i < count; i += Q8_GROUP, out += Q8_BLOCK_BYTES) {
        int8_t q[Q8_GROUP];
        struct q8_group g = q8_quantize_group(q, x + i);
        uint16_t scale = q8_f32_to_f16(g.scale);
        memcpy(out, &scale, 2);
        memcpy(out + 2, q, Q8_GROUP);
    }
}

void q8_packed_row(float *out, const struct q8_packed *p, size_t row)
{
    const size_t groups = p->k / Q8_GROUP, lane = row % Q8_TILE;
    const uint8_t *tile = p->data + row / Q8_TILE * p->tile_bytes;
    for (size_t g = 0; g < groups; g++) {
        uint16_t half;
        memcpy(&half, tile + groups * TILE_Q_BYTES + g * TILE_SCALE_BYTES + lane * 2, 2);
        const float scale = q8_f16_to_f32(half);
        for (size_t i = 0; i < Q8_GROUP; i++) {
            uint8_t q = tile[g * TILE_Q_BYTES + i / 4 * Q8_TILE * 4 + lane * 4 + i % 4];
            out[g * Q8_GROUP + i] = scale * (float)(int8_t)q;
        }
    }
}

static uint32_t float_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static float bits_float(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

float q8_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t rest = h & 0x7fffu;
    if (rest >= 0x7c00) { /* infinity, NaN */
        return bits_float(sign | 0x7f800000 | (rest & 0x3ff) << 13);
    }
    /* Exponent and mantissa in place, then the difference of the exponent biases (127 - 15) by
     * a multiplication, which is exact and handles subnormals. */
    return bits_float(sign | float_bits(bits_float(rest << 13) * 0x1p112f));
}

uint16_t q8_f32_to_f16(float f)
{
    const uint32_t u = float_bits(f);
    const uint32_t sign = u >> 16 & 0x8000;
    const uint32_t rest = u & 0x7fffffff;
    uint32_t h;
    if (rest > 0x7f800000) {
        h = 0x7e00 | (rest >> 13 & 0x1ff); /* NaN, made quiet */
    } else if (rest >= 0x477ff000) {
        h = 0x7c00; /* 65520 and above round to infinity */
    } else if (rest < 0x38800000) {
        /* Below 2^-14: adding 0.5 leaves a multiple of 2^-24, the subnormal step, rounded to
         * even. */
        h = float_bits(bits_float(rest) + 0.5f) - float_bits(0.5f);
    } else {
        h = (rest + 0xfff + (rest >> 13 & 1) - 0x38000000) >> 13;
    }
    return (uint16_t)(sign | h);
}
