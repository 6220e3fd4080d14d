/* kernels.h: the parts of a training step that are not matrix products, over rows of floats.
 *
 * Forward and backward of each layer stand side by side in kernels.c, as in llm.c. That file is
 * compiled once for each instruction-set level and fills one table a level; the arithmetic is
 * written in vectors of 16 lanes whatever the level, so every level adds in the same order and
 * gives the same bits.
 *
 * Rows are tokens. Widths are multiples of 16 unless said otherwise; pointers need no
 * alignment. Threads: any; nothing is shared and nothing is allocated.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct train_adamw {
    float lr;           /* of this step */
    float beta1, beta2; /* 0.9, 0.95 */
    float eps;          /* 1e-8 */
    float weight_decay; /* 0 for norms */
    float correction1;  /* 1 / (1 - beta1^step), steps counted from 1 */
    float correction2;  /* 1 / (1 - beta2^step) */
    float grad_scale;   /* 1, or less where the global norm is clipped */
};

struct train_kernels {
    const char *name;

    /* out (rows, width) = x * rstd * weight; rstd (rows) = 1 / sqrt(mean(x^2) + eps) is kept
     * for the way back. Zhang and Sennrich 2019, eq. 4. */
    void (*rmsnorm_forward)(float *out, float *rstd, const float *x, const float *weight,
                            size_t rows, size_t width, float eps);
    /* dx (rows, width) += and dweight (width) +=. */
    void (*rmsnorm_backward)(float *dx, float *dweight, const float *dout, const float *x,
                             const float *weight, const float *rstd, size_t rows, size_t width);

    /* Turns n_heads heads of each row in place. x (rows, stride); table (positions, 2,
     * head_dim): the cosine of each pair's angle twice, then its sine negative and positive.
     * The way back turns by the opposite angle: direction +1 or -1. Su 2021, eq. 34, with
     * neighbouring pairs; head_dim is even. */
    void (*rope)(float *x, size_t rows, size_t stride, size_t n_heads, size_t head_dim,
                 const float *table, const uint32_t *positions, float direction);
    /* The same, with i and i + head_dim / 2 as a pair; the table has cosines and sines where
     * they are needed. */
    void (*rope_halves)(float *x, size_t rows, size_t stride, size_t n_heads, size_t head_dim,
                        const float *table, const uint32_t *positions, float direction);

    /* out (rows, ffn) = silu(gate) * up; gate_up (rows, 2 * ffn). Shazeer 2020, eq. 6. */
    void (*swiglu_forward)(float *out, const float *gate_up, size_t rows, size_t ffn);
    /* dgate_up (rows, 2 * ffn) is written. */
    void (*swiglu_backward)(float *dgate_up, const float *dout, const float *gate_up,
                            size_t rows, size_t ffn);

    /* Rows of attention scores, row r of which sees the columns 0..first + r. scores (rows,
     * stride): becomes probabilities, zero beyond what is seen up to column n_cols. lse (rows,
     * lse_stride) is log(sum(exp)). stride is a multiple of 16, not less than n_cols rounded up
     * to one. */
    void (*softmax_forward)(float *scores, size_t stride, size_t n_cols, float *lse,
                            size_t lse_stride, size_t rows, size_t first);
    /* scores become probabilities again from lse; dprobs becomes the gradient of the scores,
     * probability * (dprob - dot) with dot (rows) = sum(dout * out). Dao 2022, algorithm 4. */
    void (*softmax_backward)(float *scores, float *dprobs, size_t stride, size_t n_cols,
                             const float *lse, size_t lse_stride, const float *dot, size_t rows,
                             size_t first);
    /* Sum of a * b over width, which here may be any number. */
    float (*dot)(const float *a, const float *b, size_t width);

    /* One row of logits (width) becomes scale * (softmax - one_hot(target)); returns the loss,
     * -log(softmax[target]), unscaled. */
    double (*cross_entropy)(float *logits, size_t width, uint32_t target, float scale);

    /* a += b, n any number. */
    void (*add)(float *a, const float *b, size_t n);
    /* Sum of squares in double, n any number. */
    double (*sum_squares)(const float *a, size_t n);
    /* Loshchilov and Hutter 2019, algorithm 2, n any number. */
    void (*adamw)(float *param, const float *grad, float *m, float *v, size_t n,
                  const struct train_adamw *o);
};

/* The tables that this processor can run, plainest first; NULL after the last. */
const struct train_kernels *train_kernels_at(size_t index);

/* The last of them. */
const struct train_kernels *train_kernels_get(void);
