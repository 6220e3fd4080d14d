/* The published filter chains: what becomes of states that arrive in another order than they
 * were made, and of files among them. And which one a model gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/chain_pick.h"
#include "runtime/serve/chain_set.h"

static struct chain *make(uint32_t version)
{
    static const char json[] = "{\"filters\":[]}";
    const struct chain_options options = {.name = "a", .version = version};
    struct err e = {0};
    struct chain *c = chain_from_json(json, strlen(json), &options, &e);
    assert_non_null(c);
    return c;
}

/* The store's object is at this revision, with that version active; 0: none, or deleted. */
static void publish(struct chain_set *set, uint64_t revision, uint32_t active, bool is_choice)
{
    struct err e = {0};
    struct chain *c = active ? make(active) : NULL;
    const struct version_state state = {.name = "a", .revision = revision, .active = active};
    assert_int_equal(chain_set_publish(set, &state, c, is_choice, &e), 0);
    chain_unref(c);
}

static void publish_file(struct chain_set *set, uint32_t version)
{
    struct err e = {0};
    struct chain *c = make(version);
    assert_int_equal(chain_set_publish_file(set, "a", c, &e), 0);
    chain_unref(c);
}

/* The version that is served; 0: none. */
static uint32_t served(const struct chain_set *set)
{
    const struct served_chain *s = chain_set_find(set, "a");
    return s ? chain_version(s->chain) : 0;
}

static void the_greatest_revision_wins_in_any_order(void **state)
{
    (void)state;
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    size_t live = mem_live();
    for (int removed = 0; removed < 3; removed++) {
        for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
            struct chain_set set;
            struct err e = {0};
            assert_int_equal(chain_set_init(&set, &e), 0);
            for (size_t k = 0; k < 3; k++) {
                int step = orders[i][k];
                publish(&set, 7 + (uint64_t)step, step == removed ? 0 : (uint32_t)(1 + step),
                        true);
            }
            assert_int_equal(served(&set), removed == 2 ? 0 : 3);
            const struct served_chain *first = chain_set_find(&set, "default");
            assert_int_equal(first->origin, CHAIN_OF_NOBODY);
            assert_int_equal(chain_filter_count(first->chain), 0);
            chain_set_deinit(&set);
        }
    }
    assert_int_equal(mem_live(), live);
}

static void of_a_file_and_a_version_the_last_choice_counts(void **state)
{
    (void)state;
    struct chain_set set;
    struct err e = {0};
    size_t live = mem_live();
    assert_int_equal(chain_set_init(&set, &e), 0);
    publish_file(&set, 100);
    assert_int_equal(served(&set), 100);
    /* A version that was only stored; then a label on another that was active before. */
    publish(&set, 1, 0, false);
    publish(&set, 2, 1, false);
    assert_int_equal(served(&set), 100);
    publish(&set, 3, 2, true);
    assert_int_equal(served(&set), 2);
    publish_file(&set, 101);
    assert_int_equal(served(&set), 101);
    /* Late, and from before. */
    publish(&set, 2, 1, true);
    assert_int_equal(served(&set), 101);
    /* What was active already is activated again: the revision is the same. */
    publish(&set, 3, 2, true);
    assert_int_equal(served(&set), 2);
    publish_file(&set, 102);
    /* The store's object is deleted; the file is still there. */
    publish(&set, 4, 0, false);
    assert_int_equal(served(&set), 102);
    publish(&set, 3, 2, true);
    assert_int_equal(served(&set), 102);
    chain_set_deinit(&set);
    assert_int_equal(mem_live(), live);
}

static void who_has_a_chain_keeps_it(void **state)
{
    (void)state;
    struct chain_set set;
    struct err e = {0};
    size_t live = mem_live();
    assert_int_equal(chain_set_init(&set, &e), 0);
    publish(&set, 1, 1, true);
    struct chain *held = chain_ref(chain_set_find(&set, "a")->chain);
    publish(&set, 2, 2, true);
    publish(&set, 3, 0, false);
    chain_set_deinit(&set);
    assert_int_equal(chain_version(held), 1);
    chain_unref(held);
    assert_int_equal(mem_live(), live);
}

static void a_model_gets_the_chain_of_its_whole_name(void **state)
{
    (void)state;
    static const char *const pairs[] = {"tiny-2=lax", "tiny=strict", "a=b=c"};
    const struct server_settings set = {.filters_for = pairs, .n_filters_for = 3};
    assert_string_equal(chain_pick_for_model(&set, "tiny"), "strict");
    assert_string_equal(chain_pick_for_model(&set, "tiny-2"), "lax");
    assert_string_equal(chain_pick_for_model(&set, "a"), "b=c");
    assert_null(chain_pick_for_model(&set, "tin"));
    assert_null(chain_pick_for_model(&set, "tiny-"));
    assert_null(chain_pick_for_model(&set, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greatest_revision_wins_in_any_order),
        cmocka_unit_test(of_a_file_and_a_version_the_last_choice_counts),
        cmocka_unit_test(who_has_a_chain_keeps_it),
        cmocka_unit_test(a_model_gets_the_chain_of_its_whole_name),
    };
    log_set_level(LOG_LEVEL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
