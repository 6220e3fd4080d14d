/* What comes out of a chain: order, stops, failures, channels, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "tests/unit/filters/toy_filters.h"
#include "tests/unit/filters/trace.h"

#define CHAIN(filters)   "{\"name\":\"t\",\"filters\":[" filters "]}"
#define SWAP(what, with) "{\"type\":\"swap\",\"what\":\"" what "\",\"with\":\"" with "\"}"
#define SWAP_STOP(what, with, s) \
    "{\"type\":\"swap\",\"what\":\"" what "\",\"with\":\"" with "\",\"stop_at\":\"" s "\"}"
#define FAIL(how, mode) "{\"type\":\"fail\",\"how\":\"" how "\",\"fail\":\"" mode "\"}"

/* Text in, text and events out, the same whole and character by character. */
static void expect(const char *json, const char *in, const char *out, const char *events)
{
    struct chain *chain = trace_chain(json, toy_types);
    struct trace whole, characters;
    trace_run_text(&whole, chain, in, TRACE_WHOLE, NULL);
    trace_run_text(&characters, chain, in, TRACE_CHARACTERS, NULL);
    trace_assert_equal(&whole, &characters);
    assert_string_equal(trace_string(&whole.text[FILTER_CONTENT]), out);
    assert_string_equal(trace_string(&whole.events), events);
    trace_deinit(&whole);
    trace_deinit(&characters);
    chain_unref(chain);
}

static void a_chain_without_filters_passes_everything(void **state)
{
    (void)state;
    expect(CHAIN(""), "any text \xC3\xA9", "any text \xC3\xA9", "");
}

static void a_replacement_is_seen_by_the_filters_after_it(void **state)
{
    (void)state;
    expect(CHAIN(SWAP("a", "b") "," SWAP("b", "c")), "a.b", "c.c",
           "replace 0/swap content#0 0-1 @0 met: \n"
           "replace 1/swap content#0 0-1 @0 met: \n"
           "replace 1/swap content#0 2-3 @2 met: \n");
}

static void a_replacement_is_not_seen_by_the_filters_before_it(void **state)
{
    (void)state;
    expect(CHAIN(SWAP("b", "c") "," SWAP("a", "b")), "ab", "bc",
           "replace 1/swap content#0 0-1 @0 met: \n"
           "replace 0/swap content#0 1-2 @1 met: \n");
}

static void a_replacement_can_trigger_a_stop(void **state)
{
    (void)state;
    expect(CHAIN(SWAP("a", "bad") ","
                                  "{\"type\":\"wordlist\",\"words\":[\"xbad\"],"
                                  "\"word_boundaries\":false}"),
           "ok xa more", "ok ",
           "replace 0/swap content#0 4-5 @3 met: \n"
           "stop 1/wordlist content#0 3-7 @3 wordlist: words[0]\n");
}

static void text_before_a_stop_passes_the_filters_after_it(void **state)
{
    (void)state;
    /* The list holds "fo", which could become "foo"; the stop decides it. */
    expect(CHAIN(SWAP_STOP("~", "", "!") ",{\"type\":\"wordlist\",\"words\":[\"foo\"],"
                                         "\"action\":\"replace\"}"),
           "foo fo!o", "*** fo",
           "replace 1/wordlist content#0 0-3 @0 wordlist: words[0]\n"
           "stop 0/swap content#0 6-7 @6 met: \n");
}

static void the_stop_that_comes_first_in_the_text_counts(void **state)
{
    (void)state;
    expect(CHAIN(SWAP_STOP("~", "", "2") "," SWAP_STOP("~", "", "1")), "a1b2", "a",
           "stop 1/swap content#0 1-2 @1 met: \n");
    expect(CHAIN(SWAP_STOP("~", "", "1") "," SWAP_STOP("~", "", "2")), "a1b2", "a",
           "stop 0/swap content#0 1-2 @1 met: \n");
}

