/* kernels.h: the variants that quant/kernels/ builds, for the tables in q8_kernel.c and ops.c
 * alone. */
#pragma once

#include "quant/ops.h"
#include "quant/q8_kernel.h"

extern const struct q8_kernel q8_kernel_ref;
extern const struct ops ops_base;

#if defined(__x86_64__)
extern const struct q8_kernel q8_kernel_avx2;
extern const struct q8_kernel q8_kernel_avx_vnni;
extern const struct q8_kernel q8_kernel_avx512_vnni;
extern const struct q8_kernel q8_kernel_amx;
extern const struct ops ops_avx2;
extern const struct ops ops_avx512;
#elif defined(__aarch64__)
extern const struct q8_kernel q8_kernel_neon_dotprod;
extern const struct q8_kernel q8_kernel_neon_i8mm;
extern const struct ops ops_neon;
#endif
