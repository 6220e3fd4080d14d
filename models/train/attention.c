#include "models/train/attention.h"

#include <math.h>
#include <string.h>

#include "models/train/kernels.h"
#include "models/train/matmul.h"

/* Where one head's vectors are: rows of `stride` floats. */
struct head_view {
    size_t stride; /* qkv_dim */
    size_t query;  /* offset of this head's query, key and value in a row */
    size_t key;
    size_t value;
    size_t out; /* offset in a row of q_dim */
    size_t head_dim;
    float scale; /* 1 / sqrt(head_dim) */
};

static struct head_view head_view_of(const struct train_shape *s, size_t head)
{
    size_t head_dim = train_shape_head_dim(s), kv_dim = train_shape_kv_dim(s);
    size_t q_dim = train_shape_q_dim(s);
    size_t kv_head = head / (s->n_heads / s->n_kv_heads);
    return (struct head_view){
        .stride = q_dim + 2 * kv_dim,
        .query = head * head_dim,
        .key = q_dim + kv_head * head_dim,
        .value = q_dim + kv_dim + kv_head * head_dim,
        .out = head * head_dim,
        .head_dim = head_dim,
        .scale = 1.0f / sqrtf((float)head_dim),
    };
}

void train_attention_forward(float *out, float *lse, const float *qkv, size_t n,
                             const struct train_shape *s,
                             const struct attention_scratch *scratch)
{
    const struct train_kernels *k = train_kernels_get();
    size_t d = train_shape_q_dim(s), ld = scratch->stride;
    for (size_t head = 0; head < s->n_heads; head++) {
        struct head_view v = head_view_of(s, head);
        for (size_t first = 0; first < n; first += ATTENTION_BLOCK) {
            size_t rows = n - first < ATTENTION_BLOCK ? n - first : ATTENTION_BLOCK;
            size_t cols = first + rows;
            product_nt(scratch->scores, ld, qkv + first * v.stride + v.query, v.stride,
                       qkv + v.key, v.stride, rows, cols, v.head_dim, v.scale, 0.0f);
            k->softmax_forward(scratch->scores, ld, cols, lse + first * s->n_heads + head,
                               s->n_heads, rows, first);
            product_nn(out + first * d + v.out, d, scratch->scores, ld, qkv + v.value, v.stride,
                       rows, v.head_dim, cols, 1.0f, 0.0f);
        }
    }
}

void train_attention_backward(float *dqkv, const float *dout, const float *out,
                              const float *lse, const float *qkv, size_t n,
                              const struct train_shape *s,
                              const struct attention_scratch *scratch)
{
    const struct train_kernels *k = train_kernels_get();
    size_t d = train_shape_q_dim(s), ld = scratch->stride;
    float dot[ATTENTION_BLOCK];
    memset(dqkv, 0, n * (size_t)train_shape_qkv_dim(s) * sizeof(float));
    for (size_t head = 0; head < s->n_heads; head++) {
        struct head_view v = head_view_of(s, head);
        for (size_t first = 0; first < n; first += ATTENTION_BLOCK) {
            size_t rows = n - first < ATTENTION_BLOCK ? n - first : ATTENTION_BLOCK;
            size_t cols = first + rows;
            const float *query = qkv + first * v.stride + v.query;
            const float *dhead = dout + first * d + v.out;
            for (size_t r = 0; r < rows; r++) {
                dot[r] = k->dot(dhead + r * d, out + (first + r) * d + v.out, v.head_dim);
            }
            product_nt(scratch->scores, ld, query, v.stride, qkv + v.key, v.stride, rows, cols,
                       v.head_dim, v.scale, 0.0f);
            product_nt(scratch->dscores, ld, dhead, d, qkv + v.value, v.stride, rows, cols,
                       v.head_dim, 1.0f, 0.0f);
            k->softmax_backward(scratch->scores, scratch->dscores, ld, cols,
                                lse + first * s->n_heads + head, s->n_heads, dot, rows, first);
            product_nn(dqkv + first * v.stride + v.query, v.stride, scratch->dscores, ld,
                       qkv + v.key, v.stride, rows, v.head_dim, cols, v.scale, 0.0f);
            product_tn_add(dqkv + v.key, v.stride, scratch->dscores, ld, query, v.stride, cols,
                           v.head_dim, rows, v.scale);
            product_tn_add(dqkv + v.value, v.stride, scratch->scores, ld, dhead, d, cols,
                           v.head_dim, rows, 1.0f);
        }
    }
}
