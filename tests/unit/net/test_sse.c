#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/net/sse.h"

static void expect_event(const char *event, const char *data, const char *wanted)
{
    struct buf b;
    buf_init(&b, 1024);
    assert_int_equal(sse_append_event(&b, event, data, strlen(data)), 0);
    assert_string_equal(b.data, wanted);
    buf_deinit(&b);
}

static void an_event_is_one_data_line_and_an_empty_one(void **state)
{
    (void)state;
    expect_event(NULL, "{\"a\":1}", "data: {\"a\":1}\n\n");
    expect_event(NULL, "", "data: \n\n");
}

static void a_named_event_has_its_name_first(void **state)
{
    (void)state;
    expect_event("message_start", "{}", "event: message_start\ndata: {}\n\n");
}

static void every_line_end_in_the_text_begins_a_data_line(void **state)
{
    (void)state;
    expect_event(NULL, "a\nb", "data: a\ndata: b\n\n");
    expect_event(NULL, "a\r\nb\rc", "data: a\ndata: b\ndata: c\n\n");
    expect_event(NULL, "a\n", "data: a\ndata: \n\n");
    expect_event(NULL, "\n\ndata: forged", "data: \ndata: \ndata: data: forged\n\n");
}

static void a_comment_is_ignored_by_readers(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1024);
    assert_int_equal(sse_append_comment(&b, "ping"), 0);
    assert_string_equal(b.data, ": ping\n\n");
    buf_deinit(&b);
}

static void a_full_buffer_is_reported(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 8);
    assert_int_equal(sse_append_event(&b, NULL, "too long", 8), -1);
    assert_true(b.failed);
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_one_data_line_and_an_empty_one),
        cmocka_unit_test(a_named_event_has_its_name_first),
        cmocka_unit_test(every_line_end_in_the_text_begins_a_data_line),
        cmocka_unit_test(a_comment_is_ignored_by_readers),
        cmocka_unit_test(a_full_buffer_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
