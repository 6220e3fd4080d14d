/* linear.h: y = x W^T + bias, with low-rank pairs beside W, forward and backward.
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

#include <stddef.h>
#include <stdint.h>

#define TRAIN_MAX_PAIRS 3 /* query, key and value */
#define TRAIN_MAX_RANK  256

struct train_pair {
    uint32_t first, rows; /* which outputs */
    float *b;             /* (rows, rank) */
};

struct train_linear {
    uint32_t n_in, n_out;
    float *weight; /* (n_out, n_in) */
    float *bias;   /* (n_out), or NULL */
    uint32_t n_pairs, rank;
    float scale;
    float dropout; /* part of the inputs that A does not see; 0: it sees all */
    uint32_t salt; /* another one for each layer: what dropout is drawn from */
    float *a;      /* (n_pairs * rank, n_in): the pairs' A, one below the other */
    struct train_pair pairs[TRAIN_MAX_PAIRS];
};

struct linear_scratch {
    float *low, *dlow;     /* (LINEAR_ROWS, TRAIN_MAX_PAIRS * TRAIN_MAX_RANK) */
    float *seen;           /* (LINEAR_ROWS, longest n_in) inputs with dropout */
    uint64_t dropout_seed; /* another one for each slice of each step; 0: nothing is dropped */
};

/* Rows that go through pairs at a time. */
#define LINEAR_ROWS 256

/* Floats that the scratch's buffers need together for inputs of up to n_in, and the cut. */
size_t linear_scratch_floats(uint32_t n_in);
void linear_scratch_init(struct linear_scratch *s, float *block);

/* x (rows, n_in) -> y (rows, n_out), written. */
void train_linear_forward(float *y, const float *x, const struct train_linear *l, size_t rows,
                          struct linear_scratch *s);

/* Adds to everything that grads points to. dx (rows, n_in), written unless NULL: the gradient
 * of x. The scratch has the forward pass's dropout_seed. */
void train_linear_backward(float *dx, const struct train_linear *grads, const float *dy,
                           const float *x, const struct train_linear *l, size_t rows,
                           struct linear_scratch *s);
