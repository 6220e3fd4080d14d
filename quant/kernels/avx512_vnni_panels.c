/* avx512_vnni_panels.c: many rows, which lie in panels of six (q8.h), times weights with
 * vpdpbusd, as in avx512_vnni.c.
 *
 * A block of groups of a pair of tiles stays in the second-level cache while the panels pass
 * by, four at a time; those take one slice of it after the other, short enough for the
 * first-level cache, so that a slice comes from the second once for four panels. Meanwhile the
 * next block is fetched from memory. Sums wait in a small array from one slice to the next,
 * and in y from one block to the next; a float in memory is the same float.
 *
 * Weights are used as they lie: flipping their signs and widening their scales is for
 * instructions that the ports of the multiplies are not needed for.
 */
#include <stdbool.h>

#include "quant/kernels/avx512.h"
#include "quant/kernels/kernels.h"

#define ROWS  VNNI_ROWS
#define TILES VNNI_TILES
_Static_assert(ROWS == Q8_PANEL_ROWS, "a panel is what the registers take");

#define K_BLOCK  96 /* groups in a block, at most: 102 KiB */
#define K_SLICE  20 /* and in a slice: 21 KiB */
#define TOGETHER 4  /* panels that share what they take from the second-level cache */

/* Sums of a panel: row r, output j of the first tile at [r * stride + j]. NULL: zeros. */
struct sums_at {
    float *at;
    size_t stride;
};

/* Where the groups of a slice are. */
struct weights {
    const uint8_t *q[TILES], *scale[TILES];
};

/* What is fetched meanwhile: so many bytes of each tile with every group, so many times. */
struct ahead {
    const uint8_t *q[TILES];
    size_t bytes; /* a multiple of 64 */
    size_t steps;
};

struct product {
    const struct q8_acts *x;
    const struct q8_packed *w;
    float *y;
    size_t y_stride, m;
    size_t tile0, tile1;
};

/* Groups [g0, g1) of one or two tiles, and the outputs that those have. */
struct block {
    size_t tile, n_tiles;
    size_t g0, g1;
    __mmask16 mask[TILES];
};

/* The heart: n_rows rows of a panel times n_tiles tiles, both constant where this is inlined.
 */
ALWAYS_INLINE void add_products(const int n_rows, const int n_tiles,
                                const struct q8_panel_group *x, const struct weights *w,
                                size_t n_groups, struct sums_at from, struct sums_at to,
                                const __mmask16 *mask, struct ahead *ahead)
{
    const size_t steps = min_size(n_groups, ahead->steps), bytes = ahead->bytes;
    __m512 acc[ROWS][TILES];
    for (int r = 0; r < n_rows; r++) {
        for (int t = 0; t < n_tiles; t++) {
            acc[r][t] = _mm512_setzero_ps();
            if (from.at) {
                acc[r][t] = _mm512_maskz_loadu_ps(mask[t], from.at + (size_t)r * from.stride +
                                                               t * Q8_TILE);
            }
        }
    }
    for (size_t g = 0; g < n_groups; g++, x++) {
        __m512i isum[ROWS][TILES];
        for (int r = 0; r < n_rows; r++) {
            for (int t = 0; t < n_tiles; t++) {
                isum[r][t] = _mm512_set1_epi32(x->correction[r]);
            }
        }
        for (size_t i = 0; i < bytes && g < steps; i += 64) {
            for (int t = 0; t < n_tiles; t++) {
                _mm_prefetch((const char *)ahead->q[t] + g * bytes + i, _MM_HINT_T0);
            }
        }
        vnni_group(isum, n_rows, n_tiles, x->q[0], Q8_GROUP, w->q, g);
        for (int t = 0; t < n_tiles; t++) {
            const __m512 ws = load_scales(w->scale[t], g);
            for (int r = 0; r < n_rows; r++) {
                acc[r][t] = accumulate(acc[r][t], isum[r][t], x->scale[r], ws);
            }
        }
    }
    for (int r = 0; r < n_rows; r++) {
        for (int t = 0; t < n_tiles; t++) {
            _mm512_mask_storeu_ps(to.at + (size_t)r * to.stride + t * Q8_TILE, mask[t],
                                  acc[r][t]);
        }
    }
    for (int t = 0; t < n_tiles; t++) {
        ahead->q[t] += steps * bytes;
    }
    ahead->steps -= steps;
}

#define ROWS_CASE(rows, tiles)                                            \
    case rows:                                                            \
        add_products(rows, tiles, x, w, n_groups, from, to, mask, ahead); \
        break;
#define ROWS_CASES(tiles)   \
    switch (n_rows) {       \
        ROWS_CASE(1, tiles) \
        ROWS_CASE(2, tiles) \
        ROWS_CASE(3, tiles) \
        ROWS_CASE(4, tiles) \
        ROWS_CASE(5, tiles) \
        ROWS_CASE(6, tiles) \
    }

