/* file.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"

static char folder[] = "/tmp/weir-test-file-XXXXXX";
static char path[128];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/file", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails if anything was left behind */
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct err e = {0};
    static const char content[] = "one\0two";
    for (int round = 0; round < 2; round++) {
        assert_int_equal(file_write_atomic(path, content, sizeof(content), &e), 0);
        size_t len = 0;
        char *text = file_read(path, 100, &len, &e);
        assert_non_null(text);
        assert_int_equal(len, sizeof(content));
        assert_memory_equal(text, content, len);
        mem_free(text);
    }
}

static void a_file_over_the_limit_is_refused(void **state)
{
    (void)state;
    struct err e = {0};
    size_t len = 0;
    assert_int_equal(file_write_atomic(path, "12345", 5, &e), 0);
    assert_null(file_read(path, 4, &len, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_non_null(strstr(e.message, path));
    char *text = file_read(path, 5, &len, &e);
    assert_string_equal(text, "12345");
    mem_free(text);
}

static void a_missing_file_and_a_folder_are_told_by_name(void **state)
{
    (void)state;
    struct err e = {0};
    size_t len = 0;
    assert_null(file_read("/nonexistent/x", 10, &len, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(e.message, "/nonexistent/x"));
    assert_null(file_read(folder, 10, &len, &e));
    assert_non_null(strstr(e.message, "is a directory"));
    assert_int_equal(file_write_atomic("/nonexistent/x", "a", 1, &e), -1);
    assert_non_null(strstr(e.message, "/nonexistent/x"));
}

static void only_regular_files_are_read_without_waiting(void **state)
{
    (void)state;
    struct err e = {0};
    size_t len = 0;
    char name[128];
    snprintf(name, sizeof(name), "%s/pipe", folder);
    assert_int_equal(mkfifo(name, 0600), 0); /* nobody writes to it */
    assert_null(file_read_regular(name, 10, &len, &e));
    assert_non_null(strstr(e.message, "/pipe: not a regular file"));
    assert_null(file_read_regular(folder, 10, &len, &e));
    assert_non_null(strstr(e.message, "not a regular file"));
    assert_null(file_read_regular("/nonexistent/x", 10, &len, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(file_write_atomic(name, "12345", 5, &e), 0);
    assert_null(file_read_regular(name, 4, &len, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    char *text = file_read_regular(name, 5, &len, &e);
    assert_string_equal(text, "12345");
    mem_free(text);
    assert_int_equal(unlink(name), 0);
}

static void parts_are_written_one_behind_the_other(void **state)
{
    (void)state;
    struct err e;
    size_t len;
    const struct file_part parts[] = {{"head", 4}, {"", 0}, {"tail", 4}};
    assert_int_equal(file_write_atomic_parts(path, parts, 3, &e), 0);
    char *text = file_read(path, 100, &len, &e);
    assert_non_null(text);
    assert_string_equal(text, "headtail");
    mem_free(text);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_written_one_behind_the_other),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
        cmocka_unit_test(a_missing_file_and_a_folder_are_told_by_name),
        cmocka_unit_test(only_regular_files_are_read_without_waiting),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
