/* The keys that every filter has: name, channels, mode and view. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "tests/unit/filters/single.h"
#include "tests/unit/filters/toy_filters.h"
#include "tests/unit/filters/trace.h"

#define ONE(filter) "{\"name\":\"t\",\"filters\":[" filter "]}"
#define BAD         "\"type\":\"wordlist\",\"words\":[\"bad\"]"

/* ---- reading ---- */

static void what_is_wrong_is_named_by_its_path(void **state)
{
    (void)state;
    static const struct {
        const char *keys, *message;
    } cases[] = {
        {"\"name\":1", "filters[0].name: must be a string of 1 to 64"},
        {"\"name\":\"\"", "filters[0].name: must be"},
        {"\"name\":\"a b\"", "filters[0].name: must be"},
        {"\"name\":\"12345678901234567890123456789012345678901234567890123456789012345\"",
         "filters[0].name: must be"},
        {"\"channels\":\"content\"", "filters[0].channels: must be a list"},
        {"\"channels\":[]", "filters[0].channels: must be a list"},
        {"\"channels\":[\"content\",\"thoughts\"]", "filters[0].channels[1]: must be"},
        {"\"channels\":[7]", "filters[0].channels[0]: must be"},
        {"\"channels\":[\"content\",\"reasoning\",\"content\"]",
         "filters[0].channels[2]: is there twice"},
        {"\"mode\":\"log\"", "filters[0].mode: must be \"enforce\" or \"record\""},
        {"\"mode\":true", "filters[0].mode: must be"},
        {"\"view\":\"normal\"", "filters[0].view: must be \"as_written\" or \"normalised\""},
        {"\"view\":null", "filters[0].view: must be"},
        {"\"mode\":\"record\",\"mode\":\"record\"", "filters[0].mode: is given twice"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char settings[256];
        snprintf(settings, sizeof(settings), BAD ",%s", cases[i].keys);
        single_expect_refused(settings, cases[i].message);
    }
}

static void filters_have_names(void **state)
{
    (void)state;
    struct chain *chain =
        trace_chain(ONE("{" BAD "},{" BAD "},{\"name\":\"slurs_v2.en-US\"," BAD "}"), NULL);
    assert_string_equal(chain_filter_name(chain, 0), "wordlist");
    assert_string_equal(chain_filter_name(chain, 1), "wordlist");
    assert_string_equal(chain_filter_name(chain, 2), "slurs_v2.en-US");
    chain_unref(chain);
}

static void a_name_that_is_written_is_of_one_filter(void **state)
{
    (void)state;
    static const char *const chains[] = {
        ONE("{\"name\":\"a\"," BAD "},{\"name\":\"a\"," BAD "}"),
        ONE("{\"name\":\"wordlist\"," BAD "},{" BAD "}"),
    };
    for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
        struct err e;
        assert_null(chain_from_json(chains[i], strlen(chains[i]), NULL, &e));
        assert_string_equal(e.param, "filters[0].name");
        assert_non_null(strstr(e.message, "is the name of filters[1] too"));
    }
}

static void assert_hashes(const char *a, const char *b, bool equal)
{
    struct chain *x = trace_chain(a, toy_types);
    struct chain *y = trace_chain(b, toy_types);
    assert_int_equal(strcmp(chain_hash(x), chain_hash(y)) == 0, equal);
    chain_unref(x);
    chain_unref(y);
}

static void the_hash_covers_all_but_the_name(void **state)
{
    (void)state;
    const char *plain = ONE("{" BAD "}");
    assert_hashes(plain,
                  ONE("{" BAD ",\"name\":\"x\",\"mode\":\"enforce\",\"view\":"
                      "\"as_written\",\"channels\":[\"tool_args\",\"content\","
                      "\"reasoning\"]}"),
                  true);
    assert_hashes(plain, ONE("{" BAD ",\"channels\":[\"content\"]}"), false);
    assert_hashes(plain, ONE("{" BAD ",\"mode\":\"record\"}"), false);
    assert_hashes(plain, ONE("{" BAD ",\"view\":\"normalised\"}"), false);
}

/* ---- channels ---- */

