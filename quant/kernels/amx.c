/* amx.c: tile instructions. A tile of weights is taken as it lies in memory: 8 rows of 64
 * bytes, which are 16 outputs by 32 k; up to 16 rows of activations by two such tiles are
 * multiplied at a time.
 *
 * A group of 32 is one multiplication, 16 cycles; then its integer sums leave for memory, and
 * registers fetch them to convert, scale and add up. That second half takes longer than the
 * first, and a tilestored takes 16 cycles whatever its rows, so full tiles pay most. The tiles
 * work two groups ahead of the registers: a tile is stored a whole group after its
 * multiplication began, when it is ready.
 */
#include <string.h>

#include "quant/cpu.h"
#include "quant/kernels/avx512.h"
#include "quant/kernels/kernels.h"

#define ROWS  16
#define TILES 2

/* Fewer rows than this are left to vpdpbusd. */
#define ROWS_MIN 3

/* How far ahead of the tile loads weights are prefetched when they are read for the first time:
 * the hardware's own prefetching stops at each page. */
#define PREFETCH_BYTES 4096

/* The operand of ldtilecfg, palette 1. */
struct tile_config {
    uint8_t palette;
    uint8_t start_row;
    uint8_t reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* Tile registers 0 to 3 are sums (of even groups in 0 and 1, of odd ones in 2 and 3), 4
 * activations, 5 and 6 weights. */
static void configure(size_t n_rows)
{
    struct tile_config c;
    memset(&c, 0, sizeof(c));
    c.palette = 1;
    for (int i = 0; i < 7; i++) {
        c.row_bytes[i] = 64;
        c.rows[i] = (uint8_t)n_rows;
    }
    c.row_bytes[4] = Q8_GROUP;
    c.rows[5] = c.rows[6] = Q8_GROUP / 4;
    /* The intrinsic tells the compiler of the first bytes alone. */
    __asm__ volatile("" : : "r"(&c) : "memory");
    _tile_loadconfig(&c);
}

/* A chunk of rows and two tiles of weights. */
struct region {
    const struct q8_acts *x;
    float *y;
    size_t y_stride;
    size_t row;
    size_t tile;
    const uint8_t *q[TILES];
    const uint8_t *scale[TILES];
    __mmask16 mask[TILES];
    int first; /* the weights come from memory */
};

/* Integer sums of a group, as tilestored leaves them. */
struct group_sums {
    int32_t tile[TILES][ROWS][Q8_TILE];
};

/* Multiplies group g into tile registers c0 and c1, which are constants in the instructions. */
#define MULTIPLY(c0, c1)                                     \
    do {                                                     \
        _tile_loadd(4, xq, a->x->q_stride);                  \
        _tile_loadd(5, a->q[0] + g * GROUP_Q_BYTES, 64);     \
        _tile_zero(c0);                                      \
        _tile_dpbssd(c0, 4, 5);                              \
        if (n_tiles == 2) {                                  \
            _tile_loadd(6, a->q[1] + g * GROUP_Q_BYTES, 64); \
            _tile_zero(c1);                                  \
            _tile_dpbssd(c1, 4, 6);                          \
        }                                                    \
    } while (0)

#define STORE(c0, c1)                         \
    do {                                      \
        _tile_stored(c0, s->tile[0], 64);     \
        if (n_tiles == 2)                     \
            _tile_stored(c1, s->tile[1], 64); \
    } while (0)

ALWAYS_INLINE void multiply(const int odd, const int n_tiles, const struct region *a, size_t g)
{
    const int8_t *xq = a->x->q + a->row * a->x->q_stride + g * Q8_GROUP;
    if (a->first) {
        for (int t = 0; t < n_tiles; t++) {
            const uint8_t *next = a->q[t] + g * GROUP_Q_BYTES + PREFETCH_BYTES;
            for (size_t p = 0; p < GROUP_Q_BYTES; p += 64) {
                _mm_prefetch((const char *)next + p, _MM_HINT_T0);
            }
        }
    }
    if (odd) {
        MULTIPLY(2, 3);
    } else {
        MULTIPLY(0, 1);
    }
}

ALWAYS_INLINE void store(struct group_sums *s, const int odd, const int n_tiles)
{
    if (odd) {
        STORE(2, 3);
    } else {
        STORE(0, 1);
    }
}

ALWAYS_INLINE void add_group(__m512 (*acc)[TILES], const int n_rows, const int n_tiles,
                             const struct region *a, const struct group_sums *s, size_t g)
{
    const size_t groups = a->x->groups;
    const float *xs = a->x->scale + a->row * groups + g;
    __m512 ws[TILES];
    for (int t = 0; t < n_tiles; t++) {
        ws[t] = load_scales(a->scale[t], g);
    }
    for (int r = 0; r < n_rows; r++) {
        for (int t = 0; t < n_tiles; t++) {
            acc[r][t] = accumulate(acc[r][t], _mm512_load_si512(s->tile[t][r]),
                                   xs[(size_t)r * groups], ws[t]);
        }
    }
}

/* n_rows and n_tiles are constant where this is inlined. */
ALWAYS_INLINE void sums(const int n_rows, const int n_tiles, const struct region *a)
{
    const size_t groups = a->x->groups;
    float *y = a->y + a->row * a->y_stride + a->tile * Q8_TILE;
    struct group_sums even __attribute__((aligned(64)));
    struct group_sums odd __attribute__((aligned(64)));
    __m512 acc[ROWS][TILES];

    for (int r = 0; r < n_rows; r++) {
        for (int t = 0; t < n_tiles; t++) {
            acc[r][t] = _mm512_setzero_ps();
        }
    }
    multiply(0, n_tiles, a, 0);
    if (groups > 1) {
        multiply(1, n_tiles, a, 1);
    }
    size_t g = 0;
    for (; g + 1 < groups; g += 2) {
        store(&even, 0, n_tiles);
        if (g + 2 < groups) {
            multiply(0, n_tiles, a, g + 2);
        }
        store(&odd, 1, n_tiles);
        if (g + 3 < groups) {
            multiply(1, n_tiles, a, g + 3);
        }
        add_group(acc, n_rows, n_tiles, a, &even, g);
        add_group(acc, n_rows, n_tiles, a, &odd, g + 1);
    }
    if (g < groups) {
        store(&even, 0, n_tiles);
        add_group(acc, n_rows, n_tiles, a, &even, g);
    }
    for (int r = 0; r < n_rows; r++) {
        for (int t = 0; t < n_tiles; t++) {
            _mm512_mask_storeu_ps(y + (size_t)r * a->y_stride + t * Q8_TILE, a->mask[t],
                                  acc[r][t]);
        }
    }
}

#define SUMS_CASE(rows, tiles) \
    case rows:                 \
        sums(rows, tiles, a);  \
        break;
#define SUMS_CASES(tiles)    \
    switch (n_rows) {        \
        SUMS_CASE(1, tiles)  \
        SUMS_CASE(2, tiles)  \
        SUMS_CASE(3, tiles)  \
        SUMS_CASE(4, tiles)  \
        SUMS_CASE(5, tiles)  \
        SUMS_CASE(6, tiles)  \
        SUMS_CASE(7, tiles)  \
        SUMS_CASE(8, tiles)  \
        SUMS_CASE(9, tiles)  \
        SUMS_CASE(10, tiles) \
        SUMS_CASE(11, tiles) \
        SUMS_CASE(12, tiles) \
        SUMS_CASE(13, tiles) \
        SUMS_CASE(14, tiles) \
        SUMS_CASE(15, tiles) \
        SUMS_CASE(16, tiles) \
    }

static void sums_for(size_t n_rows, size_t n_tiles, const struct region *a)
{
    if (n_tiles == 1) {
        SUMS_CASES(1)
    } else {
        SUMS_CASES(2)
    }
}

/* Rows [m0, m1) times the tiles of *a. */
static void matmul_tiles(struct region *a, size_t n_tiles, size_t m0, size_t m1,
                         size_t *configured_rows)
{
    const size_t chunks = (m1 - m0 + ROWS - 1) / ROWS;
    for (size_t c = 0; c < chunks; c++) {
        a->first = c == 0;
        a->row = m0 + share_start(m1 - m0, chunks, c);
        const size_t n_rows = m0 + share_start(m1 - m0, chunks, c + 1) - a->row;
        if (n_rows != *configured_rows) {
            configure(n_rows);
            *configured_rows = n_rows;
        }
        sums_for(n_rows, n_tiles, a);
    }
}

static void matmul(float *y, size_t y_stride, const struct q8_acts *x, size_t m,
                   const struct q8_packed *w, size_t tile0, size_t tile1)
{
    if (m < ROWS_MIN) {
        q8_avx512_vnni_matmul(y, y_stride, x, m, w, tile0, tile1);
        return;
    }
    const size_t block = m_block_rows(x, ROWS);
    struct region a = {.x = x, .y = y, .y_stride = y_stride};
    size_t configured_rows = 0;
    for (size_t m0 = 0; m0 < m; m0 += block) {
        for (size_t t = tile0; t < tile1; t += TILES) {
            const size_t n_tiles = t + 1 < tile1 ? TILES : 1;
            a.tile = t;
            for (size_t i = 0; i < n_tiles; i++) {
                a.mask[i] = tile_mask(w, t + i);
                a.q[i] = w->data + (t + i) * w->tile_bytes;
                a.scale[i] = tile_scales(a.q[i], x->groups);
            }
            matmul_tiles(&a, n_tiles, m0, min_size(m0 + block, m), &configured_rows);
        }
    }
    _tile_release();
}

/* Four sums of full tiles, 16 by 16 by 64. */
static uint64_t spin_peak(uint64_t rounds)
{
    struct tile_config c;
    memset(&c, 0, sizeof(c));
    c.palette = 1;
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = 64;
        c.rows[i] = 16;
    }
    __asm__ volatile("" : : "r"(&c) : "memory");
    _tile_loadconfig(&c);
    for (uint64_t i = 0; i < rounds; i++) {
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    _tile_release();
    return rounds * 4 * 16 * 16 * 64 * 2;
}

const struct q8_kernel q8_kernel_amx = {
    .name = "amx",
    .needs = CPU_AVX2 | CPU_AVX512 | CPU_AVX512_VNNI | CPU_AMX_INT8,
    .quantize = q8_avx512_quantize,
    .matmul = matmul,
    .spin_peak = spin_peak,
};
