/* avx2.c: the 256-bit kernel where no dot product instruction exists. */
#include <immintrin.h>

static inline __m256i dot4(__m256i sum, __m256i a, __m256i b)
{
    const __m256i pairs = _mm256_maddubs_epi16(a, b);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#define KERNEL_TABLE q8_kernel_avx2
#define KERNEL_NAME  "avx2"
#define KERNEL_NEEDS CPU_AVX2
#include "quant/kernels/avx2_body.h"
