/* prompt_lookup.h and step_cost.h: what is guessed, and what a step is thought to take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/engine/prompt_lookup.h"
#include "runtime/engine/step_cost.h"

static void what_followed_last_time_is_guessed(void **state)
{
    (void)state;
    int32_t guess[PROMPT_LOOKUP_MAX];
    const int32_t tokens[] = {1, 2, 3, 70, 9, 1, 2, 3, 80, 81, 9, 9, 1, 2, 3};
    size_t n = sizeof(tokens) / sizeof(tokens[0]);
    assert_int_equal(prompt_lookup(tokens, n, guess, 4), 4);
    const int32_t wanted[] = {80, 81, 9, 9};
    assert_memory_equal(guess, wanted, sizeof(wanted));
    assert_int_equal(prompt_lookup(tokens, n, guess, 1), 1);
    assert_int_equal(prompt_lookup(tokens, n - 2, guess, 4), 0); /* 9 9 1 is new */
    assert_int_equal(prompt_lookup(tokens, 3, guess, 4), 0);
    assert_int_equal(prompt_lookup(tokens, 0, guess, 4), 0);
}

static void a_loop_is_guessed_as_far_as_it_is_known(void **state)
{
    (void)state;
    int32_t guess[PROMPT_LOOKUP_MAX];
    const int32_t tokens[] = {5, 5, 5, 5};
    assert_int_equal(prompt_lookup(tokens, 4, guess, 8), 1);
    assert_int_equal(guess[0], 5);
}

static void the_cost_of_a_step_is_learnt(void **state)
{
    (void)state;
    struct step_cost c = {0};
    assert_int_equal(step_cost_rows(&c, 0.1, 256), 256); /* nothing is known */
    for (int i = 0; i < 40; i++) {
        int rows = i % 2 ? 1 : 101;
        step_cost_observe(&c, rows, 0.020 + 0.001 * rows);
    }
    assert_true(step_cost_of(&c, 51) > 0.070 && step_cost_of(&c, 51) < 0.072);
    assert_in_range(step_cost_rows(&c, 0.0705, 256), 49, 51);
    assert_int_equal(step_cost_rows(&c, 0.001, 256), 1);
    assert_int_equal(step_cost_rows(&c, 10.0, 256), 256);
}

static void steps_of_one_size_tell_nothing_of_a_base(void **state)
{
    (void)state;
    struct step_cost c = {0};
    for (int i = 0; i < 10; i++) {
        step_cost_observe(&c, 8, 0.080);
    }
    assert_in_range(step_cost_rows(&c, 0.1601, 256), 16, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_followed_last_time_is_guessed),
        cmocka_unit_test(a_loop_is_guessed_as_far_as_it_is_known),
        cmocka_unit_test(the_cost_of_a_step_is_learnt),
        cmocka_unit_test(steps_of_one_size_tell_nothing_of_a_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
