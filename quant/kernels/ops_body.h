/* ops_body.h: the operations of ops.h over lanes.h, compiled once for each instruction set. The
 * file that includes it defines, before:
 *
 *     OPS_TABLE, OPS_NAME, OPS_NEEDS
 *     ATTEND_TOGETHER    queries that share a pass over keys and values, 16 sums each
 *     ATTEND_SUMS        sixteens of sums that registers hold beside what is multiplied
 *     LOW_RANK_ABREAST   see ops_low_rank.h
 */
#include <stdbool.h>

#include "quant/cpu.h"
#include "quant/kernels/kernels.h"
#include "quant/kernels/lanes.h"
#include "quant/kernels/ops_low_rank.h"

/* Query vectors that go through keys and values together. Scratch holds a row of scores for
 * each. */
#define QUERIES 8

/* --- exp --- */

/* Below ln(2^-126) the result would be subnormal and is 0; above 89 it is infinite. */
#define EXP_MIN (-0x1.5d58ap+6f)
#define EXP_MAX 89.0f

/* e^x = 2^n * e^r with n = round(x / ln 2), |r| <= ln 2 / 2, and e^r = 1 + r + r^2 * q(r),
 * where q is the polynomial of degree 4 with the least greatest relative error of the whole
 * (found with Remez' algorithm, 3.1e-9). ln 2 is taken off in two parts, each product exact in
 * the multiply-add. */
ALWAYS_INLINE struct lanes lanes_exp(struct lanes x)
{
    const float rounder = 0x1.8p23f; /* adding it rounds to an integer, in the low bits */
    int32_t rounder_bits;
    memcpy(&rounder_bits, &rounder, 4);
    const struct lanes limited = lanes_min(lanes_set(EXP_MAX), x);
    const struct lanes shifted =
        lanes_fma(limited, lanes_set(0x1.715476p+0f), lanes_set(rounder));
    const struct lanes n = lanes_sub(shifted, lanes_set(rounder));
    struct lanes r = lanes_fma(n, lanes_set(-0x1.62e43p-1f), limited);
    r = lanes_fma(n, lanes_set(0x1.05c61p-29f), r);

    struct lanes q = lanes_set(0x1.6a23dp-10f);
    q = lanes_fma(q, r, lanes_set(0x1.123a2p-7f));
    q = lanes_fma(q, r, lanes_set(0x1.5558f2p-5f));
    q = lanes_fma(q, r, lanes_set(0x1.555492p-3f));
    q = lanes_fma(q, r, lanes_set(0x1.fffffcp-2f));
    const struct lanes tail = lanes_fma(lanes_mul(r, r), q, r);
    const struct lanes e = lanes_add(tail, lanes_set(1.0f));
    return lanes_zero_below(lanes_scale(e, shifted, rounder_bits), x, EXP_MIN);
}

static void exp_all(float *out, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes_store(out + i, lanes_exp(lanes_load(x + i)));
    }
    if (i < n) {
        lanes_store_part(out + i, n - i, lanes_exp(lanes_load_part(x + i, n - i, 0.0f)));
    }
}

/* --- vectors --- */

static float dot(const float *a, const float *b, size_t n)
{
    struct lanes sum = lanes_set(0.0f);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        sum = lanes_fma(lanes_load(a + i), lanes_load(b + i), sum);
    }
    if (i < n) {
        sum = lanes_fma(lanes_load_part(a + i, n - i, 0.0f),
                        lanes_load_part(b + i, n - i, 0.0f), sum);
    }
    return lanes_sum(sum);
}

static void rmsnorm(float *y, const float *x, const float *weight, float eps, size_t n)
{
    const float scale = 1.0f / sqrtf(dot(x, x, n) / (float)n + eps);
    const struct lanes s = lanes_set(scale);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes_store(y + i, lanes_mul(lanes_mul(lanes_load(x + i), s), lanes_load(weight + i)));
    }
    for (; i < n; i++) {
        y[i] = x[i] * scale * weight[i];
    }
}

/* Sum of (x - mean)^2. */
static float squared_deviations(const float *x, float mean, size_t n)
{
    const struct lanes m = lanes_set(mean);
    struct lanes sum = lanes_set(0.0f);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const struct lanes away = lanes_sub(lanes_load(x + i), m);
        sum = lanes_fma(away, away, sum);
    }
    if (i < n) {
        const struct lanes away = lanes_sub(lanes_load_part(x + i, n - i, mean), m);
        sum = lanes_fma(away, away, sum);
    }
    return lanes_sum(sum);
}