static void a_filter_stands_on_its_channels_only(void **state)
{
    (void)state;
    struct chain *chain = trace_chain(
        ONE("{\"type\":\"swap\",\"what\":\"a\",\"with\":\"b\",\"channels\":[\"reasoning\"]},"
            "{\"type\":\"swap\",\"what\":\"b\",\"with\":\"c\",\"name\":\"second\","
            "\"channels\":[\"tool_args\",\"content\"]}"),
        toy_types);
    static const struct trace_step steps[] = {
        {FILTER_CONTENT, "ab"}, {FILTER_REASONING, "ab"}, {FILTER_TOOL_ARGS, "ab"}};
    struct trace trace;
    trace_run(&trace, chain, FILTER_OUTPUT, steps, 3, TRACE_CHARACTERS, NULL);
    assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "ac");
    assert_string_equal(trace_string(&trace.text[FILTER_REASONING]), "bb");
    assert_string_equal(trace_string(&trace.text[FILTER_TOOL_ARGS]), "ac");
    assert_string_equal(trace_string(&trace.events),
                        "replace 1/swap content#0 1-2 @1 met: \n"
                        "replace 0/swap reasoning#0 0-1 @0 met: \n"
                        "replace 1/swap tool_args#0 1-2 @1 met: \n");
    trace_deinit(&trace);
    chain_unref(chain);
}

static void events_carry_the_name(void **state)
{
    (void)state;
    struct chain *chain = trace_chain(ONE("{\"name\":\"mine\"," BAD "}"), NULL);
    struct err e;
    struct buf out;
    buf_init(&out, 100);
    struct chain_sink sink = chain_sink_buf(&out);
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    assert_int_equal(chain_feed(stream, FILTER_CONTENT, "bad!", 4, &sink, &e), CHAIN_STOPPED);
    assert_string_equal(chain_stream_stop(stream)->name, "mine");
    assert_string_equal(chain_stream_stop(stream)->type, "wordlist");
    assert_false(chain_stream_stop(stream)->is_recorded);
    chain_stream_destroy(stream);
    chain_unref(chain);
    buf_deinit(&out);
}

/* ---- mode ---- */

#define RECORD "\"mode\":\"record\","

static void a_recording_filter_changes_and_holds_nothing(void **state)
{
    (void)state;
    static const char *const filters[] = {
        RECORD BAD,
        RECORD BAD ",\"action\":\"replace\"",
        RECORD BAD ",\"action\":\"mask\"",
        RECORD "\"type\":\"regex\",\"patterns\":[\"b.*d\"]",
        RECORD "\"type\":\"length\",\"max_characters\":1",
        RECORD "\"view\":\"normalised\"," BAD,
    };
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        trace_expect_releases(single_chain(filters[i]), "b a d ba&bad.",
                              "b| |a| |d| |b|a|&|b|a|d|.|");
    }
}

static void verdicts_are_recorded(void **state)
{
    (void)state;
    single_expect(RECORD BAD, "a bad day, bad", "a bad day, bad",
                  "recorded stop 0/wordlist content#0 2-5 @6 wordlist: words[0]\n");
    single_expect(RECORD BAD ",\"action\":\"replace\"", "a bad day, bad", "a bad day, bad",
                  "recorded replace 0/wordlist content#0 2-5 @6 wordlist: words[0]\n"
                  "recorded replace 0/wordlist content#0 11-14 @14 wordlist: words[0]\n");
    single_expect(RECORD BAD ",\"action\":\"note\"", "bad\nday", "bad\nday",
                  "recorded note 0/wordlist content#0 0-3 @4 wordlist: words[0]\n");
    single_expect(RECORD "\"type\":\"length\",\"max_characters\":2", "abcdef", "abcdef",
                  "recorded stop 0/length content#0 2-3 @6 length: max_characters\n");
}

/* A word without an end is looked at every 64 bytes, in whole characters. */
static void long_words_are_recorded_in_pieces(void **state)
{
    (void)state;
    char text[200] = "bad";
    for (int i = 0; i < 40; i++) {
        strcat(text, i == 0 ? "." : "\xE4\xB8\xAD");
    }
    single_expect(RECORD BAD, text, text,
                  "recorded stop 0/wordlist content#0 0-3 @64 wordlist: words[0]\n");
}

