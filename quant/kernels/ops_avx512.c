/* ops_avx512.c: the operations of ops.h with AVX-512. */
#define OPS_TABLE        ops_avx512
#define OPS_NAME         "avx512"
#define OPS_NEEDS        (CPU_AVX2 | CPU_AVX512)
#define ATTEND_TOGETHER  8
#define ATTEND_SUMS      16
#define LOW_RANK_ABREAST 4
#include "quant/kernels/ops_body.h"