static float sum_of(const float *x, size_t n)
{
    struct lanes sum = lanes_set(0.0f);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        sum = lanes_add(sum, lanes_load(x + i));
    }
    if (i < n) {
        sum = lanes_add(sum, lanes_load_part(x + i, n - i, 0.0f));
    }
    return lanes_sum(sum);
}

static void layernorm(float *y, const float *x, const float *weight, const float *bias,
                      float eps, size_t n)
{
    const float mean = sum_of(x, n) / (float)n;
    const float scale = 1.0f / sqrtf(squared_deviations(x, mean, n) / (float)n + eps);
    const struct lanes m = lanes_set(mean), s = lanes_set(scale);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const struct lanes unit = lanes_mul(lanes_sub(lanes_load(x + i), m), s);
        lanes_store(y + i, lanes_fma(unit, lanes_load(weight + i), lanes_load(bias + i)));
    }
    for (; i < n; i++) {
        y[i] = fmaf((x[i] - mean) * scale, weight[i], bias[i]);
    }
}

static void rope(float *x, size_t n_heads, size_t head_dim, const float *cos, const float *sin)
{
    for (size_t h = 0; h < n_heads; h++, x += head_dim) {
        for (size_t i = 0; i < head_dim / 2; i++) {
            const float a = x[2 * i], b = x[2 * i + 1];
            x[2 * i] = fmaf(a, cos[i], -(b * sin[i]));
            x[2 * i + 1] = fmaf(a, sin[i], b * cos[i]);
        }
    }
}

/* tanh x = 1 - 2 / (e^2x + 1), to about 1e-7 absolutely. */
ALWAYS_INLINE struct lanes lanes_tanh(struct lanes x)
{
    const struct lanes e = lanes_exp(lanes_add(x, x));
    const struct lanes part = lanes_div(lanes_set(2.0f), lanes_add(e, lanes_set(1.0f)));
    return lanes_sub(lanes_set(1.0f), part);
}

ALWAYS_INLINE struct lanes softcap_lanes(struct lanes x, struct lanes cap)
{
    return lanes_mul(cap, lanes_tanh(lanes_div(x, cap)));
}

static void softcap(float *x, float cap, size_t n)
{
    const struct lanes c = lanes_set(cap);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes_store(x + i, softcap_lanes(lanes_load(x + i), c));
    }
    if (i < n) {
        lanes_store_part(x + i, n - i, softcap_lanes(lanes_load_part(x + i, n - i, 0.0f), c));
    }
}

ALWAYS_INLINE void multiply(float *x, struct lanes by, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes_store(x + i, lanes_mul(lanes_load(x + i), by));
    }
    if (i < n) {
        lanes_store_part(x + i, n - i, lanes_mul(lanes_load_part(x + i, n - i, 0.0f), by));
    }
}

static void scale(float *x, float by, size_t n)
{
    multiply(x, lanes_set(by), n);
}

/* gelu(x) = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) */
ALWAYS_INLINE struct lanes gelu_mul_lanes(struct lanes gate, struct lanes up)
{
    const struct lanes cubic = lanes_mul(lanes_mul(gate, gate), lanes_set(0.044715f));
    const struct lanes inner =
        lanes_mul(lanes_fma(cubic, gate, gate), lanes_set(0.7978845608028654f));
    const struct lanes half = lanes_mul(gate, lanes_set(0.5f));
    return lanes_mul(lanes_fma(half, lanes_tanh(inner), half), up);
}

ALWAYS_INLINE struct lanes silu_mul_lanes(struct lanes gate, struct lanes up)
{
    const struct lanes e = lanes_exp(lanes_sub(lanes_set(0.0f), gate));
    return lanes_mul(lanes_div(gate, lanes_add(lanes_set(1.0f), e)), up);
}

