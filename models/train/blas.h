/* blas.h: which kernels OpenBLAS multiplies with, and how fast they are on this machine.
 *
 * OpenBLAS chooses its kernels when the program starts, by the processor's model number, and
 * takes old ones for a processor that is newer than it is: on AMD's Zen 5, version 0.3.21 takes
 * its AVX2 kernels, which reach half of what its AVX-512 kernels reach there. Only the
 * environment variable OPENBLAS_CORETYPE can change that, and only before the start. */
#pragma once

#include <stddef.h>

/* When the processor has AVX-512 and OpenBLAS took kernels without it, starts this program anew
 * with the variable set; does not return then. Returns where there is nothing to gain, where
 * the variable is set already, and where starting anew fails. argv: of main(), NULL at its end.
 * Before there are threads and open files. */
void train_blas_restart_with_best(char **argv);

/* The name of the kernels in use: "SkylakeX". */
const char *train_blas_kernels(void);

/* Additions and multiplications a second that the kernels reach on large squares with so many
 * threads: the best of some tries, in about half a second. 0: no memory. Leaves OpenBLAS with
 * one thread a call. */
double train_blas_peak(unsigned threads);
