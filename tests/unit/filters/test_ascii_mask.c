/* Words found 64 bytes at a time: each processor's way says what the plain one does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "filters/ascii_mask.h"
#include "filters/letters.h"
#include "runtime/base/rng.h"

static void assert_same(const char *text)
{
    struct ascii_mask wanted = ascii_mask_of_plain(text);
    struct ascii_mask got = ascii_mask_of(text);
    assert_true(wanted.word == got.word);
    assert_true(wanted.high == got.high);
}

static void each_byte_at_each_place_is_what_it_is(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        for (unsigned at = 0; at < ASCII_MASK_BYTES; at++) {
            char text[ASCII_MASK_BYTES];
            memset(text, ' ', sizeof(text));
            text[at] = (char)c;
            struct ascii_mask mask = ascii_mask_of_plain(text);
            assert_true(mask.word == (uint64_t)(c < 0x80 && letter_is_in_word(c)) << at);
            assert_true(mask.high == (uint64_t)(c >= 0x80) << at);
            assert_same(text);
        }
    }
}

static void random_bytes_are_the_same_in_every_way(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < 10000; i++) {
        char text[ASCII_MASK_BYTES + 3];
        for (size_t k = 0; k < sizeof(text); k++) {
            text[k] = (char)rng_below(&rng, 256);
        }
        assert_same(text + i % 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_at_each_place_is_what_it_is),
        cmocka_unit_test(random_bytes_are_the_same_in_every_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