/* y = f(gate, up) over rows of any length. */
#define GATED(name, f)                                                                  \
    static void name(float *y, const float *gate, const float *up, size_t n)            \
    {                                                                                   \
        size_t i = 0;                                                                   \
        for (; i + LANES <= n; i += LANES) {                                            \
            lanes_store(y + i, f(lanes_load(gate + i), lanes_load(up + i)));            \
        }                                                                               \
        if (i < n) {                                                                    \
            const struct lanes g = lanes_load_part(gate + i, n - i, 0.0f);              \
            lanes_store_part(y + i, n - i, f(g, lanes_load_part(up + i, n - i, 0.0f))); \
        }                                                                               \
    }
GATED(silu_mul, silu_mul_lanes)
GATED(gelu_mul, gelu_mul_lanes)
#undef GATED

static void gelu(float *x, size_t n)
{
    const struct lanes one = lanes_set(1.0f);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes_store(x + i, gelu_mul_lanes(lanes_load(x + i), one));
    }
    if (i < n) {
        lanes_store_part(x + i, n - i,
                         gelu_mul_lanes(lanes_load_part(x + i, n - i, 0.0f), one));
    }
}

static void add(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes_store(y + i, lanes_add(lanes_load(y + i), lanes_load(x + i)));
    }
    for (; i < n; i++) {
        y[i] += x[i];
    }
}

/* The greatest, NaNs left out. */
static float greatest(const float *x, size_t n)
{
    struct lanes max = lanes_set(-INFINITY);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        max = lanes_max(lanes_load(x + i), max);
    }
    if (i < n) {
        max = lanes_max(lanes_load_part(x + i, n - i, -INFINITY), max);
    }
    return lanes_greatest(max);
}

static size_t argmax(const float *x, size_t n)
{
    const float max = greatest(x, n);
    for (size_t i = 0; i < n; i++) {
        if (x[i] == max) {
            return i;
        }
    }
    return 0;
}

/* x = exp(x - max); the sum, in lanes. */
ALWAYS_INLINE struct lanes exp_below(float *x, size_t n, struct lanes max)
{
    struct lanes sum = lanes_set(0.0f);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const struct lanes e = lanes_exp(lanes_sub(lanes_load(x + i), max));
        lanes_store(x + i, e);
        sum = lanes_add(sum, e);
    }
    if (i < n) {
        /* exp(-infinity) = 0 in the lanes after the end */
        const struct lanes part = lanes_load_part(x + i, n - i, -INFINITY);
        const struct lanes e = lanes_exp(lanes_sub(part, max));
        lanes_store_part(x + i, n - i, e);
        sum = lanes_add(sum, e);
    }
    return sum;
}

/* Softmax of up to QUERIES rows, step by step through all of them: a step of one row does not
 * wait for the step before, which ends in a sum across lanes. */
static void softmax_rows(float *const *x, const size_t *n, const size_t n_rows)
{
    struct lanes across[QUERIES];
    for (size_t r = 0; r < n_rows; r++) {
        across[r] = lanes_set(greatest(x[r], n[r]));
    }
    for (size_t r = 0; r < n_rows; r++) {
        across[r] = exp_below(x[r], n[r], across[r]);
    }
    for (size_t r = 0; r < n_rows; r++) {
        across[r] = lanes_set(1.0f / lanes_sum(across[r]));
    }
    for (size_t r = 0; r < n_rows; r++) {
        multiply(x[r], across[r], n[r]);
    }
}

static void softmax(float *x, size_t n)
{
    softmax_rows(&x, &n, 1);
}

/* --- keys and values --- */

ALWAYS_INLINE size_t element_bytes(enum ops_type type)
{
    switch (type) {
    case OPS_I8:
        return 1;
    case OPS_F16:
        return 2;
    case OPS_F32:
        break;
    }
    return 4;
}

/* The element `offset` of the page that holds a position. */
ALWAYS_INLINE char *page_at(const struct ops_kv *kv, size_t position, size_t offset)
{
    char *page = kv->pages[position / kv->page_positions];
    return page + offset * element_bytes(kv->type);
}

ALWAYS_INLINE char *key_block(const struct ops_kv *kv, size_t position)
{
    const size_t i = position % kv->page_positions / OPS_KV_BLOCK * OPS_KV_BLOCK;
    return page_at(kv, position, kv->k_offset + i * ops_kv_row(kv->head_dim));
}

ALWAYS_INLINE char *value_row(const struct ops_kv *kv, size_t position)
{
    const size_t i = position % kv->page_positions;
    return page_at(kv, position, kv->v_offset + i * ops_kv_row(kv->head_dim));
}

