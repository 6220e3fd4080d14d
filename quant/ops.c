#include "quant/ops.h"

#include "quant/kernels/kernels.h"

const struct ops *const ops_variants[] = {
#if defined(__x86_64__)
    &ops_avx512,
    &ops_avx2,
#elif defined(__aarch64__)
    &ops_neon,
#endif
    &ops_base,
    NULL,
};

const struct ops *ops_select(uint32_t features)
{
    for (const struct ops *const *o = ops_variants; *o; o++) {
        if (((*o)->needs & ~features) == 0) {
            return *o;
        }
    }
    return &ops_base;
}

size_t ops_attention_scratch(size_t n_positions)
{
    const size_t queries = 8; /* QUERIES in ops_body.h */
    return queries * ((n_positions + OPS_KV_BLOCK - 1) / OPS_KV_BLOCK * OPS_KV_BLOCK);
}