static void a_recording_filter_may_fail(void **state)
{
    (void)state;
    static const char *const fails[] = {"closed", "open"};
    for (size_t i = 0; i < 2; i++) {
        char json[256];
        snprintf(json, sizeof(json),
                 ONE("{\"type\":\"fail\",\"how\":\"message\",\"fail\":\"%s\"," RECORD
                     "\"name\":\"x\"}"),
                 fails[i]);
        struct chain *chain = trace_chain(json, toy_types);
        struct trace trace;
        trace_run_text(&trace, chain, "a !b! c", TRACE_CHARACTERS, NULL);
        assert_int_equal(trace.status, CHAIN_GOES_ON);
        assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "a !b! c");
        assert_string_equal(trace_string(&trace.events),
                            "recorded fail 0/fail content#0 2-2 @6 filter_failed: it broke\n");
        trace_deinit(&trace);
        chain_unref(chain);
    }
}

static void every_way_to_fail_is_recorded(void **state)
{
    (void)state;
    static const char *const hows[] = {"code", "open", "backwards", "beyond", "cut",
                                       "utf8", "long", "reason",    "finish"};
    for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
        char json[256];
        snprintf(json, sizeof(json),
                 ONE("{\"type\":\"fail\",\"how\":\"%s\"," RECORD "\"side\":"
                     "\"both\"}"),
                 hows[i]);
        struct chain *chain = trace_chain(json, toy_types);
        struct trace trace;
        trace_run_text(&trace, chain, "a !\xC3\xA9 b", TRACE_CHARACTERS, NULL);
        assert_int_equal(trace.status, CHAIN_GOES_ON);
        assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "a !\xC3\xA9 b");
        assert_non_null(strstr(trace_string(&trace.events), "recorded fail 0/fail content#0"));
        trace_deinit(&trace);
        chain_unref(chain);
    }
}

/* An enforced stop ends the text also for those that record behind it; one that is recorded
 * ends it for nobody. */
static void enforcing_and_recording_filters_stand_together(void **state)
{
    (void)state;
    struct chain *chain =
        trace_chain(ONE("{\"name\":\"a\"," RECORD BAD "},"
                        "{\"type\":\"wordlist\",\"words\":[\"day\"],\"action\":\"replace\"},"
                        "{\"name\":\"b\"," RECORD "\"type\":\"wordlist\",\"words\":[\"***\"],"
                        "\"action\":\"note\"},"
                        "{\"name\":\"c\",\"type\":\"wordlist\",\"words\":[\"end\"]}"),
                    NULL);
    for (int cuts = TRACE_WHOLE; cuts <= TRACE_CHARACTERS; cuts++) {
        struct trace trace;
        trace_run_text(&trace, chain, "a bad day at the end, bad *** ", (enum trace_cuts)cuts,
                       NULL);
        assert_int_equal(trace.status, CHAIN_STOPPED);
        assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "a bad *** at the ");
        assert_string_equal(trace_string(&trace.events),
                            "recorded stop 0/wordlist content#0 2-5 @6 wordlist: words[0]\n"
                            "replace 1/wordlist content#0 6-9 @6 wordlist: words[0]\n"
                            "recorded note 2/wordlist content#0 6-9 @10 wordlist: words[0]\n"
                            "stop 3/wordlist content#0 17-20 @17 wordlist: words[0]\n");
        trace_deinit(&trace);
    }
    chain_unref(chain);
}

#define MAX_STEPS 24

static size_t random_script(struct rng *rng, struct trace_step steps[MAX_STEPS])
{
    static const char *const pieces[] = {"a",        "b",     "ab",       " ",
                                         "\xC3\xA9", "ba a",  "\n",       "\xE2\x80\x8B",
                                         "a.b.a",    "&#97;", "\xCC\x81", "\xF0\x9F\x99\x82"};
    size_t count = 1 + rng_below(rng, MAX_STEPS);
    for (size_t i = 0; i < count; i++) {
        steps[i].channel = (enum filter_channel)rng_below(rng, FILTER_CHANNELS);
        steps[i].text[0] = '\0';
        uint32_t length = rng_below(rng, 12);
        for (uint32_t k = 0; k < length; k++) {
            strcat(steps[i].text, pieces[rng_below(rng, 12)]);
        }
    }
    return count;
}

