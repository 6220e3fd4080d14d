/* What a step is put together of, without a model: who gets rows, which pages are shared, and
 * that a step which was given up leaves no trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "runtime/engine/schedule.h"

#define CONTEXT   256
#define SEQUENCES 4
#define MAX_ROWS  100
#define ANSWERED  7 /* the token that a model would have made */

static uint64_t last_id;

static void start(struct schedule *sch, int n_pages, double step_s)
{
    const struct llama_config c = {.n_layers = 1, .n_kv_heads = 1, .head_dim = 16};
    const struct schedule_settings s = {.max_sequences = SEQUENCES,
                                        .max_rows = MAX_ROWS,
                                        .context = CONTEXT,
                                        .n_pages = n_pages,
                                        .step_s = step_s,
                                        .guesses = ENGINE_GUESSES_NEVER};
    struct err e = {0};
    if (schedule_init(sch, &c, &s, &e) != 0) {
        fail_msg("%s", e.message);
    }
}

/* A prompt of n tokens, the first `common` of which all prompts have. */
static struct sequence *join(struct schedule *sch, size_t n, size_t common)
{
    int32_t prompt[CONTEXT];
    last_id++;
    for (size_t i = 0; i < n; i++) {
        prompt[i] = (int32_t)(i < common ? i : 1000 * last_id + i);
    }
    const struct engine_request r = {.prompt = prompt, .n_prompt = n, .max_tokens = CONTEXT};
    struct sequence *s = sequence_create(last_id, &r, kv_cache_pages(CONTEXT));
    assert_non_null(s);
    assert_true(schedule_has_room(sch, s));
    schedule_join(sch, s);
    return s;
}

/* The step is computed, and each sequence that wanted a token gets one. */
static void finish_step(struct schedule *sch, double seconds)
{
    schedule_done(sch, seconds);
    for (int i = 0; i < sch->n_samples; i++) {
        struct sequence *s = sch->samples[i].sequence;
        assert_int_equal(sequence_reserve(s, 1), 0);
        s->n_output++;
        schedule_append(sch, s, ANSWERED, 0);
    }
}

static void run_step(struct schedule *sch, double seconds)
{
    schedule_build(sch);
    finish_step(sch, seconds);
}

static void those_who_begin_alike_read_it_once_even_in_one_step(void **state)
{
    (void)state;
    struct schedule sch;
    start(&sch, 64, 1.0);
    struct sequence *a = join(&sch, 70, 64);
    struct sequence *b = join(&sch, 75, 64);
    schedule_build(&sch);
    assert_int_equal(sch.n_rows, 70 + 11);
    assert_int_equal(a->n_rows, 70);
    assert_int_equal(b->n_rows, 11);
    assert_int_equal(b->n_cached, 64);
    assert_int_equal(a->pages[0], b->pages[0]);
    assert_int_equal(a->pages[1], b->pages[1]);
    assert_int_not_equal(a->pages[2], b->pages[2]);
    assert_int_equal(sch.n_samples, 2);
    finish_step(&sch, 0.1);
    schedule_deinit(&sch);
}

static void of_the_page_in_which_two_part_the_second_takes_a_copy(void **state)
{
    (void)state;
    struct schedule sch;
    start(&sch, 64, 1.0);
    struct sequence *a = join(&sch, 60, 50);
    run_step(&sch, 0.1);
    struct sequence *b = join(&sch, 60, 50);
    run_step(&sch, 0.1);
    assert_int_equal(b->n_cached, 50);
    assert_int_equal(a->pages[0], b->pages[0]);
    assert_int_not_equal(a->pages[1], b->pages[1]);
    schedule_deinit(&sch);
}

static void nothing_is_copied_that_this_step_has_yet_to_compute(void **state)
{
    (void)state;
    struct schedule sch;
    start(&sch, 64, 1.0);
    struct sequence *a = join(&sch, MAX_ROWS, 64); /* takes all rows */
    struct sequence *b = join(&sch, 70, 64);
    struct sequence *c = join(&sch, 70, 50);
    schedule_build(&sch);
    assert_int_equal(a->n_rows, MAX_ROWS);
    assert_int_equal(b->kv.n_past, 64); /* shows pages of which nothing is there yet */
    assert_int_equal(c->kv.n_past, 32);
    finish_step(&sch, 0.1);
    schedule_build(&sch);
    assert_int_equal(c->n_cached, 50); /* now it is */
    schedule_deinit(&sch);
}

static void a_whole_page_is_copied_where_the_pool_has_lost_it(void **state)
{
    (void)state;
    struct schedule sch;
    start(&sch, 64, 1.0);
    struct sequence *a = join(&sch, 40, 32);
    run_step(&sch, 0.1);
    kv_pool_forget(&sch.pool,
                   a->pages[0]); /* as when it had the content of another, now gone */
    struct sequence *full = join(&sch, MAX_ROWS, 0); /* leaves no row for the next one */
    a->paused = true;
    struct sequence *b = join(&sch, 100, 32);
    schedule_build(&sch);
    assert_int_equal(full->n_rows, MAX_ROWS);
    assert_int_equal(b->kv.n_past, 32);
    assert_int_equal(b->kv.n_published, 1);
    finish_step(&sch, 0.1);
    run_step(&sch, 0.1);
    assert_int_equal(b->kv.n_past, 100);
    assert_int_equal(b->kv.n_published, 3);
    assert_int_equal(kv_pool_chain(&sch.pool, b->pages[2]), b->kv.chain);
    schedule_deinit(&sch);
}

