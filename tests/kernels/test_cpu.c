#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "quant/cpu.h"
#include "quant/ops.h"
#include "quant/q8_kernel.h"

static void each_feature_comes_with_those_it_builds_on(void **state)
{
    (void)state;
    const uint32_t f = cpu_features();
    if (f & CPU_AMX_INT8) {
        assert_true(f & CPU_AVX512_VNNI);
    }
    if (f & CPU_AVX512_VNNI) {
        assert_true(f & CPU_AVX512);
    }
    if (f & (CPU_AVX512 | CPU_AVX_VNNI)) {
        assert_true(f & CPU_AVX2);
    }
    if (f & CPU_I8MM) {
        assert_true(f & CPU_DOTPROD);
    }
    if (f & CPU_DOTPROD) {
        assert_true(f & CPU_NEON);
    }
    assert_int_equal(f, cpu_features());
}

static void the_name_of_each_kernel_selects_it_where_it_can_run(void **state)
{
    (void)state;
    for (const struct q8_kernel *const *k = q8_kernels; *k; k++) {
        uint32_t mask;
        assert_int_equal(cpu_features_named((*k)->name, &mask), 0);
        assert_int_equal((*k)->needs & ~mask, 0);
        assert_ptr_equal(q8_kernel_select(mask), *k);
    }
}

static void reference_and_auto_are_the_two_ends(void **state)
{
    (void)state;
    uint32_t none = 1, all = 0;
    assert_int_equal(cpu_features_named("ref", &none), 0);
    assert_int_equal(cpu_features_named("auto", &all), 0);
    assert_int_equal(none, 0);
    assert_int_equal(all, CPU_ALL);
    assert_string_equal(q8_kernel_select(none)->name, "ref");
    assert_string_equal(ops_select(none)->name, "base");
}

static void an_unknown_name_is_refused(void **state)
{
    (void)state;
    uint32_t mask = 77;
    assert_int_equal(cpu_features_named("avx1024", &mask), -1);
    assert_int_equal(cpu_features_named("", &mask), -1);
    assert_int_equal(mask, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_feature_comes_with_those_it_builds_on),
        cmocka_unit_test(the_name_of_each_kernel_selects_it_where_it_can_run),
        cmocka_unit_test(reference_and_auto_are_the_two_ends),
        cmocka_unit_test(an_unknown_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
