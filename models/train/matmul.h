/* matmul.h: the three matrix products of a linear layer y = x W^T, over OpenBLAS.
 *
 * x (rows, n_in), W (n_out, n_in), y (rows, n_out), all dense. */
#pragma once

#include <cblas.h>
#include <stddef.h>

static inline void matmul_forward(float *y, const float *x, const float *w, size_t rows,
                                  size_t n_in, size_t n_out)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)n_out, (int)n_in, 1.0f,
                x, (int)n_in, w, (int)n_in, 0.0f, y, (int)n_out);
}

/* dx = keep * dx + dy W, with keep 0 or 1. */
static inline void matmul_backward_input(float *dx, const float *dy, const float *w,
                                         size_t rows, size_t n_in, size_t n_out, float keep)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)n_in, (int)n_out,
                1.0f, dy, (int)n_out, w, (int)n_in, keep, dx, (int)n_in);
}

/* dW += dy^T x. */
static inline void matmul_backward_weight(float *dw, const float *dy, const float *x,
                                          size_t rows, size_t n_in, size_t n_out)
{
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)n_out, (int)n_in, (int)rows, 1.0f,
                dy, (int)n_out, x, (int)n_in, 1.0f, dw, (int)n_in);
}
