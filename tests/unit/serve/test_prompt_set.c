/* The published prompts: what becomes of states that arrive in another order than they were
 * made. Without a model there is nothing to read ahead, and all is published at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/prompt_set.h"

static void count_done(void *user)
{
    ++*(int *)user;
}

static void publish(struct prompt_set *set, const char *name, uint64_t revision,
                    struct prompt *active)
{
    struct err e = {0};
    int done = 0;
    struct version_state state = {.revision = revision, .active = active ? 1 : 0};
    snprintf(state.name, sizeof(state.name), "%s", name);
    assert_int_equal(prompt_set_publish(set, &state, active, NULL, count_done, &done, &e), 0);
    assert_int_equal(done, 1);
}

/* The revision that is served; 0: none. */
static uint64_t served(const struct prompt_set *set, const char *name)
{
    const struct served_profile *p = prompt_set_find(set, name);
    return p ? p->state.revision : 0;
}

static void the_greatest_revision_wins_in_any_order(void **state)
{
    (void)state;
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    size_t live = mem_live();
    for (size_t removed = 0; removed < 3; removed++) {
        for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
            struct prompt_set set = {0};
            struct err e = {0};
            struct prompt *p = prompt_create(1, "x", 1, &e);
            assert_non_null(p);
            publish(&set, "b", 1, p);
            for (size_t k = 0; k < 3; k++) {
                size_t step = (size_t)orders[i][k];
                publish(&set, "a", 7 + step, step == removed ? NULL : p);
            }
            assert_int_equal(served(&set, "a"), removed == 2 ? 0 : 9);
            assert_int_equal(served(&set, "b"), 1);
            prompt_unref(p);
            prompt_set_deinit(&set);
        }
    }
    assert_int_equal(mem_live(), live);
}

static void the_latest_removals_are_remembered(void **state)
{
    (void)state;
    struct prompt_set set = {0};
    struct err e = {0};
    char name[16];
    struct prompt *p = prompt_create(1, "x", 1, &e);
    assert_non_null(p);
    for (int i = 0; i < 3 * VERSION_REMOVALS_MAX; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        publish(&set, name, 2, NULL);
    }
    for (int i = 2 * VERSION_REMOVALS_MAX; i < 3 * VERSION_REMOVALS_MAX; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        publish(&set, name, 1, p);
        assert_int_equal(served(&set, name), 0);
        publish(&set, name, 3, p);
        assert_int_equal(served(&set, name), 3);
    }
    prompt_unref(p);
    prompt_set_deinit(&set);
}

static void all_are_published_anew_for_another_model(void **state)
{
    (void)state;
    size_t live = mem_live();
    struct prompt_set set = {0};
    struct generation none = {.refs = 1}; /* makes no text: nothing to read */
    struct err e = {0};
    char name[16];
    struct prompt *p = prompt_create(1, "x", 1, &e);
    assert_non_null(p);
    for (int i = 0; i < VERSION_OBJECTS_MAX; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        publish(&set, name, 1, p);
    }
    for (int round = 0; round < 2; round++) {
        prompt_set_warm(&set, &none);
        assert_int_equal(set.count, VERSION_OBJECTS_MAX);
        for (size_t i = 0; i < set.count; i++) {
            assert_false(set.profiles[i]->is_cold);
        }
    }
    assert_int_equal(none.refs, 1);
    prompt_unref(p);
    prompt_set_deinit(&set);
    assert_int_equal(mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greatest_revision_wins_in_any_order),
        cmocka_unit_test(the_latest_removals_are_remembered),
        cmocka_unit_test(all_are_published_anew_for_another_model),
    };
    log_set_level(LOG_LEVEL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