static void what_a_filter_did_behind_a_later_ones_stop_has_not_happened(void **state)
{
    (void)state;
    expect(CHAIN(SWAP("a", "A") "," SWAP_STOP("~", "", "!")), "a!a", "A",
           "replace 0/swap content#0 0-1 @0 met: \n"
           "stop 1/swap content#0 1-2 @1 met: \n");
}

static void after_a_stop_nothing_is_emitted(void **state)
{
    (void)state;
    struct chain *chain = trace_chain(CHAIN(SWAP_STOP("~", "", "!")), toy_types);
    struct buf out;
    buf_init(&out, 100);
    struct chain_sink sink = chain_sink_buf(&out);
    struct err e;
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    assert_int_equal(chain_feed(stream, FILTER_CONTENT, "a", 1, &sink, &e), CHAIN_GOES_ON);
    assert_null(chain_stream_stop(stream));
    assert_int_equal(chain_feed(stream, FILTER_CONTENT, "!", 1, &sink, &e), CHAIN_STOPPED);
    assert_string_equal(chain_stream_stop(stream)->code, "met");
    assert_int_equal(chain_feed(stream, FILTER_CONTENT, "b", 1, &sink, &e), CHAIN_STOPPED);
    assert_int_equal(chain_feed(stream, FILTER_REASONING, "b", 1, &sink, &e), CHAIN_STOPPED);
    assert_int_equal(chain_end_text(stream, FILTER_CONTENT, &sink, &e), CHAIN_STOPPED);
    assert_int_equal(chain_finish(stream, &sink, &e), CHAIN_STOPPED);
    assert_string_equal(trace_string(&out), "a");
    chain_stream_destroy(stream);
    chain_unref(chain);
    buf_deinit(&out);
}

static void a_filter_that_fails_closed_ends_the_answer(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *events;
    } cases[] = {
        {CHAIN(FAIL("code", "closed")),
         "fail 0/fail content#0 2-2 @2 filter_failed: it gave no reason\n"},
        {CHAIN(FAIL("message", "closed")),
         "fail 0/fail content#0 2-2 @2 filter_failed: it broke\n"},
        {CHAIN(FAIL("backwards", "closed")),
         "fail 0/fail content#0 2-2 @2 filter_failed: wrong call: the offset lies before the "
         "cursor\n"},
        {CHAIN(FAIL("beyond", "closed")), "fail 0/fail content#0 2-2 @2 filter_failed: wrong "
                                          "call: the offset lies after the end "
                                          "of the text\n"},
        {CHAIN(FAIL("cut", "closed")),
         "fail 0/fail content#0 2-2 @2 filter_failed: wrong call: the offset lies inside a "
         "character\n"},
        {CHAIN(FAIL("utf8", "closed")),
         "fail 0/fail content#0 2-2 @2 filter_failed: wrong call: the replacement is not "
         "UTF-8\n"},
        {CHAIN(FAIL("long", "closed")), "fail 0/fail content#0 2-2 @2 filter_failed: wrong "
                                        "call: the replacement is too long\n"},
        {CHAIN(FAIL("reason", "closed")),
         "fail 0/fail content#0 2-2 @2 filter_failed: wrong call: size of the reason is not "
         "set\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect(cases[i].json, "ab!\xC3\xA9zzz", "ab", cases[i].events);
    }
}

static void a_filter_that_fails_open_is_left_out_for_the_rest_of_the_text(void **state)
{
    (void)state;
    expect(CHAIN(SWAP("z", "a") "," FAIL("message", "open") "," SWAP("a", "b")), "a!z!a",
           "b!b!b",
           "replace 2/swap content#0 0-1 @0 met: \n"
           "fail 1/fail content#0 1-1 @1 filter_failed: it broke\n"
           "replace 0/swap content#0 2-3 @2 met: \n"
           "replace 2/swap content#0 2-3 @2 met: \n"
           "replace 2/swap content#0 4-5 @4 met: \n");
    expect(CHAIN(FAIL("open", "open")), "abc", "abc",
           "fail 0/fail content#0 0-0 @0 filter_failed: it could not begin\n");
    expect(CHAIN(FAIL("finish", "open")), "abc", "abc",
           "fail 0/fail content#0 3-3 @3 filter_failed: no end\n");
}