/* Scales of OPS_I8, from a position on to the end of its page. */
ALWAYS_INLINE float *scales_at(const struct ops_kv *kv, size_t position, size_t offset)
{
    float *page = kv->pages[position / kv->page_positions];
    return page + offset + position % kv->page_positions;
}

#define I8_MAX 127.0f

/* x[n] as integers at out[0], out[stride], ...; returns the scale. */
static float quantize_i8(char *out, size_t stride, const float *x, size_t n)
{
    float greatest = 0.0f;
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        finite &= isfinite(x[i]) != 0;
        greatest = fabsf(x[i]) > greatest ? fabsf(x[i]) : greatest;
    }
    const float scale = finite ? greatest / I8_MAX : NAN;
    for (size_t i = 0; i < n; i++) {
        /* A greatest number so small that its scale is subnormal would not stay within range.
         */
        const float q = scale > 0.0f ? nearbyintf(x[i] / scale) : 0.0f;
        const float limited = q > I8_MAX ? I8_MAX : (q < -I8_MAX ? -I8_MAX : q);
        out[i * stride] = (char)(int8_t)limited;
    }
    return scale;
}

/* Values to consecutive f16, keys to every 16th. */
static void store_f16(uint16_t *key_at, uint16_t *value_at, const float *key,
                      const float *value, size_t head_dim)
{
    uint16_t halves[LANES];
    for (size_t d = 0; d < head_dim; d += LANES) {
        const size_t n = head_dim - d < LANES ? head_dim - d : LANES;
        lanes_store_f16(value_at + d, lanes_load_part(value + d, n, 0.0f));
        lanes_store_f16(halves, lanes_load_part(key + d, n, 0.0f));
        for (size_t i = 0; i < n; i++) {
            key_at[(d + i) * OPS_KV_BLOCK] = halves[i];
        }
    }
}

static void store_f32(float *key_at, float *value_at, const float *key, const float *value,
                      size_t head_dim)
{
    memcpy(value_at, value, head_dim * sizeof(*value));
    for (size_t d = 0; d < head_dim; d++) {
        key_at[d * OPS_KV_BLOCK] = key[d];
    }
}

static void kv_store(const struct ops_kv *kv, size_t position, const float *key,
                     const float *value)
{
    const size_t at = position % OPS_KV_BLOCK;
    char *k = key_block(kv, position) + at * element_bytes(kv->type);
    char *v = value_row(kv, position);
    switch (kv->type) {
    case OPS_I8:
        *scales_at(kv, position, kv->k_scale_offset) =
            quantize_i8(k, OPS_KV_BLOCK, key, kv->head_dim);
        *scales_at(kv, position, kv->v_scale_offset) = quantize_i8(v, 1, value, kv->head_dim);
        break;
    case OPS_F16:
        store_f16((uint16_t *)(void *)k, (uint16_t *)(void *)v, key, value, kv->head_dim);
        break;
    case OPS_F32:
        store_f32((float *)(void *)k, (float *)(void *)v, key, value, kv->head_dim);
        break;
    }
}

ALWAYS_INLINE struct lanes lanes_load_as(const char *p, enum ops_type type, size_t index)
{
    switch (type) {
    case OPS_I8:
        return lanes_load_i8((const int8_t *)(const void *)p + index);
    case OPS_F16:
        return lanes_load_f16((const uint16_t *)(const void *)p + index);
    case OPS_F32:
        break;
    }
    return lanes_load((const float *)(const void *)p + index);
}

/* --- attention --- */

/* The most sums side by side for one of them. */
#define ABREAST_MAX 4

/* Some queries of an ops_attention: vectors, places for results, positions seen, rows of
 * scores. */
struct queries {
    size_t count;
    const float *q[QUERIES];
    float *out[QUERIES];
    size_t begin[QUERIES]; /* the first position seen; ascending */
    size_t len[QUERIES];   /* behind the last one; ascending */
    float *score[QUERIES]; /* of position p at [p] */
    bool fetch_ahead;      /* keys and values come from memory */
};

/* Rows from which on keys and values are used so often that they are in a cache. */
#define CACHED_ROWS 8

/* What happens to a score before the softmax. */
struct scoring {
    struct lanes scale, softcap;
    bool capped;
};

