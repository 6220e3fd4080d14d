/* ops_neon.c: the operations of ops.h with NEON. */
#define LANES_NEON
#define OPS_TABLE        ops_neon
#define OPS_NAME         "neon"
#define OPS_NEEDS        CPU_NEON
#define ATTEND_TOGETHER  4
#define ATTEND_SUMS      4
#define LOW_RANK_ABREAST 2
#include "quant/kernels/ops_body.h"
