#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/engine/team.h"

#define MOST 9 /* more threads than cores, on most machines that run this */

static struct team *make_team(int threads)
{
    struct err e = {0};
    struct team *t = team_create(threads, &e);
    if (!t) {
        fail_msg("%s", e.message);
    }
    return t;
}

struct count {
    atomic_int calls[MOST];
    atomic_int wrong_size;
    int expected_size;
};

static void count_call(void *ctx, int worker, int n_workers)
{
    struct count *c = ctx;
    atomic_fetch_add(&c->calls[worker], 1);
    if (n_workers != c->expected_size) {
        atomic_fetch_add(&c->wrong_size, 1);
    }
}

static void each_worker_is_called_exactly_once_a_run(void **state)
{
    (void)state;
    for (int threads = 1; threads <= MOST; threads++) {
        struct team *t = make_team(threads);
        struct count c = {.expected_size = threads};
        assert_int_equal(team_size(t), threads);
        for (int run = 1; run <= 200; run++) {
            team_run(t, count_call, &c);
            for (int i = 0; i < threads; i++) {
                assert_int_equal(atomic_load(&c.calls[i]), run);
            }
        }
        assert_int_equal(atomic_load(&c.wrong_size), 0);
        team_destroy(t);
    }
}

static void where_am_i(void *ctx, int worker, int n_workers)
{
    cpu_set_t *sets = ctx;
    (void)n_workers;
    pthread_getaffinity_np(pthread_self(), sizeof(sets[worker]), &sets[worker]);
}

/* On a thread of its own: the test's own thread stays free. */
static void *pin_a_team(void *ctx)
{
    cpu_set_t *all = ctx;
    struct err e = {0};
    cpu_set_t sets[2], both;
    struct team *t = make_team(2);
    int rc = team_pin(t, &e);
    if (CPU_COUNT(all) < 2) {
        assert_int_equal(rc, -1);
        assert_non_null(strstr(e.message, "--pin"));
    } else {
        assert_int_equal(rc, 0);
        team_run(t, where_am_i, sets);
        CPU_AND(&both, &sets[0], &sets[1]);
        assert_int_equal(CPU_COUNT(&sets[0]), 1);
        assert_int_equal(CPU_COUNT(&sets[1]), 1);
        assert_int_equal(CPU_COUNT(&both), 0);
    }
    team_destroy(t);
    return NULL;
}

static void pinned_workers_have_a_cpu_each(void **state)
{
    (void)state;
    struct err e = {0};
    cpu_set_t all;
    pthread_t thread;
    pthread_getaffinity_np(pthread_self(), sizeof(all), &all);
    assert_int_equal(pthread_create(&thread, NULL, pin_a_team, &all), 0);
    pthread_join(thread, NULL);
    assert_int_equal(team_check_pin(CPU_COUNT(&all), &e), 0);
    assert_int_equal(team_check_pin(CPU_COUNT(&all) + 1, &e), -1);
    assert_non_null(strstr(e.message, "lower --threads"));
}

/* Plain memory: a thread sanitizer sees any access that a barrier fails to order. */
struct ring {
    struct team *team;
    int slots[MOST];
    atomic_int errors;
};

static void pass_around(void *ctx, int worker, int n_workers)
{
    struct ring *r = ctx;
    for (int round = 0; round < 300; round++) {
        r->slots[worker] = round * MOST + worker;
        team_barrier(r->team);
        const int next = (worker + 1) % n_workers;
        if (r->slots[next] != round * MOST + next) {
            atomic_fetch_add(&r->errors, 1);
        }
        team_barrier(r->team);
    }
}

static void what_was_written_before_a_barrier_is_seen_after_it(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        struct ring r = {.team = make_team(threads)};
        team_run(r.team, pass_around, &r);
        assert_int_equal(atomic_load(&r.errors), 0);
        team_destroy(r.team);
    }
}

static void *run_a_ring(void *ctx)
{
    struct ring *r = ctx;
    for (int run = 0; run < 20; run++) {
        team_run(r->team, pass_around, r);
    }
    return NULL;
}

static void teams_beside_each_other_come_to_their_ends(void **state)
{
    (void)state;
    struct err e = {0};
    struct ring rings[3] = {
        {.team = make_team(2)}, {.team = make_team(2)}, {.team = team_create_behind(3, &e)}};
    pthread_t threads[3];
    assert_non_null(rings[2].team);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_a_ring, &rings[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&rings[i].errors), 0);
        team_destroy(rings[i].team);
    }
}

static void sum_part(void *ctx, int worker, int n_workers)
{
    uint64_t *sums = ctx;
    sums[worker] = 0;
    for (uint64_t i = (uint64_t)worker; i < 100003; i += (uint64_t)n_workers) {
        sums[worker] += i;
    }
}

static void results_of_a_run_are_seen_by_the_caller(void **state)
{
    (void)state;
    struct team *t = make_team(3);
    for (int run = 0; run < 1000; run++) {
        uint64_t sums[3] = {0};
        team_run(t, sum_part, sums);
        assert_true(sums[0] + sums[1] + sums[2] == 100003ull * 100002 / 2);
    }
    team_destroy(t);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void an_idle_team_uses_no_processor(void **state)
{
    (void)state;
    struct team *t = make_team(4);
    struct count c = {.expected_size = 4};
    team_run(t, count_call, &c);
    usleep(20000);
    const double before = cpu_seconds();
    usleep(300000);
    assert_true(cpu_seconds() - before < 0.05);
    team_run(t, count_call, &c); /* and it wakes again */
    assert_int_equal(atomic_load(&c.calls[3]), 2);
    team_destroy(t);
}

static void runs_work_after_every_kind_of_gap(void **state)
{
    (void)state;
    struct team *t = make_team(2);
    struct count c = {.expected_size = 2};
    /* Around the time at which waiting turns from spinning to sleeping. */
    for (int i = 0; i < 400; i++) {
        team_run(t, count_call, &c);
        struct timespec gap = {.tv_nsec = (long)(i % 40) * 5000};
        nanosleep(&gap, NULL);
    }
    assert_int_equal(atomic_load(&c.calls[0]), 400);
    assert_int_equal(atomic_load(&c.calls[1]), 400);
    team_destroy(t);
}

static void a_number_of_threads_out_of_range_is_refused(void **state)
{
    (void)state;
    const int wrong[] = {-1, 0, TEAM_MAX_THREADS + 1};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct err e = {0};
        assert_null(team_create(wrong[i], &e));
        assert_int_equal(e.kind, ERR_INVALID);
        assert_string_equal(e.param, "threads");
    }
    team_destroy(NULL);
}

static void a_failed_allocation_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    struct err e = {0};
    const size_t live = mem_live();
    mem_fail_at(1);
    assert_null(team_create(2, &e));
    mem_fail_at(0);
    assert_int_equal(e.kind, ERR_NOMEM);
    assert_int_equal(mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_worker_is_called_exactly_once_a_run),
        cmocka_unit_test(pinned_workers_have_a_cpu_each),
        cmocka_unit_test(what_was_written_before_a_barrier_is_seen_after_it),
        cmocka_unit_test(teams_beside_each_other_come_to_their_ends),
        cmocka_unit_test(results_of_a_run_are_seen_by_the_caller),
        cmocka_unit_test(an_idle_team_uses_no_processor),
        cmocka_unit_test(runs_work_after_every_kind_of_gap),
        cmocka_unit_test(a_number_of_threads_out_of_range_is_refused),
        cmocka_unit_test(a_failed_allocation_is_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