static size_t round_to_block(size_t n)
{
    return (n + OPS_KV_BLOCK - 1) / OPS_KV_BLOCK * OPS_KV_BLOCK;
}

/* Sums side by side for each of `count` queries: as many as registers hold. One load of a
 * number of the query, or of its score, is then used that often. */
ALWAYS_INLINE size_t abreast(const size_t count)
{
    const size_t fit = ATTEND_SUMS / count;
    return fit < ABREAST_MAX ? fit : ABREAST_MAX;
}

/* How many calls of score_blocks ahead keys are fetched: pages are too short for the processor
 * to see where reading goes on. */
#define SCORES_AHEAD 2

/* Scores of `n_blocks` times 16 positions from p on for `count` queries; both and type are
 * constant where inlined. Positions end at `end`. */
ALWAYS_INLINE void score_blocks(const struct queries *s, size_t first, const size_t count,
                                const size_t n_blocks, const struct ops_kv *kv,
                                const enum ops_type type, size_t p, size_t end,
                                const struct scoring *how)
{
    const char *keys[ABREAST_MAX], *ahead[ABREAST_MAX];
    struct lanes sum[QUERIES][ABREAST_MAX];
    for (size_t b = 0; b < n_blocks; b++) {
        keys[b] = key_block(kv, p + b * OPS_KV_BLOCK);
        const size_t next = p + (SCORES_AHEAD * n_blocks + b) * OPS_KV_BLOCK;
        ahead[b] = next < end ? key_block(kv, next) : keys[b];
        for (size_t i = 0; i < count; i++) {
            sum[i][b] = lanes_set(0.0f);
        }
    }
    for (size_t d = 0; d < kv->head_dim; d++) {
        struct lanes k[ABREAST_MAX];
        for (size_t b = 0; b < n_blocks; b++) {
            k[b] = lanes_load_as(keys[b], type, d * OPS_KV_BLOCK);
            if (s->fetch_ahead) {
                __builtin_prefetch(ahead[b] + d * OPS_KV_BLOCK * element_bytes(type));
            }
        }
        for (size_t i = 0; i < count; i++) {
            const struct lanes q = lanes_set(s->q[first + i][d]);
            for (size_t b = 0; b < n_blocks; b++) {
                sum[i][b] = lanes_fma(q, k[b], sum[i][b]);
            }
        }
    }
    for (size_t b = 0; b < n_blocks; b++, p += OPS_KV_BLOCK) {
        struct lanes key_scales = lanes_set(1.0f);
        if (type == OPS_I8) {
            key_scales = lanes_load(scales_at(kv, p, kv->k_scale_offset));
        }
        for (size_t i = 0; i < count; i++) {
            struct lanes score = sum[i][b];
            if (type == OPS_I8) {
                score = lanes_mul(score, key_scales);
            }
            score = lanes_mul(score, how->scale);
            if (how->capped) {
                score = softcap_lanes(score, how->softcap);
            }
            lanes_store(s->score[first + i] + p, score);
        }
    }
}

static size_t block_begin(size_t position)
{
    return position / OPS_KV_BLOCK * OPS_KV_BLOCK;
}

/* score *= the values' scales, over [begin, len) and what comes before in its block. */
static void scale_by_values(float *score, size_t begin, size_t len, const struct ops_kv *kv)
{
    for (size_t p = block_begin(begin); p < len; p += OPS_KV_BLOCK) {
        const float *scales = scales_at(kv, p, kv->v_scale_offset);
        if (len - p >= OPS_KV_BLOCK) {
            lanes_store(score + p, lanes_mul(lanes_load(score + p), lanes_load(scales)));
            continue;
        }
        for (size_t i = 0; p + i < len; i++) {
            score[p + i] *= scales[i];
        }
    }
}

/* Positions whose values are summed into all dims before the next are looked at, so that they
 * are read from memory once. */
#define VALUE_TILE 128

/* Adds score * value over positions [p0, p1), which lie in one page, to `n_lanes` times 16 dims
 * of `count` outputs. Meanwhile the same dims of as many rows at `ahead` are fetched. */
