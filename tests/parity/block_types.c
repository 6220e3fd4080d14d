/* block_types.c: our numbers out of each block format beside ggml's.
 *
 *     L=/path/to/llama.cpp; cc -O1 -D_GNU_SOURCE -ffp-contract=off -I. -I$L/ggml/include \
 *         tests/parity/block_types.c tests/unit/models/random_blocks.c
 * build/release/models/libmodels.a \ build/release/quant/libquant.a
 * build/release/runtime/base/libbase.a -L$L/build/bin -lggml-base -lm -o /tmp/block_types
 *     LD_LIBRARY_PATH=$L/build/bin /tmp/block_types
 *
 * Prints the largest difference of each type as a share of the row's largest number, and the
 * checksum that the unit test holds the type to. ggml may fuse a multiplication and an addition
 * where we round twice. */
#include <ggml.h>
#include <math.h>
#include <stdio.h>

#include "models/format/tensor_type.h"
#include "tests/unit/models/checksum.h"
#include "tests/unit/models/random_blocks.h"

int main(void)
{
    static unsigned char row[RANDOM_BLOCKS_BYTES];
    static float ours[RANDOM_BLOCKS_NUMBERS], theirs[RANDOM_BLOCKS_NUMBERS];
    int worse = 0;
    ggml_free(ggml_init((struct ggml_init_params){.mem_size = 1024})); /* fills its tables */
    for (const uint32_t *type = random_block_types; *type; type++) {
        const char *name = tensor_type_info(*type)->name;
        random_blocks_fill(*type, 1, row);
        if (tensor_row_to_f32(*type, row, ours, RANDOM_BLOCKS_NUMBERS) != 0) {
            printf("%-8s cannot be read\n", name);
            worse = 1;
            continue;
        }
        const uint64_t sum = checksum(ours, sizeof(ours));
        if (*type >= GGML_TYPE_COUNT ||
            !ggml_get_type_traits((enum ggml_type) * type)->to_float) {
            printf("%-8s checksum %016llx, not known to this ggml\n", name,
                   (unsigned long long)sum);
            continue;
        }
        ggml_get_type_traits((enum ggml_type) * type)
            ->to_float(row, theirs, RANDOM_BLOCKS_NUMBERS);
        float largest = 0.0f, apart = 0.0f;
        for (size_t i = 0; i < RANDOM_BLOCKS_NUMBERS; i++) {
            largest = fmaxf(largest, fabsf(theirs[i]));
            apart = fmaxf(apart, fabsf(ours[i] - theirs[i]));
        }
        printf("%-8s checksum %016llx, apart %.2g\n", name, (unsigned long long)sum,
               (double)(apart / largest));
        worse |= !(apart <= largest * 1e-6f);
    }
    return worse;
}
