#include "models/arch/llama_matrix.h"

#include <string.h>

/* 0 if it does not fit. */
static size_t float_bytes(size_t n, size_t k)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, k, &bytes) ||
        __builtin_mul_overflow(bytes, sizeof(float), &bytes) || bytes > SIZE_MAX - Q8_ALIGN) {
        return 0;
    }
    return (bytes + Q8_ALIGN - 1) / Q8_ALIGN * Q8_ALIGN;
}

size_t llama_matrix_bytes(enum llama_precision precision, size_t n, size_t k)
{
    return precision == LLAMA_F32 ? float_bytes(n, k) : q8_packed_bytes(n, k);
}

void llama_matrix_init(struct llama_matrix *m, enum llama_precision precision,
                       const void *block, size_t n, size_t k)
{
    *m = (struct llama_matrix){.n = n, .k = k};
    if (precision == LLAMA_F32) {
        m->f32 = block;
    } else {
        q8_packed_init(&m->q8, block, n, k);
    }
}

void llama_matrix_row(float *out, const struct llama_matrix *m, size_t row)
{
    if (m->f32) {
        memcpy(out, m->f32 + row * m->k, m->k * sizeof(*out));
    } else {
        q8_packed_row(out, &m->q8, row);
    }
}

size_t llama_input_bytes(enum llama_precision precision, size_t rows, size_t k)
{
    return precision == LLAMA_F32 ? float_bytes(rows, k) : q8_acts_bytes(rows, k);
}

void llama_input_init(struct llama_input *in, enum llama_precision precision, void *block,
                      size_t rows, size_t k)
{
    *in = (struct llama_input){.k = k};
    if (precision == LLAMA_F32) {
        in->f32 = block;
    } else {
        q8_acts_init(&in->q8, block, rows, k);
    }
}

void llama_input_expect(struct llama_input *in, const struct q8_kernel *kernel, size_t n_rows)
{
    if (!in->f32) {
        q8_acts_arrange(&in->q8, q8_kernel_wants_panels(kernel, n_rows));
    }
}

void llama_input_set(struct llama_input *in, const struct q8_kernel *kernel, const float *x,
                     size_t x_stride, size_t row0, size_t row1)
{
    if (!in->f32) {
        kernel->quantize(&in->q8, x, x_stride, row0, row1);
        return;
    }
    for (size_t r = row0; r < row1; r++) {
        memcpy(in->f32 + r * in->k, x + r * x_stride, in->k * sizeof(*x));
    }
}

void llama_input_copy(struct llama_input *in, size_t to, const struct llama_input *source,
                      size_t from)
{
    if (in->f32) {
        memcpy(in->f32 + to * in->k, source->f32 + from * in->k, in->k * sizeof(*in->f32));
    } else {
        q8_acts_copy(&in->q8, to, &source->q8, from);
    }
}

static void multiply_floats(float *y, const struct llama_matrix *m,
                            const struct llama_input *in, size_t first, size_t n_rows,
                            size_t tile0, size_t tile1, const struct ops *ops)
{
    size_t end = tile1 * Q8_TILE < m->n ? tile1 * Q8_TILE : m->n;
    for (size_t j = tile0 * Q8_TILE; j < end; j++) {
        for (size_t r = 0; r < n_rows; r++) {
            y[r * m->n + j] = ops->dot(in->f32 + (first + r) * m->k, m->f32 + j * m->k, m->k);
        }
    }
}

void llama_matrix_multiply(float *y, const struct llama_matrix *m, const struct llama_input *in,
                           size_t first, size_t n_rows, size_t tile0, size_t tile1,
                           const struct q8_kernel *kernel, const struct ops *ops)
{
    if (m->f32) {
        multiply_floats(y, m, in, first, n_rows, tile0, tile1, ops);
        return;
    }
    struct q8_acts rows;
    q8_acts_from(&rows, &in->q8, first);
    kernel->matmul(y, m->n, &rows, n_rows, &m->q8, tile0, tile1);
}
