#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/memory_left.h"

static const char meminfo[] = "MemTotal:       16000000 kB\nMemFree:          100000 kB\n"
                              "MemAvailable:    8000000 kB\nBuffers:           10000 kB\n";

static void the_kernels_word_counts(void **state)
{
    (void)state;
    assert_true(memory_left_of(meminfo, "", "") == 8000000ull * 1024);
    assert_true(memory_left_of(meminfo, "max\n", "123\n") == 8000000ull * 1024);
    assert_true(memory_left_of(meminfo, "99999999999\n", "1\n") == 8000000ull * 1024);
}

static void a_control_group_may_leave_less(void **state)
{
    (void)state;
    assert_true(memory_left_of(meminfo, "1000000\n", "400000\n") == 600000);
    assert_true(memory_left_of(meminfo, "1000000\n", "2000000\n") == 0);
    assert_true(memory_left_of("", "1000000\n", "400000\n") == 600000);
}

static void what_cannot_be_told_is_no_bound(void **state)
{
    (void)state;
    assert_true(memory_left_of("", "", "") == UINT64_MAX);
    assert_true(memory_left_of("MemAvailable:", "x", "1") == UINT64_MAX);
    assert_true(memory_left() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernels_word_counts),
        cmocka_unit_test(a_control_group_may_leave_less),
        cmocka_unit_test(what_cannot_be_told_is_no_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
