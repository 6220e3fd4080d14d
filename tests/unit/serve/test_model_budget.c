/* model_budget.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/serve/model_budget.h"

static void a_limit_and_the_machine_both_count(void **state)
{
    (void)state;
    bool now;
    struct budget_state s = {
        .limit = 100, .used = 60, .left = 1000, .needed = 40, .at_least = 10};
    assert_int_equal(budget_shortage(&s, &now), 0);
    assert_true(now);
    s.needed = 41;
    assert_int_equal(budget_shortage(&s, &now), 1);
    assert_false(now);
    s.limit = 0; /* the machine alone */
    assert_int_equal(budget_shortage(&s, &now), 0);
    assert_true(now);
    s.left = 3;
    assert_int_equal(budget_shortage(&s, &now), 7);
    s.limit = 100;
    s.needed = 70; /* the larger shortage of the two */
    assert_int_equal(budget_shortage(&s, &now), 30);
}

static void what_is_leaving_is_waited_for_and_not_driven_out_again(void **state)
{
    (void)state;
    bool now;
    struct budget_state s = {
        .limit = 100, .used = 90, .leaving = 30, .left = 1000, .needed = 40, .at_least = 10};
    assert_int_equal(budget_shortage(&s, &now), 0);
    assert_false(now);
    s.leaving = 20;
    assert_int_equal(budget_shortage(&s, &now), 10);
}

static void kept_ones_go_first_then_who_was_used_longest_ago(void **state)
{
    (void)state;
    static const struct budget_item items[] = {
        {.bytes = 10, .used_ns = 1, .may_go = true},
        {.bytes = 10, .used_ns = 9, .is_kept = true, .may_go = true},
        {.bytes = 10, .used_ns = 2, .may_go = true},
        {.bytes = 10, .used_ns = 8, .is_kept = true, .may_go = true},
        {.bytes = 10, .used_ns = 0}};
    size_t chosen[5];
    assert_int_equal(budget_choose(items, 5, 40, chosen), 4);
    static const size_t order[] = {3, 1, 0, 2};
    assert_memory_equal(chosen, order, sizeof(order));
    assert_int_equal(budget_choose(items, 5, 11, chosen), 2);
    assert_int_equal(chosen[0], 3);
    assert_int_equal(chosen[1], 1);
}

static void none_goes_where_all_are_not_enough(void **state)
{
    (void)state;
    static const struct budget_item items[] = {{.bytes = 10, .may_go = true}, {.bytes = 90}};
    size_t chosen[2];
    assert_int_equal(budget_choose(items, 2, 11, chosen), 0);
    assert_int_equal(budget_choose(items, 2, 0, chosen), 0);
    assert_int_equal(budget_choose(items, 0, 1, chosen), 0);
    assert_int_equal(budget_choose(items, 2, UINT64_MAX, chosen), 0);
}

static void no_more_go_than_are_needed(void **state)
{
    (void)state;
    static const struct budget_item items[] = {{.bytes = 5, .used_ns = 1, .may_go = true},
                                               {.bytes = 50, .used_ns = 2, .may_go = true}};
    size_t chosen[2];
    assert_int_equal(budget_choose(items, 2, 40, chosen), 1);
    assert_int_equal(chosen[0], 1);
    assert_int_equal(budget_choose(items, 2, 51, chosen), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_and_the_machine_both_count),
        cmocka_unit_test(what_is_leaving_is_waited_for_and_not_driven_out_again),
        cmocka_unit_test(kept_ones_go_first_then_who_was_used_longest_ago),
        cmocka_unit_test(none_goes_where_all_are_not_enough),
        cmocka_unit_test(no_more_go_than_are_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
