/* trace_context.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/net/trace_context.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN  "00f067aa0ba902b7"

static void a_field_of_the_standard_is_read(void **state)
{
    (void)state;
    struct trace_context c;
    assert_true(trace_context_parse("00-" TRACE "-" SPAN "-01", &c));
    assert_string_equal(c.trace, TRACE);
    assert_string_equal(c.span, SPAN);
    assert_true(c.is_sampled);
    assert_true(trace_context_parse("00-" TRACE "-" SPAN "-00", &c));
    assert_false(c.is_sampled);
    assert_true(trace_context_parse("00-" TRACE "-" SPAN "-03", &c)); /* the random flag too */
    assert_true(c.is_sampled);
}

static void a_later_version_is_read_as_far_as_this_one_goes(void **state)
{
    (void)state;
    struct trace_context c;
    assert_true(trace_context_parse("cc-" TRACE "-" SPAN "-01-what-comes-later", &c));
    assert_string_equal(c.trace, TRACE);
    assert_true(trace_context_parse("cc-" TRACE "-" SPAN "-01", &c));
    assert_false(trace_context_parse("cc-" TRACE "-" SPAN "-01.later", &c));
}

static void what_is_no_such_field_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN "-1",
        "00-" TRACE "-" SPAN "-01-more", /* this version ends here */
        "00-" TRACE "-" SPAN "-0x",
        "00-" TRACE "_" SPAN "-01",
        "ff-" TRACE "-" SPAN "-01",
        "0X-" TRACE "-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-" SPAN "-01",
        " 00-" TRACE "-" SPAN "-01",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct trace_context c;
        if (trace_context_parse(bad[i], &c)) {
            fail_msg("\"%s\" was read", bad[i]);
        }
    }
}

static void what_is_begun_is_new_and_can_be_read(void **state)
{
    (void)state;
    char text[TRACE_PARENT_LEN + 1];
    char before[TRACE_PARENT_LEN + 1] = "";
    double sum = 0;
    for (int i = 0; i < 1000; i++) {
        struct trace_context made, read;
        trace_context_begin(&made);
        made.is_sampled = i % 2;
        trace_context_format(&made, text);
        assert_int_equal(strlen(text), TRACE_PARENT_LEN);
        assert_true(trace_context_parse(text, &read));
        assert_string_equal(read.trace, made.trace);
        assert_string_equal(read.span, made.span);
        assert_int_equal(read.is_sampled, i % 2);
        assert_string_not_equal(text, before);
        memcpy(before, text, sizeof(text));
        double share = trace_context_share(&made);
        assert_true(share >= 0 && share < 1);
        sum += share;
    }
    assert_true(sum > 400 && sum < 600); /* eleven standard deviations */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_of_the_standard_is_read),
        cmocka_unit_test(a_later_version_is_read_as_far_as_this_one_goes),
        cmocka_unit_test(what_is_no_such_field_is_refused),
        cmocka_unit_test(what_is_begun_is_new_and_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
