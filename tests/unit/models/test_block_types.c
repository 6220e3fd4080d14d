/* Numbers out of the block formats of GGUF files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "models/format/block_types.h"
#include "models/format/tensor_type.h"
#include "tests/unit/models/checksum.h"
#include "tests/unit/models/random_blocks.h"

/* Of 2,048 numbers of each type, bit for bit those of ggml (c392e5094, February 2025; mxfp4 is
 * younger and only by our own formula): tests/parity/block_types.c. */
static const struct {
    uint32_t type;
    uint64_t sum;
} known_sums[] = {
    {TENSOR_Q4_0, 0x5ccc99cf2a37ffa8},   {TENSOR_Q4_1, 0xb34d41dcaed48bc0},
    {TENSOR_Q5_0, 0xeaf0783e3dd0f04a},   {TENSOR_Q5_1, 0x8366532819923a16},
    {TENSOR_Q2_K, 0xee4b731aa666ba95},   {TENSOR_Q3_K, 0xa0e59433430b4e23},
    {TENSOR_Q4_K, 0x428499ec4fd49e73},   {TENSOR_Q5_K, 0x317fb36ad6cb54de},
    {TENSOR_Q6_K, 0xa711a117b98bd73a},   {TENSOR_Q8_0, 0xc814d04fdf06f7dd},
    {TENSOR_IQ4_NL, 0xd2d3b7251d464664}, {TENSOR_IQ4_XS, 0x63233ef5ec5c686e},
    {TENSOR_MXFP4, 0x8ce562da23f801d0},
};

static void every_type_gives_the_numbers_it_is_known_to_give(void **state)
{
    (void)state;
    static unsigned char row[RANDOM_BLOCKS_BYTES];
    static float out[RANDOM_BLOCKS_NUMBERS];
    size_t n = 0;
    for (const uint32_t *type = random_block_types; *type; type++, n++) {
        const char *name = tensor_type_info(*type)->name;
        random_blocks_fill(*type, 1, row);
        assert_true(tensor_type_readable(*type));
        assert_int_equal(tensor_row_to_f32(*type, row, out, RANDOM_BLOCKS_NUMBERS), 0);
        assert_int_equal(known_sums[n].type, *type);
        if (checksum(out, sizeof(out)) != known_sums[n].sum) {
            fail_msg("%s: other numbers", name);
        }
    }
    assert_int_equal(n, sizeof(known_sums) / sizeof(known_sums[0]));
}

static void a_block_of_32_is_scale_times_steps(void **state)
{
    (void)state;
    /* scale 0.5; number 0 is 15, number 16 is 2, the others 8 */
    unsigned char q4[18] = {0x00, 0x38};
    float y[32];
    memset(q4 + 2, 0x88, 16);
    q4[2] = 0x2f;
    assert_int_equal(block_row_to_f32(TENSOR_Q4_0, q4, y, 32), 0);
    assert_true(y[0] == 0.5f * 7.0f && y[16] == 0.5f * -6.0f && y[1] == 0.0f && y[31] == 0.0f);

    /* exponent 127 is 1; e2m1: 0x7 is 6, 0x9 is -0.5 */
    unsigned char mx[17] = {127, 0x97};
    assert_int_equal(block_row_to_f32(TENSOR_MXFP4, mx, y, 32), 0);
    assert_true(y[0] == 6.0f && y[16] == -0.5f && y[1] == 0.0f);
}

static void rows_of_several_blocks_and_broken_rows(void **state)
{
    (void)state;
    unsigned char two[36] = {0x00, 0x3c};
    float y[64];
    memset(two + 2, 0x99, 16);
    memcpy(two + 18, two, 18);
    two[19] = 0x40; /* twice the scale */
    assert_int_equal(block_row_to_f32(TENSOR_Q4_0, two, y, 64), 0);
    assert_true(y[0] == 1.0f && y[31] == 1.0f && y[32] == 2.0f && y[63] == 2.0f);
    assert_int_equal(block_row_to_f32(TENSOR_Q4_0, two, y, 33), -1);
    assert_int_equal(block_row_to_f32(TENSOR_Q4_K, two, y, 64), -1);
    assert_int_equal(block_row_to_f32(TENSOR_F16, two, y, 32), -1);
    assert_false(tensor_type_readable(17)); /* iq2_xs */
    assert_false(tensor_type_readable(12345));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_gives_the_numbers_it_is_known_to_give),
        cmocka_unit_test(a_block_of_32_is_scale_times_steps),
        cmocka_unit_test(rows_of_several_blocks_and_broken_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