static void add_products_of(size_t n_rows, size_t n_tiles, const struct q8_panel_group *x,
                            const struct weights *w, size_t n_groups, struct sums_at from,
                            struct sums_at to, const __mmask16 *mask, struct ahead *ahead)
{
    if (n_tiles == 1) {
        ROWS_CASES(1)
    } else {
        ROWS_CASES(2)
    }
}

static struct weights weights_from(const struct product *p, const struct block *b, size_t g)
{
    struct weights w = {0};
    for (size_t t = 0; t < b->n_tiles; t++) {
        const uint8_t *tile = p->w->data + (b->tile + t) * p->w->tile_bytes;
        w.q[t] = tile + g * GROUP_Q_BYTES;
        w.scale[t] = tile_scales(tile, p->x->groups) + g * Q8_TILE * 2;
    }
    return w;
}

/* The block behind b: the next groups of its tiles, or the first ones of the next tiles. The
 * scales, which are few, are fetched at once. */
static struct ahead look_ahead(const struct product *p, const struct block *b)
{
    const size_t groups = p->x->groups, g = b->g1 < groups ? b->g1 : 0;
    const size_t tile = g > 0 ? b->tile : b->tile + TILES;
    const size_t n_groups = min_size(b->g1 - b->g0, groups - g);
    const size_t lines = GROUP_Q_BYTES / 64, n_panels = (p->m + ROWS - 1) / ROWS;
    struct ahead ahead = {.bytes = (lines + n_panels - 1) / n_panels * 64};
    for (size_t t = 0; t < TILES; t++) {
        /* Where there is one tile more, it is fetched twice; where there is none, nothing. */
        const size_t at = min_size(tile + t, p->tile1 - 1);
        const uint8_t *data = p->w->data + at * p->w->tile_bytes;
        const uint8_t *scales = tile_scales(data, groups) + g * Q8_TILE * 2;
        for (size_t i = 0; i < n_groups * Q8_TILE * 2; i += 64) {
            _mm_prefetch((const char *)scales + i, _MM_HINT_T1);
        }
        ahead.q[t] = data + g * GROUP_Q_BYTES;
    }
    if (tile < p->tile1) {
        ahead.steps = n_groups * GROUP_Q_BYTES / ahead.bytes;
    }
    return ahead;
}

/* Panels [p0, p1), at most TOGETHER, times a block. */
static void multiply_panels(const struct product *p, const struct block *b, size_t p0,
                            size_t p1, struct ahead *ahead)
{
    const size_t n_groups = b->g1 - b->g0, slices = (n_groups + K_SLICE - 1) / K_SLICE;
    const struct sums_at zeros = {0};
    _Alignas(64) float waiting[TOGETHER][ROWS * TILES * Q8_TILE];
    for (size_t s = 0; s < slices; s++) {
        const size_t g0 = b->g0 + share_start(n_groups, slices, s);
        const size_t g1 = b->g0 + share_start(n_groups, slices, s + 1);
        const struct weights w = weights_from(p, b, g0);
        for (size_t i = p0; i < p1; i++) {
            const struct sums_at between = {waiting[i - p0], TILES * Q8_TILE};
            const struct sums_at out = {p->y + i * ROWS * p->y_stride + b->tile * Q8_TILE,
                                        p->y_stride};
            const struct sums_at before = b->g0 == 0 ? zeros : out;
            add_products_of(min_size(ROWS, p->m - i * ROWS), b->n_tiles,
                            p->x->panels + i * p->x->groups + g0, &w, g1 - g0,
                            s == 0 ? before : between, s + 1 == slices ? out : between, b->mask,
                            ahead);
        }
    }
}

static void multiply_block(const struct product *p, const struct block *b)
{
    const size_t n_panels = (p->m + ROWS - 1) / ROWS;
    struct ahead ahead = look_ahead(p, b);
    for (size_t i = 0; i < n_panels; i += TOGETHER) {
        multiply_panels(p, b, i, min_size(i + TOGETHER, n_panels), &ahead);
    }
}

void q8_avx512_vnni_panels(float *y, size_t y_stride, const struct q8_acts *x, size_t m,
                           const struct q8_packed *w, size_t tile0, size_t tile1)
{
    const struct product p = {x, w, y, y_stride, m, tile0, tile1};
    const size_t blocks = (x->groups + K_BLOCK - 1) / K_BLOCK;
    for (size_t t = tile0; t < tile1; t += TILES) {
        struct block b = {.tile = t, .n_tiles = t + 1 < tile1 ? TILES : 1};
        for (size_t i = 0; i < b.n_tiles; i++) {
            b.mask[i] = tile_mask(w, t + i);
        }
        for (size_t i = 0; i < blocks; i++) {
            b.g0 = share_start(x->groups, blocks, i);
            b.g1 = share_start(x->groups, blocks, i + 1);
            multiply_block(&p, &b);
        }
    }
}
