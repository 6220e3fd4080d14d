/* llama_matrix.h: a matrix of a model, and the rows it is multiplied by.
 *
 * As served, matrices are int8 (quant/q8.h) and their inputs are quantised before the product.
 * With LLAMA_F32 both stay floats: slow, four times the memory, and without the error of
 * quantisation. That is what int8 is measured by, and what is compared with other programs.
 *
 * Sums in float run over k in the order of ops->dot. A row's result depends on its own input
 * and the matrix alone, in either precision.
 *
 * Ownership: both describe memory that is somebody else's. Threads: distinct rows of an input
 * may be filled, and distinct tiles of outputs computed, at the same time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "quant/ops.h"
#include "quant/q8.h"
#include "quant/q8_kernel.h"

enum llama_precision { LLAMA_INT8, LLAMA_F32 };

/* n rows of k numbers: k inputs, n outputs. */
struct llama_matrix {
    size_t n, k;
    struct q8_packed q8; /* LLAMA_INT8 */
    const float *f32;    /* LLAMA_F32: [n][k]; NULL otherwise */
};

/* Bytes of a matrix, a multiple of Q8_ALIGN; 0: they do not fit a size_t. */
size_t llama_matrix_bytes(enum llama_precision precision, size_t n, size_t k);

/* Describes a block of that many bytes; nothing is written to it. */
void llama_matrix_init(struct llama_matrix *m, enum llama_precision precision,
                       const void *block, size_t n, size_t k);

/* Row `row` as k floats: an embedding look-up. */
void llama_matrix_row(float *out, const struct llama_matrix *m, size_t row);

/* Rows to multiply by matrices of k inputs. */
struct llama_input {
    struct q8_acts q8; /* LLAMA_INT8 */
    float *f32;        /* LLAMA_F32: [rows][k]; NULL otherwise */
    size_t k;
};

/* As for matrices; the block of an input with fewer or shorter rows also serves. */
size_t llama_input_bytes(enum llama_precision precision, size_t rows, size_t k);
void llama_input_init(struct llama_input *in, enum llama_precision precision, void *block,
                      size_t rows, size_t k);

/* To be called by one thread before the rows of a product are set: there will be n_rows of
 * them. What the input held is lost. */
void llama_input_expect(struct llama_input *in, const struct q8_kernel *kernel, size_t n_rows);

/* Takes over rows [row0, row1) of x, [rows][x_stride], quantised where products are int8. */
void llama_input_set(struct llama_input *in, const struct q8_kernel *kernel, const float *x,
                     size_t x_stride, size_t row0, size_t row1);

/* Row `to` of one input becomes row `from` of another with the same k. */
void llama_input_copy(struct llama_input *in, size_t to, const struct llama_input *source,
                      size_t from);

/* Outputs are computed in tiles of Q8_TILE; this is how many there are. */
static inline size_t llama_matrix_tiles(const struct llama_matrix *m)
{
    return (m->n + Q8_TILE - 1) / Q8_TILE;
}

/* y[r][j] = row first + r of the input times row j of the matrix, for r in [0, n_rows) and the
 * outputs j of tiles [tile0, tile1). y is [n_rows][m->n]. After llama_input_expect `first` is
 * 0. */
void llama_matrix_multiply(float *y, const struct llama_matrix *m, const struct llama_input *in,
                           size_t first, size_t n_rows, size_t tile0, size_t tile1,
                           const struct q8_kernel *kernel, const struct ops *ops);
