/* bf16.h: matrix products of float32 matrices through bfloat16, for processors with
 * AVX512_BF16.
 *
 * Both matrices are rounded to bfloat16 (to nearest, ties to even) as they are packed into
 * panels, and pairs of products are added up in float32 by VDPBF16PS (Intel 64 manual; numbers
 * below the smallest normal one count as zero). So weights, activations, gradients and the
 * optimizer stay float32, as Micikevicius et al. 2018 have it, "Mixed precision training", and
 * only the products are less exact: a relative error of about 2^-9 for each factor. Bfloat16
 * has float32's range, so that the loss needs no scaling.
 *
 * The order of sums depends on the sizes alone. Nothing is allocated; about 450 KB of stack are
 * used. Threads: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether the compiler knew these instructions and the processor has them. */
bool train_bf16_available(void);

/* Whether the linear layers of this process multiply so (matmul.h). Set by trainer_create,
 * while no other training runs; only where train_bf16_available. */
void train_bf16_use(bool on);
bool train_bf16_in_use(void);

/* A factor: element (i, k), of which k is summed over, is at i * ld + k of `data`, or with
 * `transposed` at k * ld + i. */
struct bf16_factor {
    const float *data;
    size_t ld;
    bool transposed;
};

/* c (m, n), rows of ldc floats: c(i, j) = (add ? c(i, j) : 0) + sum over k of a(i, k) b(j, k).
 * Only where train_bf16_available. */
void train_bf16_product(float *c, size_t ldc, const struct bf16_factor *a,
                        const struct bf16_factor *b, size_t m, size_t n, size_t k, bool add);
