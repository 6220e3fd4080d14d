/* Waits with an end, by a clock that nobody sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/cond.h"

struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    bool has_rung;
};

static void init(struct bell *b)
{
    *b = (struct bell){0};
    pthread_mutex_init(&b->lock, NULL);
    cond_init(&b->rung);
}

static void deinit(struct bell *b)
{
    pthread_cond_destroy(&b->rung);
    pthread_mutex_destroy(&b->lock);
}

static void a_wait_ends_at_its_time_and_not_before(void **state)
{
    (void)state;
    struct bell b;
    init(&b);
    uint64_t until = clock_now_ns() + 20000000u;
    pthread_mutex_lock(&b.lock);
    while (cond_wait_until(&b.rung, &b.lock, until)) {
    }
    pthread_mutex_unlock(&b.lock);
    assert_true(clock_now_ns() >= until);
    deinit(&b);
}

static void a_time_that_is_over_is_not_waited_for(void **state)
{
    (void)state;
    struct bell b;
    init(&b);
    pthread_mutex_lock(&b.lock);
    assert_false(cond_wait_until(&b.rung, &b.lock, clock_now_ns() - 1));
    pthread_mutex_unlock(&b.lock);
    deinit(&b);
}

static void *ring(void *arg)
{
    struct bell *b = arg;
    pthread_mutex_lock(&b->lock);
    b->has_rung = true;
    pthread_cond_signal(&b->rung);
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

static void a_signal_ends_it_too(void **state)
{
    (void)state;
    struct bell b;
    pthread_t thread;
    init(&b);
    pthread_mutex_lock(&b.lock);
    assert_int_equal(pthread_create(&thread, NULL, ring, &b), 0);
    while (!b.has_rung) {
        assert_true(cond_wait_until(&b.rung, &b.lock, UINT64_MAX / 2));
    }
    pthread_mutex_unlock(&b.lock);
    pthread_join(thread, NULL);
    deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_ends_at_its_time_and_not_before),
        cmocka_unit_test(a_time_that_is_over_is_not_waited_for),
        cmocka_unit_test(a_signal_ends_it_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
