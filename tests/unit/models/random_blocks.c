#include "tests/unit/models/random_blocks.h"

#include "models/format/tensor_type.h"
#include "runtime/base/rng.h"

const uint32_t random_block_types[] = {TENSOR_Q4_0,   TENSOR_Q4_1,
                                       TENSOR_Q5_0,   TENSOR_Q5_1,
                                       TENSOR_Q2_K,   TENSOR_Q3_K,
                                       TENSOR_Q4_K,   TENSOR_Q5_K,
                                       TENSOR_Q6_K,   TENSOR_Q8_0,
                                       TENSOR_IQ4_NL, TENSOR_IQ4_XS,
                                       TENSOR_MXFP4,  0};

/* Where the f16 scales of a block lie; 0 bytes: none. */
static size_t scale_offsets(uint32_t type, size_t at[2])
{
    at[0] = 0;
    at[1] = 2;
    switch (type) {
    case TENSOR_Q4_1:
    case TENSOR_Q5_1:
    case TENSOR_Q4_K:
    case TENSOR_Q5_K:
        return 2;
    case TENSOR_Q2_K:
        at[0] = 80;
        at[1] = 82;
        return 2;
    case TENSOR_Q3_K:
        at[0] = 108;
        return 1;
    case TENSOR_Q6_K:
        at[0] = 208;
        return 1;
    case TENSOR_MXFP4:
        return 0;
    default:
        return 1;
    }
}

void random_blocks_fill(uint32_t type, uint64_t seed, unsigned char *row)
{
    const struct tensor_type_info *info = tensor_type_info(type);
    size_t at[2];
    const size_t n_scales = scale_offsets(type, at);
    struct rng r;
    rng_seed(&r, seed + type);
    for (size_t i = 0; i < RANDOM_BLOCKS_NUMBERS; i += info->block_size) {
        for (size_t k = 0; k < info->block_bytes; k++) {
            row[k] = (unsigned char)rng_below(&r, 256);
        }
        for (size_t k = 0; k < n_scales; k++) {
            const uint16_t scale = f16_from_f32(rng_uniform(&r) * 0.1f - 0.05f);
            row[at[k]] = (unsigned char)(scale & 255);
            row[at[k] + 1] = (unsigned char)(scale >> 8);
        }
        if (type == TENSOR_MXFP4) {
            row[0] = (unsigned char)(110 + rng_below(&r, 20));
        }
        row += info->block_bytes;
    }
}
