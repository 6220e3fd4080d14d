/* mem.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/base/mem.h"

static void products_that_overflow_are_refused(void **state)
{
    (void)state;
    assert_null(mem_array(SIZE_MAX / 2, 3));
    assert_null(mem_zarray(SIZE_MAX, 2));
    char *p = mem_array(4, 4);
    assert_non_null(p);
    assert_null(mem_realloc_array(p, SIZE_MAX / 4, 8));
    mem_free(p);
}

static void strndup_copies_exactly(void **state)
{
    (void)state;
    char *copy = mem_strndup("abcdef", 3);
    assert_string_equal(copy, "abc");
    mem_free(copy);
    mem_free(NULL);
}

static void aligned_memory_is_aligned_and_zero(void **state)
{
    (void)state;
    for (size_t size = 1; size < ((size_t)8 << 20); size = size * 7 + 5) {
        unsigned char *p = mem_zalloc_aligned(size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < size; i += 97) {
            assert_int_equal(p[i], 0);
        }
        mem_free_aligned(p);
    }
}

static void the_chosen_allocation_fails_once(void **state)
{
    (void)state;
    size_t before = mem_live();
    mem_fail_at(2);
    void *first = mem_alloc(8);
    void *second = mem_alloc(8);
    void *third = mem_alloc(8);
    assert_true(mem_fail_reached());
    mem_fail_at(0);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    assert_int_equal(mem_live(), before + 2);
    mem_free(first);
    mem_free(third);
    assert_int_equal(mem_live(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_that_overflow_are_refused),
        cmocka_unit_test(strndup_copies_exactly),
        cmocka_unit_test(aligned_memory_is_aligned_and_zero),
        cmocka_unit_test(the_chosen_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