static void write_random_filter(struct rng *rng, struct buf *json)
{
    static const char *const words[] = {"a", "b", "ab", "a b", "aba", "\xC3\xA9", "ba a"};
    static const char *const actions[] = {"stop", "replace", "mask", "note"};
    if (rng_below(rng, 2)) {
        buf_printf(json, "{\"type\":\"chaos\",\"seed\":%u", rng_below(rng, 1000));
    } else {
        buf_printf(json,
                   "{\"type\":\"wordlist\",\"words\":[\"%s\",\"%s\"],\"action\":\"%s\","
                   "\"word_boundaries\":%s",
                   words[rng_below(rng, 7)], words[rng_below(rng, 7)],
                   actions[rng_below(rng, 4)], rng_below(rng, 2) ? "true" : "false");
    }
    buf_append_str(json, rng_below(rng, 2) ? ",\"mode\":\"record\"" : "");
    buf_append_str(json, rng_below(rng, 2) ? ",\"view\":\"normalised\"" : "");
    buf_append_str(json, rng_below(rng, 2) ? ",\"fail\":\"open\"" : "");
    buf_append_str(json, rng_below(rng, 4) ? "}" : ",\"channels\":[\"content\"]}");
}

static void no_mode_or_view_minds_the_cuts(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 3);
    for (int i = 0; i < 4000; i++) {
        struct buf json;
        buf_init(&json, 10000);
        buf_append_str(&json, "{\"name\":\"t\",\"filters\":[");
        for (uint32_t n = 1 + rng_below(&rng, 4); n > 0; n--) {
            write_random_filter(&rng, &json);
            buf_append_str(&json, n > 1 ? "," : "]}");
        }
        struct chain *chain = trace_chain(json.data, toy_types);
        struct trace_step steps[MAX_STEPS];
        size_t count = random_script(&rng, steps);
        struct trace whole, cut;
        trace_run(&whole, chain, FILTER_OUTPUT, steps, count, TRACE_WHOLE, NULL);
        for (int k = 0; k < 4; k++) {
            trace_run(&cut, chain, FILTER_OUTPUT, steps, count,
                      k ? TRACE_RANDOM : TRACE_CHARACTERS, &rng);
            trace_assert_equal(&whole, &cut);
            trace_deinit(&cut);
        }
        trace_deinit(&whole);
        chain_unref(chain);
        buf_deinit(&json);
    }
}

static void failed_allocations_break_the_stream_and_nothing_else(void **state)
{
    (void)state;
    struct chain *chain = trace_chain(
        ONE("{" RECORD BAD "},{\"view\":\"normalised\",\"action\":\"mask\",\"name\":\"v\"," BAD
            "}"),
        NULL);
    const char *text = "a b\xE2\x80\x8B"
                       "ad day, bad b.a.d";
    size_t before = mem_live();
    for (size_t nth = 1;; nth++) {
        struct err e = {0};
        struct buf out;
        buf_init(&out, 1000);
        struct chain_sink sink = chain_sink_buf(&out);
        struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
        mem_fail_at(nth);
        int status = chain_feed(stream, FILTER_CONTENT, text, strlen(text), &sink, &e);
        if (status == 0) {
            status = chain_finish(stream, &sink, &e);
        }
        bool reached = mem_fail_reached();
        mem_fail_at(0);
        assert_null(strstr(out.data ? out.data : "", "bad"));
        chain_stream_destroy(stream);
        buf_deinit(&out);
        assert_int_equal(mem_live(), before);
        if (!reached) {
            assert_int_equal(status, 0);
            break;
        }
    }
    chain_unref(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_named_by_its_path),
        cmocka_unit_test(filters_have_names),
        cmocka_unit_test(a_name_that_is_written_is_of_one_filter),
        cmocka_unit_test(the_hash_covers_all_but_the_name),
        cmocka_unit_test(a_filter_stands_on_its_channels_only),
        cmocka_unit_test(events_carry_the_name),
        cmocka_unit_test(a_recording_filter_changes_and_holds_nothing),
        cmocka_unit_test(verdicts_are_recorded),
        cmocka_unit_test(long_words_are_recorded_in_pieces),
        cmocka_unit_test(a_recording_filter_may_fail),
        cmocka_unit_test(every_way_to_fail_is_recorded),
        cmocka_unit_test(enforcing_and_recording_filters_stand_together),
        cmocka_unit_test(no_mode_or_view_minds_the_cuts),
        cmocka_unit_test(failed_allocations_break_the_stream_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
