/* json_lines.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/json_lines.h"

static char path[] = "/tmp/weir-test-json-lines-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const char *text, size_t len)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void expect_line(struct json_lines *l, unsigned long number, const char *text)
{
    struct err e;
    assert_int_equal(json_lines_next(l, &e), 1);
    assert_int_equal(l->number, number);
    assert_int_equal(l->len, strlen(text));
    assert_memory_equal(l->text, text, l->len + 1);
}

static void blank_lines_count_and_are_passed_over(void **state)
{
    static const char text[] = "\xEF\xBB\xBF{\"a\":1}\r\n\n \t\r\n[2]\n\xEF\xBB\xBF\n3";
    struct json_lines l;
    struct err e;
    (void)state;
    write_file(text, sizeof(text) - 1);
    assert_int_equal(json_lines_open(&l, path, true, &e), 0);
    expect_line(&l, 1, "{\"a\":1}\r\n");
    expect_line(&l, 4, "[2]\n");
    expect_line(&l, 5, "\xEF\xBB\xBF\n"); /* no mark in the middle of a file */
    expect_line(&l, 6, "3");
    assert_int_equal(json_lines_next(&l, &e), 0);
    json_lines_close(&l);
}

static void a_mark_alone_is_no_line(void **state)
{
    struct json_lines l;
    struct err e;
    (void)state;
    write_file("\xEF\xBB\xBF\n", 4);
    assert_int_equal(json_lines_open(&l, path, false, &e), 0);
    assert_int_equal(json_lines_next(&l, &e), 0);
    json_lines_close(&l);
}

static void what_is_wrong_is_told_with_its_place(void **state)
{
    struct json_lines l;
    struct err e;
    char message[sizeof(path) + 40];
    (void)state;
    write_file("\n{}\n", 4);
    assert_int_equal(json_lines_open(&l, path, false, &e), 0);
    assert_int_equal(json_lines_next(&l, &e), 1);
    err_set(&e, ERR_FORMAT, "no good");
    assert_int_equal(json_lines_blame(&l, &e), -1);
    snprintf(message, sizeof(message), "%s: line 2: no good", path);
    assert_string_equal(e.message, message);
    json_lines_close(&l);
}

static void missing_files_and_folders_are_errors(void **state)
{
    struct json_lines l;
    struct err e;
    (void)state;
    assert_int_equal(json_lines_open(&l, "/tmp/there/is/none", false, &e), -1);
    assert_non_null(strstr(e.message, "/tmp/there/is/none: cannot open"));
    assert_int_equal(json_lines_open(&l, "/tmp", false, &e), 0);
    assert_int_equal(json_lines_next(&l, &e), -1);
    assert_non_null(strstr(e.message, "/tmp: cannot read"));
    json_lines_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blank_lines_count_and_are_passed_over),
        cmocka_unit_test(a_mark_alone_is_no_line),
        cmocka_unit_test(what_is_wrong_is_told_with_its_place),
        cmocka_unit_test(missing_files_and_folders_are_errors),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