static void running_answers_go_first_and_prompts_get_the_time_that_is_left(void **state)
{
    (void)state;
    struct schedule sch;
    start(&sch, 64, 0.050);
    struct sequence *a = join(&sch, 10, 0);
    run_step(&sch, 0.010);
    for (int i = 0; i < 20; i++) {
        run_step(&sch, 0.001); /* 1 ms a row */
    }
    struct sequence *b = join(&sch, 200, 0);
    schedule_build(&sch);
    assert_int_equal(a->n_rows, 1);
    assert_int_equal(sch.rows[0].slot, a->slot);
    assert_in_range(b->n_rows, 40, 55);
    finish_step(&sch, 0.050);
    a->paused = true;
    schedule_build(&sch);
    assert_int_equal(a->n_rows, 0);
    assert_int_equal(b->n_rows, MAX_ROWS); /* nobody waits for a token */
    finish_step(&sch, 0.1);
    schedule_deinit(&sch);
}

static void a_step_that_is_given_up_leaves_no_trace(void **state)
{
    (void)state;
    struct schedule sch;
    struct llama_row rows[MAX_ROWS];
    start(&sch, 64, 1.0);
    struct sequence *a = join(&sch, 40, 0);
    run_step(&sch, 0.1);
    struct sequence *b = join(&sch, 90, 70);
    struct sequence *c = join(&sch, 80, 70);
    int available = kv_pool_available(&sch.pool);
    schedule_build(&sch);
    int n_rows = sch.n_rows;
    assert_true(n_rows > 90);
    memcpy(rows, sch.rows, (size_t)n_rows * sizeof(rows[0]));
    assert_int_equal(schedule_largest(&sch), b->id);
    schedule_undo(&sch);
    assert_int_equal(a->kv.n_past, 40);
    assert_int_equal(b->kv.n_past, 0);
    assert_int_equal(c->kv.n_pages, 0);
    assert_int_equal(kv_pool_available(&sch.pool), available);
    schedule_build(&sch);
    assert_int_equal(sch.n_rows, n_rows);
    assert_memory_equal(sch.rows, rows, (size_t)n_rows * sizeof(rows[0]));
    finish_step(&sch, 0.1);

    /* Nothing of a step that was given up is found by others either. */
    struct sequence *d = join(&sch, 90, 0);
    schedule_build(&sch);
    schedule_undo(&sch);
    schedule_leave(&sch, d);
    struct kv_content first = {0};
    memcpy(first.tokens, d->tokens, sizeof(first.tokens));
    assert_int_equal(kv_pool_find(&sch.pool, &first), KV_PAGE_NONE);
    sequence_destroy(d);
    schedule_deinit(&sch);
}

static void when_pages_run_out_the_last_one_waits_and_all_come_to_an_end(void **state)
{
    (void)state;
    struct schedule sch;
    start(&sch, (int)kv_cache_pages(CONTEXT), 1.0); /* of one context */
    struct sequence *a = join(&sch, 90, 0);
    struct sequence *b = join(&sch, 90, 0);
    run_step(&sch, 0.1);
    run_step(&sch, 0.1);
    while (!sch.preempted) {
        assert_true(a->n_tokens < CONTEXT);
        run_step(&sch, 0.1);
    }
    assert_ptr_equal(sch.preempted, b);
    assert_int_equal(b->kv.n_pages, 0);
    assert_int_equal(sch.n_running, 1);
    assert_false(schedule_has_room(&sch, b));
    while (a->n_tokens < CONTEXT) {
        run_step(&sch, 0.1);
    }
    schedule_leave(&sch, a);
    sequence_destroy(a);
    sch.preempted = NULL;
    size_t n_tokens = b->n_tokens;
    schedule_join(&sch, b);
    while (b->n_tokens == n_tokens) {
        run_step(&sch, 0.1);
    }
    assert_int_equal(b->n_tokens, n_tokens + 1);
    assert_int_equal(b->kv.n_past, n_tokens);
    assert_int_equal(sch.stats.prompt_tokens, 180); /* read again is not counted again */
    schedule_deinit(&sch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_who_begin_alike_read_it_once_even_in_one_step),
        cmocka_unit_test(of_the_page_in_which_two_part_the_second_takes_a_copy),
        cmocka_unit_test(nothing_is_copied_that_this_step_has_yet_to_compute),
        cmocka_unit_test(a_whole_page_is_copied_where_the_pool_has_lost_it),
        cmocka_unit_test(running_answers_go_first_and_prompts_get_the_time_that_is_left),
        cmocka_unit_test(a_step_that_is_given_up_leaves_no_trace),
        cmocka_unit_test(when_pages_run_out_the_last_one_waits_and_all_come_to_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
