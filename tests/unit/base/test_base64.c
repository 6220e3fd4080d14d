/* base64.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/base/base64.h"
#include "runtime/base/mem.h"

/* RFC 4648, section 10. */
static void the_rfc_s_examples_hold(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out;
        buf_init(&out, 64);
        assert_int_equal(base64_append(&out, cases[i][0], strlen(cases[i][0])), 0);
        assert_int_equal(out.len, strlen(cases[i][1]));
        assert_memory_equal(out.len > 0 ? out.data : "", cases[i][1], out.len);
        buf_deinit(&out);
        struct err e = {0};
        buf_init(&out, 64);
        assert_int_equal(base64_decode(&out, cases[i][1], strlen(cases[i][1]), &e), 0);
        assert_int_equal(out.len, strlen(cases[i][0]));
        assert_memory_equal(out.len > 0 ? out.data : "", cases[i][0], out.len);
        buf_deinit(&out);
    }
}

static void what_is_no_base64_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "Z",    "Zg",   "Zg=",  "Zg==Zg==", "====",   "Z===",   "Zm9vYg=a",
        "Zm 9", "Zm9-", "Zh==", "Zm9=",     "Zm9v\n", "Zm9vZm9"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = {0};
        struct buf out;
        buf_init(&out, 64);
        assert_int_equal(base64_decode(&out, cases[i], strlen(cases[i]), &e), -1);
        assert_non_null(strstr(e.message, "no base64"));
        buf_deinit(&out);
    }
}

static void bytes_of_any_value_are_letters(void **state)
{
    (void)state;
    static const unsigned char bytes[] = {0xff, 0xfe, 0xfd, 0x00, 0x10, 0x83, 0xfb, 0xf0};
    struct buf out;
    buf_init(&out, 64);
    assert_int_equal(base64_append(&out, bytes, sizeof(bytes)), 0);
    assert_string_equal(out.data, "//79ABCD+/A=");
    buf_deinit(&out);
}

static void a_full_buffer_is_a_failure(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 7);
    assert_int_equal(base64_append(&out, "abcd", 4), -1);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rfc_s_examples_hold),
        cmocka_unit_test(what_is_no_base64_is_refused),
        cmocka_unit_test(bytes_of_any_value_are_letters),
        cmocka_unit_test(a_full_buffer_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
