/* answer_memory.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/serve/answer_memory.h"

static void add(struct answer_memory *m, int number, uint64_t tenant, uint64_t time_ns,
                size_t bytes)
{
    struct remembered_answer *a = mem_zalloc(sizeof(*a));
    snprintf(a->id, sizeof(a->id), "id-%d", number);
    a->tenant = tenant;
    a->time_ns = time_ns;
    a->n_choices = 1;
    a->messages = mem_strdup("[]");
    a->texts = mem_zarray(1, sizeof(char *));
    a->texts[0] = mem_strdup("text");
    a->bytes = bytes;
    answer_memory_add(m, a);
}

static bool knows(struct answer_memory *m, int number, uint64_t tenant, uint64_t now_ns)
{
    char id[32];
    snprintf(id, sizeof(id), "id-%d", number);
    const struct remembered_answer *a = answer_memory_find(m, id, tenant, now_ns);
    assert_true(!a || strcmp(a->id, id) == 0);
    return a != NULL;
}

static void the_newest_answers_are_known(void **state)
{
    (void)state;
    size_t before = mem_live();
    struct answer_memory *m = answer_memory_create(3, NULL, NULL);
    for (int i = 0; i < 100; i++) {
        add(m, i, 0, 1, 10);
        for (int k = 0; k <= i; k++) {
            assert_int_equal(knows(m, k, 0, 1), k > i - 3);
        }
    }
    assert_int_equal(answer_memory_count(m), 3);
    assert_false(knows(m, 1000, 0, 1));
    answer_memory_destroy(m);
    answer_memory_destroy(NULL);
    assert_int_equal(mem_live(), before);
}

static void an_answer_is_known_to_its_tenant_alone(void **state)
{
    (void)state;
    struct answer_memory *m = answer_memory_create(10, NULL, NULL);
    add(m, 1, 5, 1, 0);
    assert_true(knows(m, 1, 5, 1));
    assert_false(knows(m, 1, 6, 1));
    assert_false(knows(m, 1, 0, 1));
    answer_memory_destroy(m);
}

static void what_is_old_is_forgotten(void **state)
{
    (void)state;
    struct answer_memory *m = answer_memory_create(10, NULL, NULL);
    add(m, 1, 0, 1000, 0);
    add(m, 2, 0, 2000, 0);
    assert_true(knows(m, 1, 0, 1000 + ANSWER_MEMORY_NS));
    assert_false(knows(m, 1, 0, 1001 + ANSWER_MEMORY_NS));
    assert_true(knows(m, 2, 0, 1001 + ANSWER_MEMORY_NS));
    assert_int_equal(answer_memory_count(m), 1); /* and released */
    answer_memory_destroy(m);
}

static void texts_are_bounded_together(void **state)
{
    (void)state;
    struct answer_memory *m = answer_memory_create(100, NULL, NULL);
    for (int i = 0; i < 5; i++) {
        add(m, i, 0, 1, ANSWER_MEMORY_BYTES / 2);
    }
    assert_int_equal(answer_memory_count(m), 2);
    assert_true(knows(m, 3, 0, 1) && knows(m, 4, 0, 1));
    add(m, 5, 0, 1, 2 * ANSWER_MEMORY_BYTES); /* the newest is known, whatever it is */
    assert_int_equal(answer_memory_count(m), 1);
    answer_memory_destroy(m);
}

/* Numbers of what was forgotten, one behind the other. */
static void note(void *ctx, const struct remembered_answer *a)
{
    strcat(ctx, a->id + 2);
}

static void each_answer_that_leaves_is_told_once(void **state)
{
    (void)state;
    char told[64] = "";
    struct answer_memory *m = answer_memory_create(2, note, told);
    for (int i = 0; i < 5; i++) { /* by number */
        add(m, i, 0, 1, 0);
    }
    assert_string_equal(told, "-0-1-2");
    assert_true(knows(m, 4, 0, 1 + ANSWER_MEMORY_NS));
    assert_false(knows(m, 4, 0, 2 + ANSWER_MEMORY_NS)); /* by age */
    assert_string_equal(told, "-0-1-2-3-4");
    add(m, 5, 0, 2 + ANSWER_MEMORY_NS, ANSWER_MEMORY_BYTES);
    add(m, 6, 0, 2 + ANSWER_MEMORY_NS, 1); /* by bytes */
    assert_string_equal(told, "-0-1-2-3-4-5");
    answer_memory_destroy(m); /* of what is left more might have been said */
    assert_string_equal(told, "-0-1-2-3-4-5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_answers_are_known),
        cmocka_unit_test(an_answer_is_known_to_its_tenant_alone),
        cmocka_unit_test(what_is_old_is_forgotten),
        cmocka_unit_test(texts_are_bounded_together),
        cmocka_unit_test(each_answer_that_leaves_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
