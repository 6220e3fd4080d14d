/* linear.h: y = x W^T + bias, with low-rank pairs beside W, forward and backward.
 *
 * W is floats, or stored as a model file has it: then it stands still, and a few of its rows at
 * a time become floats whenever they are needed, which takes little time beside the products.
 *
 * A pair changes a run of the outputs: y[first .. first + rows) += scale * B (A x). Where only
 * pairs are trained W stands still, and has neither gradient nor optimizer state. Hu et al.
 * 2021, "LoRA", section 4.1; dropout of what A sees as in the authors' code.
 *
 * A layer of parameters and the layer of its gradients are one struct: in the second every
 * pointer is where the gradient is added, or NULL for what is frozen.
 *
 * Ownership: everything is borrowed. Threads: one scratch a thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAIN_MAX_PARTS 3 /* query, key and value */
#define TRAIN_MAX_RANK  256

/* Rows of numbers in a type of tensor_type.h, at an address as a GGUF file has it. */
struct train_stored {
    uint32_t type;
    uint32_t rows;
    const unsigned char *data; /* NULL: nothing is stored */
};

struct train_pair {
    uint32_t first, rows; /* which outputs */
    float *b;             /* (rows, rank) */
};

struct train_linear {
    uint32_t n_in, n_out;
    float *weight; /* (n_out, n_in), or NULL: stored or frozen */
    float *bias;   /* (n_out), or NULL */
    struct train_stored
        stored[TRAIN_MAX_PARTS]; /* the matrix in runs of rows, with no weight */
    uint32_t n_pairs, rank;
    float scale;
    float dropout; /* part of the inputs that A does not see; 0: it sees all */
    uint32_t salt; /* another one for each layer: what dropout is drawn from */
    float *a;      /* (n_pairs * rank, n_in): the pairs' A, one below the other */
    struct train_pair pairs[TRAIN_MAX_PARTS];
};

struct linear_scratch {
    float *low, *dlow;     /* (LINEAR_ROWS, TRAIN_MAX_PARTS * TRAIN_MAX_RANK) */
    float *seen;           /* (LINEAR_ROWS, longest n_in) inputs with dropout */
    float *wide;           /* (LINEAR_WIDE, longest n_in) rows of a stored matrix */
    uint64_t dropout_seed; /* another one for each slice of each step; 0: nothing is dropped */
};

/* Rows that go through pairs at a time. */
#define LINEAR_ROWS 256
/* Rows of a stored matrix that are floats at a time: few enough to stay near the core. */
#define LINEAR_WIDE 512

/* Floats that the scratch's buffers need together for inputs of up to n_in, and the cut. */
size_t linear_scratch_floats(uint32_t n_in);
void linear_scratch_init(struct linear_scratch *s, float *block, uint32_t n_in);

/* x (rows, n_in) -> y (rows, n_out), written. */
void train_linear_forward(float *y, const float *x, const struct train_linear *l, size_t rows,
                          struct linear_scratch *s);

/* Adds to everything that grads points to. dx (rows, n_in), written unless NULL: the gradient
 * of x. The scratch has the forward pass's dropout_seed. */
void train_linear_backward(float *dx, const struct train_linear *grads, const float *dy,
                           const float *x, const struct train_linear *l, size_t rows,
                           struct linear_scratch *s);

/* The parts of the two that have to do with W alone, for matrices without a layer around:
 * y (rows, ld_y) = x W^T, and dx = dy W. */
void train_stored_forward(float *y, size_t ld_y, const float *x, const struct train_stored *w,
                          uint32_t n_in, size_t rows, struct linear_scratch *s);
void train_stored_backward(float *dx, const float *dy, size_t ld_y,
                           const struct train_stored *w, uint32_t n_in, size_t rows, bool adds,
                           struct linear_scratch *s);

/* Row `row` of a stored matrix as n_in floats. */
void train_stored_row(float *out, const struct train_stored *w, uint32_t n_in, uint32_t row);
