/* Chains that wait for services outside, case by case: what leaves when, what is bounded, and
 * what becomes of failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "filters/chain_queue.h"
#include "filters/webhook.h"
#include "filters/wordlist.h"
#include "runtime/base/mem.h"
#include "tests/unit/filters/outside_run.h"

static const struct filter_type *const types[] = {&filter_wordlist, &filter_webhook, NULL};

#define HOOK "{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\",\"url\":\"http://h/\"}]}"

static uint32_t pass_all(const struct fake_question *q, char *out, void *ctx)
{
    (void)q, (void)ctx;
    strcpy(out, "{\"verdict\":\"pass\"}");
    return 200;
}

static int give(struct outside_run *run, enum filter_channel channel, const char *text)
{
    struct chain_sink sink = outside_run_sink(run);
    struct err e;
    return chain_feed(run->stream, channel, text, strlen(text), &sink, &e);
}

static void nothing_leaves_before_it_was_ruled_on(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct chain *chain = trace_chain(HOOK, types);
    struct outside_run run;
    outside_run_begin(&run, chain, AT_THE_END, &rng, pass_all, NULL);
    struct chain_sink sink = outside_run_sink(&run);
    struct err e;
    give(&run, FILTER_CONTENT, "One. Two. Th");
    assert_true(chain_stream_is_waiting(run.stream));
    assert_int_equal(run.log.len, 0);
    give(&run, FILTER_REASONING, "hm");
    chain_around(run.stream, 7, "<x>", 3, &sink, &e);
    assert_int_equal(chain_stream_held(run.stream), strlen("One. Two. Th") + 2 + 3);
    outside_run_answer_one(&run);
    assert_string_equal(trace_string(&run.log), "[0]One. ");
    assert_int_equal(chain_resume(run.stream, &sink, &e),
                     CHAIN_GOES_ON); /* too early: nothing */
    assert_string_equal(trace_string(&run.log), "[0]One. ");
    outside_run_answer_one(&run);
    assert_string_equal(trace_string(&run.log), "[0]One. Two. [9]<x>");
    assert_false(chain_stream_is_waiting(run.stream));
    give(&run, FILTER_CONTENT, "ree.");
    assert_int_equal(chain_finish(run.stream, &sink, &e), CHAIN_GOES_ON);
    assert_true(chain_stream_is_waiting(run.stream));
    outside_run_answer_one(&run);
    outside_run_answer_one(&run);
    assert_string_equal(trace_string(&run.log), "[0]One. Two. [9]<x>[0]Three.[1]hm");
    assert_false(chain_stream_is_waiting(run.stream));
    assert_int_equal(give(&run, FILTER_CONTENT, "more"), -1);
    outside_run_end(&run);
    chain_unref(chain);
}

static void a_stop_further_down_does_not_wait(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct chain *chain =
        trace_chain("{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\",\"url\":\"http://h/\"},"
                    "{\"type\":\"wordlist\",\"words\":[\"two\"]}]}",
                    types);
    struct outside_run run;
    outside_run_begin(&run, chain, AT_THE_END, &rng, pass_all, NULL);
    give(&run, FILTER_CONTENT, "One two. Three. Four");
    outside_run_answer_one(&run);
    assert_int_equal(run.status, CHAIN_STOPPED);
    assert_string_equal(trace_string(&run.log), "[0]One ");
    assert_int_equal(run.outside.count, 0);
    outside_run_end(&run);
    chain_unref(chain);
}

static void without_somebody_who_asks_the_filter_fails(void **state)
{
    (void)state;
    for (int open = 0; open < 2; open++) {
        char json[200];
        snprintf(json, sizeof(json),
                 "{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\",\"url\":\"http://h/\","
                 "\"fail\":\"%s\"}]}",
                 open ? "open" : "closed");
        struct chain *chain = trace_chain(json, types);
        struct trace trace;
        trace_run_text(&trace, chain, "One. Two.", TRACE_WHOLE, NULL);
        assert_string_equal(trace_string(&trace.text[0]), open ? "One. Two." : "");
        assert_non_null(strstr(trace_string(&trace.events),
                               "filter_failed: nothing is outside that could be asked here"));
        trace_deinit(&trace);
        chain_unref(chain);
    }
}

static void a_question_that_can_not_be_sent_is_a_failure(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct chain *chain = trace_chain(HOOK, types);
    struct outside_run run;
    outside_run_begin(&run, chain, AT_ONCE, &rng, pass_all, NULL);
    run.outside.refuse_at = 2;
    const struct outside_op op = {.text = "One. Two. Three."};
    outside_run_ops(&run, &op, 1, TRACE_WHOLE);
    assert_int_equal(run.status, CHAIN_STOPPED);
    assert_string_equal(trace_string(&run.log), "[0]One. ");
    assert_non_null(strstr(trace_string(&run.events), "could not be sent"));
    outside_run_end(&run);
    chain_unref(chain);
}