static void a_filter_that_cannot_begin_or_end_fails_closed(void **state)
{
    (void)state;
    expect(CHAIN(FAIL("open", "closed")), "abc", "",
           "fail 0/fail content#0 0-0 @0 filter_failed: it could not begin\n");
    expect(CHAIN(FAIL("finish", "closed")), "abc", "abc",
           "fail 0/fail content#0 3-3 @3 filter_failed: no end\n");
}

/* Feeds `len` bytes of "a" at once. */
static int feed_many(struct chain *chain, size_t len, struct buf *out, struct err *e)
{
    char *text = mem_alloc(len);
    memset(text, 'a', len);
    struct chain_sink sink = chain_sink_buf(out);
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, e);
    int status = chain_feed(stream, FILTER_CONTENT, text, len, &sink, e);
    if (status < 0) {
        struct err again;
        assert_int_equal(chain_feed(stream, FILTER_CONTENT, "a", 1, &sink, &again), -1);
        assert_string_equal(again.message, e->message);
    }
    chain_stream_destroy(stream);
    mem_free(text);
    return status;
}

static void a_filter_that_holds_too_much_has_failed(void **state)
{
    (void)state;
    struct chain *chain = trace_chain(CHAIN(FAIL("hold", "open")), toy_types);
    struct buf out;
    struct err e;
    buf_init(&out, 1 << 20);
    assert_int_equal(feed_many(chain, FILTER_MAX_HOLD, &out, &e), CHAIN_GOES_ON);
    assert_int_equal(out.len, 0);
    assert_int_equal(feed_many(chain, FILTER_MAX_HOLD + 1, &out, &e), CHAIN_GOES_ON);
    assert_int_equal(out.len, FILTER_MAX_HOLD + 1);
    buf_deinit(&out);
    chain_unref(chain);
}

