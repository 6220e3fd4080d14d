/* matmul.h: matrix products over OpenBLAS.
 *
 * Three of a linear layer y = x W^T, all dense: x (rows, n_in), W (n_out, n_in), y (rows,
 * n_out); these go through bfloat16 where the training that runs wants it (bf16.h). Three of
 * rows that lie `ld` floats apart, for parts of wider rows. */
#pragma once

#include <cblas.h>
#include <stddef.h>

#include "models/train/bf16.h"

/* c (rows, cols) = alpha * a (rows, inner) b^T + beta * c, b (cols, inner). */
static inline void product_nt(float *c, size_t ldc, const float *a, size_t lda, const float *b,
                              size_t ldb, size_t rows, size_t cols, size_t inner, float alpha,
                              float beta)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)cols, (int)inner,
                alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

/* c (rows, cols) = alpha * a (rows, inner) b + beta * c, b (inner, cols). */
static inline void product_nn(float *c, size_t ldc, const float *a, size_t lda, const float *b,
                              size_t ldb, size_t rows, size_t cols, size_t inner, float alpha,
                              float beta)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)cols, (int)inner,
                alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

/* c (rows, cols) += alpha * a^T b, a (inner, rows), b (inner, cols). */
static inline void product_tn_add(float *c, size_t ldc, const float *a, size_t lda,
                                  const float *b, size_t ldb, size_t rows, size_t cols,
                                  size_t inner, float alpha)
{
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)rows, (int)cols, (int)inner,
                alpha, a, (int)lda, b, (int)ldb, 1.0f, c, (int)ldc);
}

static inline void matmul_forward(float *y, const float *x, const float *w, size_t rows,
                                  size_t n_in, size_t n_out)
{
    if (train_bf16_in_use()) {
        const struct bf16_factor a = {x, n_in, false}, b = {w, n_in, false};
        train_bf16_product(y, n_out, &a, &b, rows, n_out, n_in, false);
        return;
    }
    product_nt(y, n_out, x, n_in, w, n_in, rows, n_out, n_in, 1.0f, 0.0f);
}

/* dx = dy W. */
static inline void matmul_backward_input(float *dx, const float *dy, const float *w,
                                         size_t rows, size_t n_in, size_t n_out)
{
    if (train_bf16_in_use()) {
        const struct bf16_factor a = {dy, n_out, false}, b = {w, n_in, true};
        train_bf16_product(dx, n_in, &a, &b, rows, n_in, n_out, false);
        return;
    }
    product_nn(dx, n_in, dy, n_out, w, n_in, rows, n_in, n_out, 1.0f, 0.0f);
}

/* dW += dy^T x. */
static inline void matmul_backward_weight(float *dw, const float *dy, const float *x,
                                          size_t rows, size_t n_in, size_t n_out)
{
    if (train_bf16_in_use()) {
        const struct bf16_factor a = {dy, n_out, true}, b = {x, n_in, true};
        train_bf16_product(dw, n_in, &a, &b, n_out, n_in, rows, true);
        return;
    }
    product_tn_add(dw, n_in, dy, n_out, x, n_in, n_out, n_in, rows, 1.0f);
}