static void what_gathers_is_bounded(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct chain *chain = trace_chain(HOOK, types);
    struct outside_run run;
    outside_run_begin(&run, chain, AT_THE_END, &rng, pass_all, NULL);
    static char text[100001];
    memset(text, 'x', sizeof(text) - 1);
    give(&run, FILTER_CONTENT, "One. ");
    int status = CHAIN_GOES_ON;
    size_t fed = 0;
    for (; status == CHAIN_GOES_ON && fed < 3 * CHAIN_MAX_FLOW; fed += sizeof(text) - 1) {
        status = give(&run, FILTER_CONTENT, text);
    }
    assert_int_equal(status, -1);
    assert_true(fed > CHAIN_MAX_FLOW - sizeof(text) && fed < CHAIN_MAX_FLOW + 2 * sizeof(text));
    assert_int_equal(run.outside.count, 0);
    assert_int_equal(give(&run, FILTER_CONTENT, "x"), -1);
    outside_run_end(&run);

    outside_run_begin(&run, chain, AT_THE_END, &rng, pass_all, NULL);
    struct chain_sink sink = outside_run_sink(&run);
    struct err e;
    give(&run, FILTER_CONTENT, "One. ");
    for (int i = 0; i < CHAIN_MAX_STEPS; i++) {
        assert_int_equal(chain_around(run.stream, 7, "", 0, &sink, &e), CHAIN_GOES_ON);
    }
    assert_int_equal(chain_around(run.stream, 7, "", 0, &sink, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    outside_run_end(&run);
    chain_unref(chain);
}

/* Bounds are of what waits, not of all that ever did. */
static void a_queue_that_never_empties_does_not_fill_up(void **state)
{
    (void)state;
    size_t live = mem_live();
    struct chain_queue q;
    chain_queue_init(&q);
    static char bytes[CHAIN_MAX_FLOW];
    const struct chain_step around = {.kind = CHAIN_STEP_AROUND, .len = 100};
    const char *first;
    for (size_t i = 0; i < 2 * (size_t)CHAIN_MAX_STEPS; i++) {
        memset(bytes, (int)(i % 251), around.len);
        assert_int_equal(chain_queue_add(&q, &around, bytes), 0);
        if (i >= 3000) {
            assert_int_equal(chain_queue_first(&q, &first)->len, around.len);
            assert_int_equal((unsigned char)first[99], (i - 3000) % 251);
            chain_queue_drop(&q);
        }
    }
    assert_true(q.cap < 10000);
    chain_queue_deinit(&q);

    const struct chain_step most = {.kind = CHAIN_STEP_TEXT, .len = CHAIN_MAX_FLOW};
    assert_int_equal(chain_queue_add(&q, &most, bytes), 0);
    chain_queue_consume(&q, 1000);
    const struct chain_step more = {.kind = CHAIN_STEP_TEXT, .len = 1000};
    assert_int_equal(chain_queue_add(&q, &more, bytes), 0);
    const struct chain_step one = {.kind = CHAIN_STEP_TEXT, .len = 1};
    assert_int_equal(chain_queue_add(&q, &one, bytes), -1);
    assert_true(q.is_full);
    chain_queue_deinit(&q);
    assert_int_equal(mem_live(), live);
}

static void a_text_that_is_too_long_to_hold_is_a_failure(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct chain *chain =
        trace_chain("{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\",\"url\":\"http://h/\","
                    "\"batch\":\"text\"}]}",
                    types);
    struct outside_run run;
    outside_run_begin(&run, chain, AT_ONCE, &rng, pass_all, NULL);
    static char text[FILTER_MAX_HOLD + 2];
    memset(text, 'x', sizeof(text) - 1);
    assert_int_equal(give(&run, FILTER_CONTENT, text), CHAIN_STOPPED);
    assert_string_equal(chain_stream_stop(run.stream)->message, "it holds too much text");
    assert_int_equal(run.log.len, 0);
    outside_run_end(&run);
    chain_unref(chain);
}

/* Each allocation in turn fails: nothing is lost, nothing is let out that should not be. */
static void expect_to_survive_lack_of_memory(const char *json, const char *log)
{
    struct rng rng;
    rng_seed(&rng, 5);
    struct chain *chain = trace_chain(json, types);
    struct outside_op ops[] = {{.text = "One. Two. Three"},
                               {.around = true, .text = "<x>"},
                               {.channel = FILTER_REASONING, .text = "Hm. Ha."},
                               {.text = " four. Five."}};
    bool reached = true;
    for (size_t nth = 1; reached; nth++) {
        size_t live = mem_live();
        struct outside_run run = {.pace = AT_THE_END, .rng = &rng, .channel = -1};
        struct err e;
        fake_outside_init(&run.outside, pass_all, NULL);
        buf_init(&run.log, 1 << 20);
        buf_init(&run.events, 1 << 20);
        mem_fail_at(nth);
        run.stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
        if (run.stream) {
            chain_stream_set_outside(run.stream, &run.outside.face, outside_run_wake, &run);
            struct chain_sink sink = outside_run_sink(&run);
            for (size_t i = 0; i < 4 && run.status == CHAIN_GOES_ON; i++) {
                outside_run_feed(&run, &ops[i], TRACE_WHOLE);
            }
            run.status =
                run.status == CHAIN_GOES_ON ? chain_finish(run.stream, &sink, &e) : run.status;
            while (run.outside.count > 0) {
                outside_run_answer_one(&run);
            }
        }
        reached = mem_fail_reached();
        mem_fail_at(0);
        if (!reached) {
            assert_string_equal(trace_string(&run.log), log);
        }
        outside_run_end(&run);
        assert_int_equal(mem_live(), live);
    }
    chain_unref(chain);
}

static void running_out_of_memory_ends_the_stream(void **state)
{
    (void)state;
    expect_to_survive_lack_of_memory(
        "{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\",\"url\":\"http://h/\"},"
        "{\"type\":\"wordlist\",\"words\":[\"Two\"],\"action\":\"mask\"}]}",
        "[0]One. ***. [9]<x>[1]Hm. [0]Three four. Five.[1]Ha.");
    expect_to_survive_lack_of_memory(
        "{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\",\"url\":\"http://h/\","
        "\"view\":\"normalised\"},{\"type\":\"wordlist\",\"words\":[\"Two\"],\"action\":"
        "\"mask\","
        "\"view\":\"normalised\"}]}",
        "[0]One. ***. [9]<x>[1]Hm. [0]Three four. Five.[1]Ha.");
    expect_to_survive_lack_of_memory(
        "{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\",\"url\":\"http://h/\","
        "\"view\":\"normalised\",\"mode\":\"record\"},{\"type\":\"wordlist\",\"words\":["
        "\"Two\"],"
        "\"action\":\"mask\",\"mode\":\"record\"}]}",
        "[0]One. Two. Three[9]<x>[1]Hm. Ha.[0] four. Five.");
}

/* ---- types ---- */

static int asks(void *filter, const struct filter_span *span, struct filter_host *host)
{
    (void)filter;
    static const struct filter_question question = {
        .size = sizeof(question), .url = "http://h/", .body = "", .timeout_ms = 1};
    if (span->text[span->fresh] != '!') {
        return 0;
    }
    return host->ask(host, &question);
}

static int asks_and_passes(void *filter, const struct filter_span *span,
                           struct filter_host *host)
{
    asks(filter, span, host);
    return host->pass(host, span->start + span->len);
}

static int lets_pass(void *filter, const struct filter_span *span, struct filter_host *host,
                     const struct filter_answer *answer)
{
    (void)filter, (void)answer;
    return host->pass(host, span->start + span->len);
}

static void a_filter_that_asks_in_a_wrong_way_has_failed(void **state)
{
    (void)state;
    static const struct {
        struct filter_type type;
        const char *message;
    } cases[] = {
        {{.size = FILTER_TYPE_MIN_SIZE, .feed = asks, .answered = lets_pass},
         "wrong call: a question, and the type takes no answers"},
        {{.size = sizeof(struct filter_type), .feed = asks},
         "wrong call: a question, and the type takes no answers"},
        {{.size = sizeof(struct filter_type), .feed = asks_and_passes, .answered = lets_pass},
         "wrong call: nothing can be decided after a question"},
    };
    struct rng rng;
    rng_seed(&rng, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct filter_type type = cases[i].type;
        type.abi = FILTER_ABI;
        type.name = "asks";
        type.sides = FILTER_OUTPUT;
        const struct filter_type *const mine[] = {&type, NULL};
        struct chain *chain =
            trace_chain("{\"name\":\"t\",\"filters\":[{\"type\":\"asks\"}]}", mine);
        struct outside_run run;
        outside_run_begin(&run, chain, AT_ONCE, &rng, pass_all, NULL);
        assert_int_equal(give(&run, FILTER_CONTENT, "!"), CHAIN_STOPPED);
        assert_string_equal(chain_stream_stop(run.stream)->message, cases[i].message);
        assert_int_equal(run.outside.count, 0);
        assert_int_equal(run.log.len, 0);
        outside_run_end(&run);
        chain_unref(chain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_leaves_before_it_was_ruled_on),
        cmocka_unit_test(a_stop_further_down_does_not_wait),
        cmocka_unit_test(without_somebody_who_asks_the_filter_fails),
        cmocka_unit_test(a_question_that_can_not_be_sent_is_a_failure),
        cmocka_unit_test(what_gathers_is_bounded),
        cmocka_unit_test(a_queue_that_never_empties_does_not_fill_up),
        cmocka_unit_test(a_text_that_is_too_long_to_hold_is_a_failure),
        cmocka_unit_test(running_out_of_memory_ends_the_stream),
        cmocka_unit_test(a_filter_that_asks_in_a_wrong_way_has_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
