/* Which characters are one letter, and which go on a word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filters/letters.h"

static void forms_of_one_letter_fold_to_the_same(void **state)
{
    (void)state;
    static const uint32_t same[][2] = {
        {'A', 'a'},      {0xC9, 0xE9},     {0x17F, 's'},       {0x212A, 'k'},
        {0x3C2, 0x3C3},  {0x1E9E, 0xDF},   {0x130, 'i'},       {0x131, 'i'},
        {0xB5, 0x3BC},   {0x1C5, 0x1C6},   {0x2126, 0x3C9},    {0x410, 0x430},
        {0x23A, 0x2C65}, {0x10A0, 0x2D00}, {0x10400, 0x10428}, {0x345, 0x3B9},
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        assert_int_equal(letter_fold(same[i][0]), letter_fold(same[i][1]));
    }
}

static void accents_and_other_letters_stay_apart(void **state)
{
    (void)state;
    assert_int_not_equal(letter_fold('e'), letter_fold(0xE9));
    assert_int_not_equal(letter_fold('s'), letter_fold(0xDF));
    assert_int_equal(letter_fold('['), '[');
    assert_int_equal(letter_fold(0x4E2D), 0x4E2D);
}

static void folding_twice_is_folding_once(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        assert_int_equal(letter_fold(letter_fold(c)), letter_fold(c));
    }
}

static void letters_marks_and_numbers_go_on_a_word(void **state)
{
    (void)state;
    static const uint32_t in[] = {'a', 'Z', '0', '_', 0xE9, 0x430, 0x301, 0x663, 0x5D0, 0xAC00};
    static const uint32_t out[] = {' ',    '-',    '\'',   '.',    '\n',  0,       0x2019,
                                   0x200B, 0x4E2D, 0x3042, 0x30AB, 0xE01, 0x1F642, 0x20AC};
    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
        assert_true(letter_is_in_word(in[i]));
    }
    for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
        assert_false(letter_is_in_word(out[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_one_letter_fold_to_the_same),
        cmocka_unit_test(accents_and_other_letters_stay_apart),
        cmocka_unit_test(folding_twice_is_folding_once),
        cmocka_unit_test(letters_marks_and_numbers_go_on_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
