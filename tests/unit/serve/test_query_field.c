/* query_field.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/serve/query_field.h"

static void expect(const char *query, const char *wanted)
{
    char out[16];
    struct err e = {0};
    int rc = query_field_text(query, "name", out, sizeof(out), &e);
    if (!wanted) {
        assert_int_equal(rc, -1);
        assert_string_equal(e.param, "name");
        return;
    }
    assert_int_equal(rc, 0);
    assert_string_equal(out, wanted);
}

static void values_are_decoded(void **state)
{
    (void)state;
    expect("", "");
    expect("other=1", "");
    expect("name", "");
    expect("name=", "");
    expect("xname=1&name=2", "2");
    expect("name=1&name=2", "1");
    expect("a=b&name=x%20y+z&c", "x y z");
    expect("name=%C3%BC%26", "\xc3\xbc&");
    expect("name=%41%62", "Ab");
    expect("name=123456789012345", "123456789012345");
    expect("name=1234567890123456", NULL);
}

static void what_is_malformed_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"name=%",   "name=%4",  "name=%zz",    "name=%4z",
                                        "name=%00", "name=%ff", "name=a%&b=41"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        expect(wrong[i], NULL);
    }
}

static void numbers_have_a_range(void **state)
{
    (void)state;
    struct err e = {0};
    unsigned long long n = 77;
    assert_int_equal(query_field_number("", "n", 1, 100, &n, &e), 0);
    assert_int_equal(n, 77);
    assert_int_equal(query_field_number("n=1", "n", 1, 100, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_int_equal(query_field_number("n=100", "n", 1, 100, &n, &e), 0);
    static const char *const wrong[] = {"n=0",  "n=101", "n=-1", "n=+1",
                                        "n=1x", "n=1.0", "n=x",  "n=99999999999999999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(query_field_number(wrong[i], "n", 1, 100, &n, &e), -1);
        assert_string_equal(e.param, "n");
        assert_int_equal(n, 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_decoded),
        cmocka_unit_test(what_is_malformed_is_refused),
        cmocka_unit_test(numbers_have_a_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
