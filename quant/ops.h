/* ops.h: everything in a model step that is not the int8 product: norms, positions, attention.
 *
 * One source (quant/kernels/ops_body.h) over 16 float lanes, compiled for each instruction set.
 * Every reduction goes lane by lane, lane l taking elements l, l + 16, l + 32, ... in ascending
 * order with fmaf where it says multiply-add, and then folds lanes 16 -> 8 -> 4 -> 2 -> 1 by
 * adding the upper half to the lower. exp is our own polynomial. So all variants give the same
 * bits, and a result depends on its own row alone.
 *
 * Nothing allocates. Pointers need no alignment beyond that of float, unless said. In and out
 * may be the same array where "in place" is said; otherwise they must not overlap. Sizes may be
 * any > 0, unless said.
 *
 * Threads: no state; calls with distinct outputs and scratch may run at the same time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum ops_type { OPS_F16, OPS_F32, OPS_I8 };

#define OPS_KV_BLOCK     16 /* positions in a block of keys; pages hold a multiple of it */
#define OPS_HEAD_DIM_MAX 256

/* Elements that a key or a value takes in the cache: head_dim, filled up to a multiple of 16.
 */
static inline size_t ops_kv_row(size_t head_dim)
{
    return (head_dim + 15) / 16 * 16;
}

/* The cached keys and values of one sequence, one layer and one KV head, in pages of
 * `page_positions` positions each. Position p lies in pages[p / page_positions], at index
 * i = p % page_positions and, with row = ops_kv_row(head_dim), at these elements of `type`:
 *
 *     key   d:  k_offset + (i / 16 * row + d) * 16 + i % 16
 *     value d:  v_offset + i * row + d
 *
 * Keys lie with 16 positions side by side, so that scores need no sum across a register. Keys
 * and values of a page are each page_positions * row consecutive elements; the offsets choose
 * layer and head within the page. A contiguous cache is one page. Pages should be 64-byte
 * aligned, and offsets multiples of 16, for speed. Memory of positions not yet stored, and
 * what fills a row up, may hold anything that may be read.
 *
 * OPS_I8 keeps -127..127 and a scale for each position, the greatest magnitude of its head_dim
 * numbers over 127: those of keys are the floats k_scale_offset + i of the page, those of
 * values v_scale_offset + i, page_positions of each. A key or value with a number that is not
 * finite reads as NaN. */
struct ops_kv {
    void *const *pages;
    size_t page_positions; /* a multiple of OPS_KV_BLOCK */
    size_t k_offset, v_offset;
    size_t k_scale_offset, v_scale_offset; /* OPS_I8 alone */
    size_t head_dim;                       /* 1 to OPS_HEAD_DIM_MAX */
    enum ops_type type;
};

/* Attention of consecutive tokens of one sequence, for all query heads that share one KV head
 * (grouped-query attention). Row r sees positions 0 .. n_past + r, its own included; with a
 * window only the last `window` of them. */
struct ops_attention {
    float *out;        /* row r, head h at out + r * out_stride + h * head_dim */
    size_t out_stride; /* floats */
    const float *q;    /* row r, head h at q + r * q_stride + h * head_dim; not scaled yet */
    size_t q_stride;   /* floats */
    size_t n_rows;
    size_t n_heads; /* query heads of this KV head */
    size_t n_past;  /* positions before row 0; those of all rows are stored already */
    size_t n_seen; /* positions that every row sees, as in an encoder, where there is no window;
                      0: each up to its own */
    float scale;   /* 1 / sqrt(head_dim) */
    float softcap; /* a score s becomes softcap * tanh(s / softcap); 0: it stays */
    size_t window; /* 0: none */
    const struct ops_kv *kv;
    float *scratch; /* ops_attention_scratch(...) floats of this thread's own, aligned to 64 */
};

/* y += B (scale * A x) for some rows: what a low-rank adapter adds to a product. Down:
 *
 *     u[row][r] = dot(x[row], a[r]) * scale        over n_in, with the bits of dot
 *
 * Up, for output o = 16 t + l:
 *
 *     y[row][o] += sum of u[row][r] * b[t][r][l]   r ascending by fmaf, from 0; then one add
 *
 * Which rows and ranges come together in a call changes no bit. */
