/* q8.h: int8 numbers with one scale for each group of 32 along k, and how they lie in memory.
 *
 * Weights are Q8_0 as in GGUF: w[row][k] = scale[row][k / 32] * q[row][k], q in -128..127,
 * scale f16. Activations are quantised when they are used, one row (token) and group at a time:
 *
 *     amax = max |x|,  scale = amax / 127,  q = round to nearest even(x * (127 / amax))
 *
 * so |q| <= 127. A group with amax < 2^-100 has scale 0 and q = 0. A group that holds an
 * infinity or a NaN has scale NaN and q = 0, so that what went wrong shows in the output and is
 * not hidden by an integer.
 *
 * The product is, bit for bit on every instruction set:
 *
 *     acc = 0.0f
 *     for g = 0, 1, ..., k / 32 - 1:
 *         isum = sum over the 32 of xq * wq                      exact, |isum| <= 520192
 *         acc  = fmaf((float)isum, x_scale[g] * w_scale[g], acc)
 *     y[row][n] = acc
 *
 * with the product of the two scales rounded to float before it is used, so that an output
 * depends on its own row of x and row of w alone: not on how many rows are in the batch, nor on
 * tiles, nor on threads.
 *
 * Packed weights: 16 rows of w make a tile. For each group a tile holds 8 times 64 bytes; 64
 * bytes are 16 rows times 4 consecutive k, what vpdpbusd, sdot and the AMX tile instructions
 * take at a time. Then come the tile's scales, 16 f16 for each group. Rows after the last are
 * zeros.
 *
 *     tile t at data + t * tile_bytes:
 *         int8_t q[k / 32][8][16][4];  uint16_t scale[k / 32][16];  zeros to a multiple of 64
 *
 * That is 1.0625 bytes a weight, read front to back once for each token. Instructions that
 * multiply unsigned by signed bytes take q + 128 (the sign bit flipped in a register) and start
 * their sums at q8_acts.correction, since sum of xq * (wq + 128) = isum + 128 * sum of xq.
 *
 * Nothing here allocates, opens files or makes text. Threads: no state; distinct outputs may be
 * written at the same time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define Q8_GROUP       32 /* numbers that share a scale */
#define Q8_TILE        16 /* output rows in a tile */
#define Q8_BLOCK_BYTES 34 /* a Q8_0 block in a file: f16 scale, then 32 int8 */
#define Q8_ALIGN       64 /* alignment of packed weights and of activations */
#define Q8_PANEL_ROWS  6

/* A matrix of weights, [n][k] row-major, packed. Immutable once filled. */
struct q8_packed {
    const uint8_t *data; /* borrowed, Q8_ALIGN-aligned, q8_packed_bytes(n, k) bytes */
    size_t n;            /* output rows, > 0 */
    size_t k;            /* inputs, > 0, a multiple of Q8_GROUP */
    size_t tile_bytes;   /* bytes from one tile to the next */
};

/* One group of up to six rows, as a kernel reads them that takes six at a time: four cache
 * lines that follow one another from group to group. */
struct q8_panel_group {
    int8_t q[Q8_PANEL_ROWS][Q8_GROUP];
    float scale[Q8_PANEL_ROWS];
    int32_t correction[Q8_PANEL_ROWS];
    uint8_t unused[16];
};

/* Rows of quantised activations, in one block of the caller's: three arrays, or panels of six
 * rows (a micro-panel of the left matrix, in the words of Goto and van de Geijn, "Anatomy of
 * High-Performance Matrix Multiplication", 2008). Read and write single groups by q8_acts_at,
 * which knows either. */
struct q8_acts {
    size_t rows, k;
    size_t q_stride; /* bytes from one row to the next: an odd number of cache lines, so that
                        the same column of many rows does not fall into the same cache set */
    size_t groups;   /* k / 32 */
    int8_t *q;       /* [rows][q_stride], where the block begins */
    float *scale;    /* [rows][groups] */
    int32_t *correction;           /* [rows][groups]: -128 * sum of the group's q */
    struct q8_panel_group *panels; /* [rows / 6, rounded up][groups]; NULL: the arrays */
};

/* Where a row's group is. */
struct q8_acts_group {
    int8_t *q; /* [Q8_GROUP] */
    float *scale;
    int32_t *correction;
};

/* Sizes: 0 if k is not a positive multiple of Q8_GROUP or the size does not fit. */
size_t q8_packed_bytes(size_t n, size_t k);
size_t q8_acts_bytes(size_t rows, size_t k);

/* Describe a block of that many bytes; nothing is written to it. */
void q8_packed_init(struct q8_packed *p, const void *block, size_t n, size_t k);
void q8_acts_init(struct q8_acts *a, void *block, size_t rows, size_t k);

/* From here on the rows lie in panels, or not; what they held is lost. After q8_acts_init they
 * do not. */
void q8_acts_arrange(struct q8_acts *a, bool in_panels);

/* *view shows the rows of a from `first` on; in panels that is a multiple of Q8_PANEL_ROWS. */
void q8_acts_from(struct q8_acts *view, const struct q8_acts *a, size_t first);

/* Row `to` of a becomes row `from` of another with the same k, however either is arranged. */
void q8_acts_copy(struct q8_acts *a, size_t to, const struct q8_acts *source, size_t from);

static inline struct q8_acts_group q8_acts_at(const struct q8_acts *a, size_t row, size_t g)
{
    if (a->panels) {
        struct q8_panel_group *p = &a->panels[row / Q8_PANEL_ROWS * a->groups + g];
        const size_t r = row % Q8_PANEL_ROWS;
        return (struct q8_acts_group){p->q[r], &p->scale[r], &p->correction[r]};
    }
    return (struct q8_acts_group){a->q + row * a->q_stride + g * Q8_GROUP,
                                  &a->scale[row * a->groups + g],
                                  &a->correction[row * a->groups + g]};
}

static inline size_t q8_tiles(const struct q8_packed *p)
{
    return (p->n + Q8_TILE - 1) / Q8_TILE;
}

/* Packs tiles [tile0, tile1) into `block` (the writable memory that p->data points to), so that
 * threads can share the work. Source: Q8_0 blocks as in a GGUF file, n rows of k / 32 blocks,
 * any alignment; or floats [n][k], quantised as q8_blocks_from_floats does. */
void q8_pack_blocks(void *block, const struct q8_packed *p, const void *blocks, size_t tile0,
                    size_t tile1);
void q8_pack_floats(void *block, const struct q8_packed *p, const float *w, size_t tile0,
                    size_t tile1);

/* Quantises `count` floats (a multiple of 32) to Q8_0 blocks of Q8_BLOCK_BYTES, as a file has
 * them: like activations, with the scale rounded to f16 afterwards. */
void q8_blocks_from_floats(void *blocks, const float *x, size_t count);

/* Row `row` of the packed matrix as k floats, scale * q each: an embedding look-up. */
void q8_packed_row(float *out, const struct q8_packed *p, size_t row);

/* IEEE 754 binary16 to and from binary32; to f16 rounds to nearest even, too large becomes
 * infinity. */
float q8_f16_to_f32(uint16_t h);
uint16_t q8_f32_to_f16(float f);
