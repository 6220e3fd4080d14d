/* utf8.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/base/utf8.h"

static void every_code_point_survives(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        if (c >= 0xD800 && c <= 0xDFFF) {
            continue;
        }
        char bytes[4];
        uint32_t back = 0;
        int n = utf8_encode(c, bytes);
        if (utf8_decode(bytes, (size_t)n, &back) != n || back != c) {
            fail_msg("U+%X", c);
        }
        for (int cut = 1; cut < n; cut++) {
            assert_int_equal(utf8_decode(bytes, (size_t)cut, &back), 0);
            assert_int_equal(utf8_incomplete_tail(bytes, (size_t)cut), cut);
        }
        assert_int_equal(utf8_incomplete_tail(bytes, (size_t)n), 0);
    }
}

/* RFC 3629 section 3: no overlong forms, surrogates or values beyond U+10FFFF. */
static void forbidden_sequences_are_invalid(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xED\xBF\xBF",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xFF",
                                      "\xC3\x28",
                                      "\xE2\x82\x28"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint32_t c;
        assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), &c), -1);
        assert_false(utf8_is_valid(bad[i], strlen(bad[i])));
    }
}

static void the_valid_prefix_ends_before_the_first_fault(void **state)
{
    (void)state;
    assert_int_equal(utf8_valid_prefix("ab\xE2\x82\xAC\xFFz", 7), 5);
    assert_int_equal(utf8_valid_prefix("ab\xE2\x82", 4), 2);
    assert_true(utf8_is_valid("", 0));
}

static void chunks_are_whole_characters(void **state)
{
    (void)state;
    const char *text = "a\xE2\x82\xAC"
                       "b";
    assert_int_equal(utf8_chunk_len(text, 5, 1), 1);
    assert_int_equal(utf8_chunk_len(text, 5, 3), 1);
    assert_int_equal(utf8_chunk_len(text, 5, 4), 4);
    assert_int_equal(utf8_chunk_len(text, 5, 100), 5);
    assert_int_equal(utf8_chunk_len(text + 1, 4, 1), 3); /* one character at least */
    assert_int_equal(utf8_chunk_len(text, 0, 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_survives),
        cmocka_unit_test(forbidden_sequences_are_invalid),
        cmocka_unit_test(the_valid_prefix_ends_before_the_first_fault),
        cmocka_unit_test(chunks_are_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
