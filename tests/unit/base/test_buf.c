/* buf.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/base/buf.h"
#include "runtime/base/mem.h"

static void appends_gather_and_stay_terminated(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(buf_printf(&b, "%d,", i), 0);
        assert_int_equal(b.data[b.len], '\0');
    }
    assert_memory_equal(b.data, "0,1,2,3,", 8);
    buf_consume(&b, 4);
    assert_memory_equal(b.data, "2,3,", 4);
    buf_consume(&b, b.len);
    assert_int_equal(b.len, 0);
    buf_deinit(&b);
}

static void the_maximum_is_exact_and_a_failure_is_remembered(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4);
    assert_int_equal(buf_append_str(&b, "abcd"), 0);
    assert_int_equal(buf_append_char(&b, 'e'), -1);
    assert_true(b.failed);
    assert_string_equal(b.data, "abcd");
    assert_int_equal(buf_append(&b, "", 0), -1);
    buf_clear(&b);
    assert_int_equal(buf_printf(&b, "%s", "abcde"), -1);
    assert_int_equal(b.len, 0);
    buf_deinit(&b);
}

static void out_of_memory_keeps_the_content(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(buf_append_str(&b, "kept"), 0);
    char many[4096] = {0};
    mem_fail_at(1);
    assert_int_equal(buf_append(&b, many, sizeof(many)), -1);
    mem_fail_at(0);
    assert_string_equal(b.data, "kept");
    buf_deinit(&b);
}

static void take_hands_over_and_empties(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 16);
    size_t len = 1;
    char *nothing = buf_take(&b, &len);
    assert_string_equal(nothing, "");
    assert_int_equal(len, 0);
    mem_free(nothing);
    buf_append_str(&b, "text");
    char *text = buf_take(&b, &len);
    assert_string_equal(text, "text");
    assert_int_equal(len, 4);
    assert_int_equal(b.len, 0);
    mem_free(text);
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_gather_and_stay_terminated),
        cmocka_unit_test(the_maximum_is_exact_and_a_failure_is_remembered),
        cmocka_unit_test(out_of_memory_keeps_the_content),
        cmocka_unit_test(take_hands_over_and_empties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
