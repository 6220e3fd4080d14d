#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/engine/fair_queue.h"

static uint64_t last_id;

static struct sequence *push(struct fair_queue *q, uint64_t tenant, int priority,
                             size_t n_prompt)
{
    static const int32_t prompt[64];
    const struct engine_request r = {.prompt = prompt,
                                     .n_prompt = n_prompt,
                                     .max_tokens = 1,
                                     .options = {.tenant = tenant, .priority = priority}};
    struct sequence *s = sequence_create(++last_id, &r, 4);
    assert_non_null(s);
    assert_int_equal(fair_queue_reserve(q, tenant), 0);
    fair_queue_push(q, s);
    return s;
}

/* Takes the next, charges what it costs and tells whose it was. */
static uint64_t serve(struct fair_queue *q)
{
    struct sequence *s = fair_queue_pop(q);
    assert_non_null(s);
    uint64_t tenant = s->options.tenant;
    fair_queue_charge(q, tenant, s->n_prompt);
    sequence_destroy(s);
    return tenant;
}

static void one_with_many_requests_delays_another_by_one_turn(void **state)
{
    (void)state;
    struct fair_queue q = {0};
    for (int i = 0; i < 100; i++) {
        push(&q, 1, 0, 10);
    }
    assert_int_equal(serve(&q), 1);
    push(&q, 2, 0, 10);
    assert_int_equal(q.prompt_tokens, 1000);
    assert_int_equal(serve(&q), 2);
    fair_queue_deinit(&q);
}

static void turns_are_counted_in_tokens(void **state)
{
    (void)state;
    struct fair_queue q = {0};
    int served[3] = {0};
    for (int i = 0; i < 40; i++) {
        push(&q, 1, 0, 40);
        push(&q, 2, 0, 10);
        push(&q, 2, 0, 10);
        push(&q, 2, 0, 10);
        push(&q, 2, 0, 10);
    }
    for (int i = 0; i < 50; i++) {
        served[serve(&q)]++;
    }
    assert_in_range(served[1], 9, 11);
    assert_in_range(served[2], 39, 41);
    fair_queue_deinit(&q);
}

static void who_was_away_is_owed_nothing(void **state)
{
    (void)state;
    struct fair_queue q = {0};
    for (int i = 0; i < 60; i++) {
        push(&q, 1, 0, 10);
    }
    push(&q, 2, 0, 10);
    for (int i = 0; i < 40; i++) {
        serve(&q);
    }
    for (int i = 0; i < 20; i++) {
        push(&q, 2, 0, 10);
    }
    int second = 0;
    for (int i = 0; i < 20; i++) {
        second += serve(&q) == 2;
    }
    assert_in_range(second, 9, 11);
    fair_queue_deinit(&q);
}

static void priority_counts_before_arrival_within_a_tenant(void **state)
{
    (void)state;
    struct fair_queue q = {0};
    struct sequence *late = push(&q, 1, 5, 1);
    struct sequence *plain = push(&q, 1, 0, 1);
    struct sequence *first = push(&q, 1, -1, 1);
    struct sequence *plain_too = push(&q, 1, 0, 1);
    struct sequence *const order[] = {first, plain, plain_too, late};
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(fair_queue_peek(&q), order[i]);
        sequence_destroy(fair_queue_pop(&q));
    }
    assert_null(fair_queue_pop(&q));
    fair_queue_deinit(&q);
}

static void one_can_be_taken_out_from_the_middle(void **state)
{
    (void)state;
    struct fair_queue q = {0};
    push(&q, 1, 0, 3);
    struct sequence *s = push(&q, 1, 0, 4);
    push(&q, 2, 0, 5);
    assert_ptr_equal(fair_queue_find(&q, s->id), s);
    fair_queue_remove(&q, s);
    assert_null(fair_queue_find(&q, s->id));
    assert_int_equal(q.count, 2);
    assert_int_equal(q.prompt_tokens, 8);
    sequence_destroy(s);
    fair_queue_deinit(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_with_many_requests_delays_another_by_one_turn),
        cmocka_unit_test(turns_are_counted_in_tokens),
        cmocka_unit_test(who_was_away_is_owed_nothing),
        cmocka_unit_test(priority_counts_before_arrival_within_a_tenant),
        cmocka_unit_test(one_can_be_taken_out_from_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
