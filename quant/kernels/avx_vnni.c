/* avx_vnni.c: the 256-bit kernel with the VEX-coded vpdpbusd of processors without AVX-512. */
#include <immintrin.h>

static inline __m256i dot4(__m256i sum, __m256i a, __m256i b)
{
    return _mm256_dpbusd_avx_epi32(sum, a, b);
}

#define KERNEL_TABLE q8_kernel_avx_vnni
#define KERNEL_NAME  "avxvnni"
#define KERNEL_NEEDS (CPU_AVX2 | CPU_AVX_VNNI)
#include "quant/kernels/avx2_body.h"
