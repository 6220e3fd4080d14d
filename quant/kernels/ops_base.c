/* ops_base.c: the operations of ops.h for any processor. */
#define OPS_TABLE        ops_base
#define OPS_NAME         "base"
#define OPS_NEEDS        0
#define ATTEND_TOGETHER  4
#define ATTEND_SUMS      4
#define LOW_RANK_ABREAST 2
#include "quant/kernels/ops_body.h"