#define OPS_LOW_RANK_TILE 16
struct ops_low_rank {
    const size_t *rows; /* (n_rows) indices of rows of x, u and y */
    size_t n_rows;
    const float *x; /* [..][n_in] at x_stride */
    size_t x_stride;
    const float *a; /* [rank][n_in] */
    size_t n_in;
    float scale;
    float *u; /* [..][rank] at u_stride */
    size_t u_stride;
    size_t rank;
    const float *b; /* [tiles][rank][16]; tiles of 16 outputs, the last one filled up */
    size_t n_out;
    float *y; /* [..][n_out] at y_stride */
    size_t y_stride;
};

/* Floats of scratch that an attention over up to n_positions needs, whatever the number of rows
 * and heads: it works through them in small batches. */
size_t ops_attention_scratch(size_t n_positions);

struct ops {
    const char *name; /* "base", "avx2", "avx512" */
    uint32_t needs;   /* cpu_feature bits */

    /* y[i] = x[i] * (1 / sqrt(mean(x^2) + eps)) * weight[i]. In place allowed. */
    void (*rmsnorm)(float *y, const float *x, const float *weight, float eps, size_t n);

    /* y[i] = (x[i] - mean) * (1 / sqrt(mean((x - mean)^2) + eps)) * weight[i] + bias[i]. In
     * place allowed. */
    void (*layernorm)(float *y, const float *x, const float *weight, const float *bias,
                      float eps, size_t n);

    /* Rotates the pairs (x[2i], x[2i + 1]) of each of n_heads adjacent heads, in place, by the
     * angle of pair i. cos and sin: [head_dim / 2], of this position, computed by the caller in
     * double. */
    void (*rope)(float *x, size_t n_heads, size_t head_dim, const float *cos, const float *sin);

    /* In place: x[i] = exp(x[i] - max) / sum. */
    void (*softmax)(float *x, size_t n);

    /* y[i] = gate[i] / (1 + exp(-gate[i])) * up[i], SwiGLU. In place with either allowed. */
    void (*silu_mul)(float *y, const float *gate, const float *up, size_t n);

    /* The same with gelu(gate) in the form with tanh, Hendrycks and Gimpel 2016. */
    void (*gelu_mul)(float *y, const float *gate, const float *up, size_t n);

    /* In place: x[i] = gelu(x[i]), in the same form. */
    void (*gelu)(float *x, size_t n);

    /* In place: x[i] = cap * tanh(x[i] / cap). */
    void (*softcap)(float *x, float cap, size_t n);

    /* In place: x[i] *= by. */
    void (*scale)(float *x, float by, size_t n);

    /* y[i] += x[i], the residual. */
    void (*add)(float *y, const float *x, size_t n);

    /* The index of the greatest, the first of equals; a NaN is never the greatest. 0 if all are
     * NaN. */
    size_t (*argmax)(const float *x, size_t n);

    float (*dot)(const float *a, const float *b, size_t n);

    /* u of ranks [r0, r1). */
    void (*low_rank_down)(const struct ops_low_rank *p, size_t r0, size_t r1);

    /* Adds to the outputs of tiles [tile0, tile1). */
    void (*low_rank_up)(const struct ops_low_rank *p, size_t tile0, size_t tile1);

    /* out[i] = exp(x[i]), within 1.01 ulp down to the smallest normal number; below it 0, above
     * the greatest infinity. In place allowed. */
    void (*exp)(float *out, const float *x, size_t n);

    /* Stores key[head_dim] and value[head_dim] of one position, rounded to the cache's type. */
    void (*kv_store)(const struct ops_kv *kv, size_t position, const float *key,
                     const float *value);

    /* For each row r and head h: s[p] = (q . key[p]) * scale, the dot product by fmaf over dims
     * ascending; the soft cap; softmax over p; out = sum of s[p] * value[p], positions
     * ascending. With OPS_I8 keys and values are the integers, the dot product is multiplied by
     * the key's scale before `scale`, and s[p] after the softmax by the value's. How rows were
     * split into calls changes no bit. */
    void (*attend)(const struct ops_attention *a);
};

/* All variants that were built, best first, ended by NULL; the last needs nothing. */
extern const struct ops *const ops_variants[];

/* The best variant that `features` (quant/cpu.h) allows; never NULL. */
const struct ops *ops_select(uint32_t features);
