/* blas.h: which kernels OpenBLAS multiplies with, and how fast they are on this machine. */
#pragma once

/* The name of the kernels in use: "SkylakeX". OpenBLAS chooses them by the processor when the
 * program starts; the environment variable OPENBLAS_CORETYPE can say otherwise. */
const char *train_blas_kernels(void);

/* Additions and multiplications a second that the kernels reach on large squares with so many
 * threads: the best of some tries, in a quarter of a second or less. 0: no memory. Leaves
 * OpenBLAS with one thread a call. */
double train_blas_peak(unsigned threads);