ALWAYS_INLINE void value_block(const struct queries *s, size_t first, const size_t count,
                               const size_t n_lanes, const struct ops_kv *kv,
                               const enum ops_type type, size_t p0, size_t p1, size_t d,
                               const char *ahead)
{
    const char *values = value_row(kv, p0);
    const size_t row = ops_kv_row(kv->head_dim);
    struct lanes sum[QUERIES][ABREAST_MAX];
    for (size_t i = 0; i < count; i++) {
        for (size_t l = 0; l < n_lanes; l++) {
            sum[i][l] = lanes_load(s->out[first + i] + d + l * LANES);
        }
    }
    for (size_t p = p0; p < p1; p++) {
        struct lanes v[ABREAST_MAX];
        for (size_t l = 0; l < n_lanes; l++) {
            v[l] = lanes_load_as(values, type, (p - p0) * row + d + l * LANES);
        }
        if (s->fetch_ahead) {
            __builtin_prefetch(ahead + ((p - p0) * row + d) * element_bytes(type));
        }
        for (size_t i = 0; i < count; i++) {
            const struct lanes score = lanes_set(s->score[first + i][p]);
            for (size_t l = 0; l < n_lanes; l++) {
                sum[i][l] = lanes_fma(score, v[l], sum[i][l]);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t l = 0; l < n_lanes; l++) {
            lanes_store(s->out[first + i] + d + l * LANES, sum[i][l]);
        }
    }
}

/* The same to a query's last dims, fewer than 16, which few heads have: beside an output lies
 * another one's. */
static void value_rest(const struct queries *s, size_t query, const struct ops_kv *kv,
                       size_t p0, size_t p1, size_t d)
{
    float sums[OPS_HEAD_DIM_MAX] = {0};
    const struct queries one = {.count = 1, .score = {s->score[query]}, .out = {sums}};
    const size_t bytes = (kv->head_dim - d) * sizeof(float);
    const char *values = value_row(kv, p0);
    memcpy(sums + d, s->out[query] + d, bytes);
    switch (kv->type) {
    case OPS_I8:
        value_block(&one, 0, 1, 1, kv, OPS_I8, p0, p1, d, values);
        break;
    case OPS_F16:
        value_block(&one, 0, 1, 1, kv, OPS_F16, p0, p1, d, values);
        break;
    case OPS_F32:
        value_block(&one, 0, 1, 1, kv, OPS_F32, p0, p1, d, values);
        break;
    }
    memcpy(s->out[query] + d, sums + d, bytes);
}

/* The same over positions of any pages, to all dims. */
ALWAYS_INLINE void value_sums(const struct queries *s, size_t first, const size_t count,
                              const struct ops_kv *kv, const enum ops_type type, size_t p0,
                              size_t p1)
{
    for (size_t p = p0, end; p < p1; p = end) {
        const size_t page_end = p - p % kv->page_positions + kv->page_positions;
        end = p + VALUE_TILE < p1 ? p + VALUE_TILE : p1;
        end = end < page_end ? end : page_end;
        const char *ahead = value_row(kv, end < p1 ? end : p);
        size_t d = 0;
        for (; d + abreast(count) * LANES <= kv->head_dim; d += abreast(count) * LANES) {
            value_block(s, first, count, abreast(count), kv, type, p, end, d, ahead);
        }
        for (; d + LANES <= kv->head_dim; d += LANES) {
            value_block(s, first, count, 1, kv, type, p, end, d, ahead);
        }
        for (size_t i = first; d < kv->head_dim && i < first + count; i++) {
            value_rest(s, i, kv, p, end, d);
        }
    }
}

/* out = sum of score * value over what each of `count` queries sees: first what it sees before
 * the last one begins, then what all see, then the rest to its own end. */
ALWAYS_INLINE void sum_values(const struct queries *s, size_t first, const size_t count,
                              const struct ops_kv *kv, const enum ops_type type)
{
    size_t begin = s->begin[first + count - 1], end = s->len[first];
    if (begin > end) {
        begin = end = 0; /* they have nothing in common */
    }
    for (size_t i = first; i < first + count; i++) {
        memset(s->out[i], 0, kv->head_dim * sizeof(float));
        if (s->begin[i] < begin) {
            value_sums(s, i, 1, kv, type, s->begin[i], begin);
        }
    }
    value_sums(s, first, count, kv, type, begin, end);
    for (size_t i = first; i < first + count; i++) {
        const size_t rest = s->begin[i] > end ? s->begin[i] : end;
        value_sums(s, i, 1, kv, type, rest, s->len[i]);
    }
}

/* Scores become weights. */
ALWAYS_INLINE void weigh(const struct queries *s, size_t first, const size_t count,
                         const struct ops_kv *kv, const enum ops_type type)
{
    float *row[QUERIES];
    size_t n[QUERIES];
    for (size_t i = 0; i < count; i++) {
        row[i] = s->score[first + i] + s->begin[first + i];
        n[i] = s->len[first + i] - s->begin[first + i];
    }
    softmax_rows(row, n, count);
    for (size_t i = first; i < first + count && type == OPS_I8; i++) {
        scale_by_values(s->score[i], s->begin[i], s->len[i], kv);
    }
}

ALWAYS_INLINE void attend_queries(const struct queries *s, size_t first, const size_t count,
                                  const struct ops_kv *kv, const enum ops_type type,
                                  const struct scoring *how)
{
    const size_t end = s->len[first + count - 1];
    size_t p = block_begin(s->begin[first]);
    for (; p + (abreast(count) - 1) * OPS_KV_BLOCK < end; p += abreast(count) * OPS_KV_BLOCK) {
        score_blocks(s, first, count, abreast(count), kv, type, p, end, how);
    }
    for (; p < end; p += OPS_KV_BLOCK) {
        score_blocks(s, first, count, 1, kv, type, p, end, how);
    }
    weigh(s, first, count, kv, type);
    sum_values(s, first, count, kv, type);
}

ALWAYS_INLINE void attend_typed(const struct queries *s, const struct ops_kv *kv,
                                const enum ops_type type, const struct scoring *how)
{
    size_t i = 0;
    for (; i + ATTEND_TOGETHER <= s->count; i += ATTEND_TOGETHER) {
        attend_queries(s, i, ATTEND_TOGETHER, kv, type, how);
    }
    for (; ATTEND_TOGETHER > 4 && i + 4 <= s->count; i += 4) {
        attend_queries(s, i, 4, kv, type, how);
    }
    for (; i + 2 <= s->count; i += 2) {
        attend_queries(s, i, 2, kv, type, how);
    }
    if (i < s->count) {
        attend_queries(s, i, 1, kv, type, how);
    }
}

static void attend(const struct ops_attention *a)
{
    const size_t n_queries = a->n_rows * a->n_heads;
    const size_t row_floats = round_to_block(a->n_seen ? a->n_seen : a->n_past + a->n_rows);
    const struct scoring how = {.scale = lanes_set(a->scale),
                                .softcap = lanes_set(a->softcap),
                                .capped = a->softcap > 0.0f};
    for (size_t first = 0; first < n_queries; first += QUERIES) {
        struct queries s;
        s.count = n_queries - first < QUERIES ? n_queries - first : QUERIES;
        s.fetch_ahead = a->n_rows < CACHED_ROWS;
        for (size_t i = 0; i < s.count; i++) {
            const size_t row = (first + i) / a->n_heads, head = (first + i) % a->n_heads;
            s.q[i] = a->q + row * a->q_stride + head * a->kv->head_dim;
            s.out[i] = a->out + row * a->out_stride + head * a->kv->head_dim;
            s.len[i] = a->n_seen ? a->n_seen : a->n_past + row + 1;
            s.begin[i] = a->window > 0 && s.len[i] > a->window ? s.len[i] - a->window : 0;
            s.score[i] = a->scratch + i * row_floats;
        }
        switch (a->kv->type) {
        case OPS_I8:
            attend_typed(&s, a->kv, OPS_I8, &how);
            break;
        case OPS_F16:
            attend_typed(&s, a->kv, OPS_F16, &how);
            break;
        case OPS_F32:
            attend_typed(&s, a->kv, OPS_F32, &how);
            break;
        }
    }
}

const struct ops OPS_TABLE = {
    .name = OPS_NAME,
    .needs = OPS_NEEDS,
    .rmsnorm = rmsnorm,
    .layernorm = layernorm,
    .rope = rope,
    .softmax = softmax,
    .silu_mul = silu_mul,
    .gelu_mul = gelu_mul,
    .gelu = gelu,
    .softcap = softcap,
    .scale = scale,
    .add = add,
    .argmax = argmax,
    .dot = dot,
    .low_rank_down = low_rank_down,
    .low_rank_up = low_rank_up,
    .exp = exp_all,
    .kv_store = kv_store,
    .attend = attend,
};
