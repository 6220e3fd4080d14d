/* ops_avx2.c: the operations of ops.h with AVX2, FMA and F16C. */
#define OPS_TABLE        ops_avx2
#define OPS_NAME         "avx2"
#define OPS_NEEDS        CPU_AVX2
#define ATTEND_TOGETHER  4
#define ATTEND_SUMS      4
#define LOW_RANK_ABREAST 2
#include "quant/kernels/ops_body.h"