static void text_that_grows_without_bounds_is_an_error(void **state)
{
    (void)state;
    static const char ten[] = "aaaaaaaaaa";
    char json[512];
    snprintf(json, sizeof(json),
             CHAIN(SWAP("a", "%s") "," SWAP("a", "%s") "," SWAP("a", "%s") "," SWAP("a", "%s")),
             ten, ten, ten, ten);
    struct chain *chain = trace_chain(json, toy_types);
    struct buf out;
    struct err e;
    buf_init(&out, (size_t)1 << 26);
    assert_int_equal(feed_many(chain, 100, &out, &e), CHAIN_GOES_ON);
    assert_int_equal(out.len, 1000000);
    assert_int_equal(feed_many(chain, 1000, &out, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    buf_deinit(&out);
    chain_unref(chain);
}

static void channels_do_not_share_state(void **state)
{
    (void)state;
    struct chain *chain = trace_chain(
        CHAIN("{\"type\":\"wordlist\",\"words\":[\"bad\"],\"action\":\"mask\"}"), NULL);
    static const struct trace_step steps[] = {
        {FILTER_CONTENT, "b"},  {FILTER_REASONING, "ad ba"}, {FILTER_TOOL_ARGS, "bad"},
        {FILTER_CONTENT, "ad"}, {FILTER_REASONING, "d"},
    };
    struct trace trace;
    trace_run(&trace, chain, FILTER_OUTPUT, steps, 5, TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "***");
    assert_string_equal(trace_string(&trace.text[FILTER_REASONING]), "ad ***");
    assert_string_equal(trace_string(&trace.text[FILTER_TOOL_ARGS]), "***");
    trace_deinit(&trace);
    chain_unref(chain);
}

static void the_end_of_a_text_decides_it_and_the_next_begins_afresh(void **state)
{
    (void)state;
    struct chain *chain = trace_chain(
        CHAIN("{\"type\":\"wordlist\",\"words\":[\"bad\"],\"action\":\"mask\"}"), NULL);
    static const struct trace_step steps[] = {
        {FILTER_TOOL_ARGS, "b"}, {FILTER_TOOL_ARGS, ""},    {FILTER_TOOL_ARGS, "ad"},
        {FILTER_TOOL_ARGS, ""},  {FILTER_TOOL_ARGS, "bad"}, {FILTER_TOOL_ARGS, ""},
        {FILTER_TOOL_ARGS, "x"},
    };
    struct trace trace;
    trace_run(&trace, chain, FILTER_OUTPUT, steps, 7, TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&trace.text[FILTER_TOOL_ARGS]), "bad***x");
    assert_string_equal(trace_string(&trace.events),
                        "replace 0/wordlist tool_args#2 0-3 @0 wordlist: words[0]\n");
    trace_deinit(&trace);
    chain_unref(chain);
}

static void a_stop_drops_what_other_channels_hold(void **state)
{
    (void)state;
    struct chain *chain =
        trace_chain(CHAIN("{\"type\":\"wordlist\",\"words\":[\"bad\"]}"), NULL);
    static const struct trace_step steps[] = {
        {FILTER_REASONING, "so ba"}, {FILTER_CONTENT, "a bad "}, {FILTER_REASONING, "x"}};
    struct trace trace;
    trace_run(&trace, chain, FILTER_OUTPUT, steps, 3, TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "a ");
    assert_string_equal(trace_string(&trace.text[FILTER_REASONING]), "so ");
    trace_deinit(&trace);
    chain_unref(chain);
}

static void filters_stand_on_their_side_only(void **state)
{
    (void)state;
    struct chain *chain = trace_chain(
        CHAIN("{\"type\":\"swap\",\"what\":\"a\",\"with\":\"1\",\"side\":\"input\"},"
              "{\"type\":\"swap\",\"what\":\"b\",\"with\":\"2\",\"side\":\"output\"},"
              "{\"type\":\"swap\",\"what\":\"c\",\"with\":\"3\",\"side\":\"both\"}"),
        toy_types);
    static const struct trace_step step = {FILTER_CONTENT, "abc"};
    struct trace trace;
    trace_run(&trace, chain, FILTER_INPUT, &step, 1, TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "1b3");
    trace_deinit(&trace);
    trace_run(&trace, chain, FILTER_OUTPUT, &step, 1, TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "a23");
    trace_deinit(&trace);
    chain_unref(chain);
}

static void events_are_bounded_and_say_so(void **state)
{
    (void)state;
    struct chain *chain = trace_chain(CHAIN(SWAP("a", "b")), toy_types);
    struct err e;
    for (size_t len = CHAIN_MAX_EVENTS; len <= CHAIN_MAX_EVENTS + 2; len++) {
        char text[CHAIN_MAX_EVENTS + 2];
        memset(text, 'a', sizeof(text));
        struct buf out;
        buf_init(&out, 1000);
        struct chain_sink sink = chain_sink_buf(&out);
        struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
        assert_int_equal(chain_feed(stream, FILTER_CONTENT, text, len, &sink, &e), 0);
        size_t count;
        bool truncated;
        chain_stream_events(stream, &count, &truncated);
        assert_int_equal(count, CHAIN_MAX_EVENTS);
        assert_int_equal(truncated, len > CHAIN_MAX_EVENTS);
        assert_int_equal(out.len, len);
        chain_stream_destroy(stream);
        buf_deinit(&out);
    }
    chain_unref(chain);
}

static void text_that_is_not_whole_characters_breaks_the_stream(void **state)
{
    (void)state;
    struct chain *chain = trace_chain(CHAIN(""), NULL);
    struct buf out;
    buf_init(&out, 100);
    struct chain_sink sink = chain_sink_buf(&out);
    struct err e;
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    assert_int_equal(chain_feed(stream, FILTER_CONTENT, "a\xC3", 2, &sink, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_int_equal(chain_feed(stream, FILTER_CONTENT, "\xA9", 1, &sink, &e), -1);
    assert_int_equal(chain_finish(stream, &sink, &e), -1);
    assert_null(chain_stream_stop(stream));
    assert_int_equal(out.len, 0);
    chain_stream_destroy(stream);
    chain_unref(chain);
    buf_deinit(&out);
}

static void nothing_can_be_fed_after_the_end(void **state)
{
    (void)state;
    struct chain *chain = trace_chain(CHAIN(""), NULL);
    struct buf out;
    buf_init(&out, 100);
    struct chain_sink sink = chain_sink_buf(&out);
    struct err e;
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    assert_int_equal(chain_finish(stream, &sink, &e), CHAIN_GOES_ON);
    assert_int_equal(chain_feed(stream, FILTER_CONTENT, "a", 1, &sink, &e), -1);
    assert_int_equal(out.len, 0);
    chain_stream_destroy(stream);
    chain_unref(chain);
}

static void a_sink_that_gives_up_ends_the_stream(void **state)
{
    (void)state;
    struct chain *chain = trace_chain(CHAIN(""), NULL);
    struct buf out;
    buf_init(&out, 1);
    struct chain_sink sink = chain_sink_buf(&out);
    struct err e;
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    assert_int_equal(chain_feed(stream, FILTER_CONTENT, "ab", 2, &sink, &e), -1);
    assert_int_equal(e.kind, ERR_CANCELED);
    assert_int_equal(chain_feed(stream, FILTER_CONTENT, "c", 1, &sink, &e), -1);
    chain_stream_destroy(stream);
    chain_unref(chain);
    buf_deinit(&out);
}

static void cost_and_held_bytes_are_counted(void **state)
{
    (void)state;
    struct chain *chain = trace_chain(
        CHAIN(SWAP("a", "bb") ",{\"type\":\"wordlist\",\"words\":[\"bbx\"]}"), toy_types);
    struct buf out;
    buf_init(&out, 100);
    struct chain_sink sink = chain_sink_buf(&out);
    struct err e;
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    assert_int_equal(chain_feed(stream, FILTER_CONTENT, "x a", 3, &sink, &e), 0);
    assert_int_equal(chain_stream_held(stream), 2);
    assert_int_equal(chain_stream_cost(stream, 0)->bytes, 3);
    assert_int_equal(chain_stream_cost(stream, 1)->bytes, 4);
    assert_int_equal(chain_stream_cost(stream, 0)->calls, 1);
    assert_true(chain_stream_cost(stream, 0)->ns > 0);
    assert_int_equal(chain_finish(stream, &sink, &e), 0);
    assert_int_equal(chain_stream_held(stream), 0);
    assert_string_equal(trace_string(&out), "x bb");
    chain_stream_destroy(stream);
    chain_unref(chain);
    buf_deinit(&out);
}

static void a_stream_keeps_its_chain_alive(void **state)
{
    (void)state;
    struct chain *chain =
        trace_chain(CHAIN("{\"type\":\"wordlist\",\"words\":[\"bad\"]}"), NULL);
    struct err e;
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    chain_unref(chain);
    struct buf out;
    buf_init(&out, 100);
    struct chain_sink sink = chain_sink_buf(&out);
    assert_int_equal(chain_feed(stream, FILTER_CONTENT, "bad.", 4, &sink, &e), CHAIN_STOPPED);
    assert_string_equal(chain_stream_stop(stream)->type, "wordlist");
    chain_stream_destroy(stream);
    buf_deinit(&out);
}

/* One request with everything in it. Returns the status of the last call; *out is what was
 * released. */
static int run_request(struct chain *chain, struct buf *out, struct err *e)
{
    struct chain_sink sink = chain_sink_buf(out);
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, e);
    if (!stream) {
        return -1;
    }
    int status = chain_feed(stream, FILTER_CONTENT, "one two a", 9, &sink, e);
    if (status == 0) {
        status = chain_feed(stream, FILTER_REASONING, "one", 3, &sink, e);
    }
    if (status == 0) {
        status = chain_end_text(stream, FILTER_REASONING, &sink, e);
    }
    if (status == 0) {
        status = chain_feed(stream, FILTER_CONTENT, " stop here", 10, &sink, e);
    }
    if (status == 0) {
        status = chain_finish(stream, &sink, e);
    }
    chain_stream_destroy(stream);
    return status;
}

/* Whichever allocation fails, no word of the list leaves and nothing leaks. */
static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    struct chain *chain = trace_chain(
        CHAIN("{\"type\":\"wordlist\",\"words\":[\"one\",\"two\"],\"action\":\"mask\"},"
              "{\"type\":\"wordlist\",\"words\":[\"stop\"]}"),
        NULL);
    size_t before = mem_live();
    for (size_t nth = 1;; nth++) {
        struct err e;
        struct buf out;
        buf_init(&out, 1000);
        mem_fail_at(nth);
        int status = run_request(chain, &out, &e);
        bool reached = mem_fail_reached();
        mem_fail_at(0);
        assert_null(strstr(trace_string(&out), "one"));
        assert_null(strstr(trace_string(&out), "stop"));
        assert_int_equal(mem_live(), before + (out.data != NULL));
        if (!reached) {
            assert_int_equal(status, CHAIN_STOPPED);
            assert_string_equal(trace_string(&out), "*** *** a*** ");
            assert_true(nth > 15);
            buf_deinit(&out);
            break;
        }
        /* An error, or a filter that failed closed. */
        assert_true(status == -1 || status == CHAIN_STOPPED);
        buf_deinit(&out);
    }
    chain_unref(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_without_filters_passes_everything),
        cmocka_unit_test(a_replacement_is_seen_by_the_filters_after_it),
        cmocka_unit_test(a_replacement_is_not_seen_by_the_filters_before_it),
        cmocka_unit_test(a_replacement_can_trigger_a_stop),
        cmocka_unit_test(text_before_a_stop_passes_the_filters_after_it),
        cmocka_unit_test(the_stop_that_comes_first_in_the_text_counts),
        cmocka_unit_test(what_a_filter_did_behind_a_later_ones_stop_has_not_happened),
        cmocka_unit_test(after_a_stop_nothing_is_emitted),
        cmocka_unit_test(a_filter_that_fails_closed_ends_the_answer),
        cmocka_unit_test(a_filter_that_fails_open_is_left_out_for_the_rest_of_the_text),
        cmocka_unit_test(a_filter_that_cannot_begin_or_end_fails_closed),
        cmocka_unit_test(a_filter_that_holds_too_much_has_failed),
        cmocka_unit_test(text_that_grows_without_bounds_is_an_error),
        cmocka_unit_test(channels_do_not_share_state),
        cmocka_unit_test(the_end_of_a_text_decides_it_and_the_next_begins_afresh),
        cmocka_unit_test(a_stop_drops_what_other_channels_hold),
        cmocka_unit_test(filters_stand_on_their_side_only),
        cmocka_unit_test(events_are_bounded_and_say_so),
        cmocka_unit_test(text_that_is_not_whole_characters_breaks_the_stream),
        cmocka_unit_test(nothing_can_be_fed_after_the_end),
        cmocka_unit_test(a_sink_that_gives_up_ends_the_stream),
        cmocka_unit_test(cost_and_held_bytes_are_counted),
        cmocka_unit_test(a_stream_keeps_its_chain_alive),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
