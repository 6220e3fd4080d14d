/* err.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/utf8.h"

static void set_fills_kind_and_message_and_forgets_an_older_param(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(err_set_param(&e, ERR_LIMIT, "n", "first"), -1);
    assert_string_equal(e.param, "n");
    assert_int_equal(err_set(&e, ERR_INVALID, "%s has %d", "x", 3), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_string_equal(e.message, "x has 3");
    assert_string_equal(e.param, "");
}

static void a_long_message_is_cut_at_a_character(void **state)
{
    (void)state;
    for (size_t lead = 0; lead < 4; lead++) {
        char text[2 * ERR_MESSAGE_MAX + 8] = "abcd";
        size_t at = lead;
        while (at + 4 < sizeof(text)) {
            memcpy(text + at, "\xF0\x9F\x98\x80", 4);
            at += 4;
        }
        text[at] = '\0';
        struct err e = {0};
        err_set(&e, ERR_INVALID, "%s", text);
        assert_true(strlen(e.message) < ERR_MESSAGE_MAX);
        assert_true(strlen(e.message) >= ERR_MESSAGE_MAX - 8);
        assert_true(utf8_is_valid(e.message, strlen(e.message)));
        err_prefix(&e, "%s", "a prefix of the message");
        assert_true(utf8_is_valid(e.message, strlen(e.message)));
        assert_memory_equal(e.message, "a prefix of the message: ", 25);
    }
}

static void errno_decides_the_kind(void **state)
{
    (void)state;
    struct err e = {0};
    err_set_errno(&e, ENOENT, "f: cannot open");
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_string_equal(e.message, "f: cannot open: No such file or directory");
    err_set_errno(&e, ENOMEM, "f");
    assert_int_equal(e.kind, ERR_NOMEM);
    err_set_errno(&e, EACCES, "f");
    assert_int_equal(e.kind, ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_kind_and_message_and_forgets_an_older_param),
        cmocka_unit_test(a_long_message_is_cut_at_a_character),
        cmocka_unit_test(errno_decides_the_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
