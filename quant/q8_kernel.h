/* q8_kernel.h: the int8 matrix product, one kernel an instruction set, chosen once.
 *
 * quant/kernels/ref.c says in plain C what every kernel computes; the others give the same bits
 * (see q8.h) and tests/kernels/test_q8.c holds them to it. A new instruction set is a file in
 * quant/kernels/ and a line in q8_kernel.c.
 *
 * Use:  const struct q8_kernel *kern = q8_kernel_select(cpu_features());
 *       q8_acts_arrange(&acts, q8_kernel_wants_panels(kern, m));
 *       kern->quantize(&acts, x, x_stride, row0, row1);              split over rows by a team
 *       (barrier)
 *       kern->matmul(y, y_stride, &acts, m, &w, tile0, tile1);       split over tiles by a team
 *
 * Threads: kernels hold no state. Calls for distinct row ranges (quantize) or tile ranges
 * (matmul) may run at the same time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quant/q8.h"

struct q8_kernel {
    const char *name; /* "avx512vnni", as for --cpu */
    uint32_t needs;   /* all of these cpu_feature bits */

    /* So many rows and more are multiplied faster if they lie in panels; 0: never, matmul then
     * takes no panels at all. The result is the same. */
    size_t panels_from;

    /* Quantises rows [row0, row1) of x into the same rows of `out`. x is [rows][x_stride]
     * floats, of which the first out->k count; row 0 of x is row 0 of out. */
    void (*quantize)(struct q8_acts *out, const float *x, size_t x_stride, size_t row0,
                     size_t row1);

    /* y[r][j] = row r of x times row j of w, for r in [0, m) and the outputs j of tiles [tile0,
     * tile1): 16 * tile0 <= j < min(16 * tile1, w->n). y is [m][y_stride]; nothing else in it
     * is touched. m <= x->rows, x->k == w->k, tile1 <= q8_tiles(w). m = 1 is a matrix-vector
     * product that reads the weights once, as fast as memory gives them; from some tens of rows
     * on, arithmetic is the limit. */
    void (*matmul)(float *y, size_t y_stride, const struct q8_acts *x, size_t m,
                   const struct q8_packed *w, size_t tile0, size_t tile1);

    /* A loop of nothing but this kernel's multiply instruction on registers, for quant/peak.h:
     * runs `rounds` rounds and returns the number of int8 multiplications and additions it made
     * (each counts as one operation). */
    uint64_t (*spin_peak)(uint64_t rounds);
};

/* All kernels that were built, best first, ended by NULL; the last is the reference, which
 * needs nothing. */
extern const struct q8_kernel *const q8_kernels[];

/* The best kernel that `features` allows; never NULL. */
const struct q8_kernel *q8_kernel_select(uint32_t features);

static inline bool q8_kernel_wants_panels(const struct q8_kernel *kernel, size_t m)
{
    return kernel->panels_from > 0 && m >= kernel->panels_from;
}
