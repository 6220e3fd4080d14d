/* Filters that look at the normalised view: what they find in it is done to the text that it
 * was made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "tests/unit/filters/single.h"
#include "tests/unit/filters/trace.h"

#define VIEW  "\"view\":\"normalised\","
#define BAD   VIEW "\"type\":\"wordlist\",\"words\":[\"bad\"],"
#define SWAP  "\"action\":\"replace\""
#define ZWSP  "\xE2\x80\x8B"
#define ACUTE "\xCC\x81"

static void a_match_is_replaced_as_it_was_written(void **state)
{
    (void)state;
    single_expect(BAD SWAP, "a b" ZWSP "a" ZWSP "d day", "a *** day",
                  "replace 0/wordlist content#0 2-11 @2 wordlist: words[0]\n");
    single_expect(BAD SWAP, "so b a d!", "so ***!",
                  "replace 0/wordlist content#0 3-8 @3 wordlist: words[0]\n");
    single_expect(BAD SWAP, "so &#98;&#x61&#100;!", "so ***!",
                  "replace 0/wordlist content#0 3-19 @3 wordlist: words[0]\n");
    single_expect(BAD "\"action\":\"mask\"", "b\xD0\xB0" ACUTE "d", "***",
                  "replace 0/wordlist content#0 0-6 @0 wordlist: words[0]\n");
    single_expect(BAD "\"action\":\"note\"", "b.a.d.", "b.a.d.",
                  "note 0/wordlist content#0 0-5 @6 wordlist: words[0]\n");
    single_expect(BAD "\"action\":\"stop\"", "ok b_a_d ok", "ok ",
                  "stop 0/wordlist content#0 3-8 @3 wordlist: words[0]\n");
}

static void text_without_a_match_is_as_it_was_written(void **state)
{
    (void)state;
    const char *text =
        "n\xC3\xA9" ACUTE ZWSP " x y z &amp; \xEF\xBD\x81 \xF0\x9F\x91\xA9\xE2\x80"
        "\x8D\xF0\x9F\x91\xA9 \xED\x95\x9C &#";
    single_expect(BAD SWAP, text, text, "");
}

/* What is not shown goes the way of what stands before it. */
static void what_is_not_shown_goes_with_what_is_before_it(void **state)
{
    (void)state;
    single_expect(BAD SWAP, "x " ZWSP "bad" ACUTE ZWSP " " ZWSP "y", "x " ZWSP "*** " ZWSP "y",
                  NULL);
    single_expect(BAD SWAP, ZWSP "bad" ZWSP, ZWSP "***", NULL);
    single_expect(BAD SWAP, "bad" ACUTE "bad\xD0\xB0 bad" ACUTE, "bad" ACUTE "bad\xD0\xB0 ***",
                  NULL);
    single_expect(BAD "\"action\":\"stop\"", "x" ZWSP " " ZWSP "bad", "x" ZWSP " ", NULL);
}

static void half_a_character_is_never_replaced(void **state)
{
    (void)state;
    /* One character is shown as two, of which one is in the match. */
    const char *word =
        VIEW "\"type\":\"wordlist\",\"word_boundaries\":false,\"words\":[\"%s\"],"
             "\"action\":\"%s\"";
    char settings[256];
    snprintf(settings, sizeof(settings), word, "af", "replace");
    single_expect(settings, "xa\xEF\xAC\x81y", "x***y",
                  "replace 0/wordlist content#0 1-5 @1 wordlist: words[0]\n");
    snprintf(settings, sizeof(settings), word, "iy", "replace");
    single_expect(settings, "xa\xEF\xAC\x81y", "xa***",
                  "replace 0/wordlist content#0 2-6 @2 wordlist: words[0]\n");
    snprintf(settings, sizeof(settings), word, "iy", "stop");
    single_expect(settings, "xa\xEF\xAC\x81y", "xa",
                  "stop 0/wordlist content#0 2-6 @2 wordlist: words[0]\n");
}

static void words_are_normalised_as_the_text_is(void **state)
{
    (void)state;
    single_expect(VIEW "\"type\":\"wordlist\",\"words\":[\"caf\xC3\xA9\",\"\xD1\x81\xD0\xBE\xD0"
                       "\xBD\"]," SWAP,
                  "cafe CAFE" ACUTE " \xD1\x81\xD0\xBE\xD0\xBD co\xD0\xBD", "*** *** *** ***",
                  NULL);
    single_expect_refused(VIEW "\"type\":\"wordlist\",\"words\":[\"a\",\"" ZWSP "\"]",
                          "filters[0].words[1]: is empty");
}

static void other_filters_see_it_too(void **state)
{
    (void)state;
    single_expect(VIEW "\"type\":\"regex\",\"patterns\":[\"^k\\\\w+n$\"]," SWAP,
                  "k i l l &#101; n", "***",
                  "replace 0/regex content#0 0-16 @0 regex: patterns[0]\n");
    single_expect(VIEW "\"type\":\"pii\"", "to m\xD0\xB5@ex" ZWSP "ample&period;com now",
                  "to [email] now", NULL);
}

static void what_may_become_a_match_waits(void **state)
{
    (void)state;
    trace_expect_releases(single_chain(BAD SWAP), "I am b a x, b.a.d, ok",
                          "I||| am| ||||||b a x,| ||||||***,| |o|k|");
}

/* ---- any way to write a word ---- */

static const char *const tricks[] = {ZWSP,       ACUTE,          "\xCC\xB6",
                                     "\xC2\xAD", "\xE2\x80\xAE", "\xF3\xA0\x81\xA1",
                                     "&shy;",    "&#x200d;",     "\xE2\x83\x9D"};

static void write_letter(struct rng *rng, char letter, struct buf *out)
{
    static const char *const cyrillic[] = {"a\xD0\xB0", "c\xD1\x81", "e\xD0\xB5", "i\xD1\x96",
                                           "o\xD0\xBE", "p\xD1\x80", "s\xD1\x95", "x\xD1\x85"};
    uint32_t offset = (uint32_t)(letter - 'a');
    char bytes[4];
    int n;
    switch (rng_below(rng, 7)) {
    case 0:
        buf_append_char(out, (char)(letter - 32));
        return;
    case 1:
        n = utf8_encode(0xFF41 + offset, bytes); /* fullwidth */
        buf_append(out, bytes, (size_t)n);
        return;
    case 2:
        n = utf8_encode(0x1D41A + offset, bytes); /* mathematical bold */
        buf_append(out, bytes, (size_t)n);
        return;
    case 3:
        buf_printf(out, rng_below(rng, 2) ? "&#%03d;" : "&#X%x;", letter);
        return;
    case 4:
        for (size_t i = 0; i < sizeof(cyrillic) / sizeof(cyrillic[0]); i++) {
            if (cyrillic[i][0] == letter) {
                buf_append_str(out, cyrillic[i] + 1);
                return;
            }
        }
        break;
    default:
        break;
    }
    buf_append_char(out, letter);
}

static void write_tricks(struct rng *rng, struct buf *out)
{
    while (rng_below(rng, 3) == 0) {
        buf_append_str(out, tricks[rng_below(rng, sizeof(tricks) / sizeof(tricks[0]))]);
    }
}

static void write_word(struct rng *rng, const char *word, struct buf *out)
{
    static const char *const separators[] = {"", "", " ", ".", "-", "_", "&nbsp;"};
    const char *separator = separators[rng_below(rng, 7)];
    for (; *word; word++) {
        write_letter(rng, *word, out);
        write_tricks(rng, out);
        if (word[1]) {
            buf_append_str(out, separator);
            write_tricks(rng, out);
        }
    }
}

static void assert_text(const char *settings, const char *in, const char *out)
{
    single_expect(settings, in, out, NULL);
}

static void however_a_word_is_written_no_byte_of_it_leaves(void **state)
{
    (void)state;
    static const char *const words[] = {"bad", "explosive", "cocaine", "xyzzy"};
    static const char *const fillers[] = {
        "", "so, ", "It is (", "caf\xC3\xA9: ", "\xE4\xB8\xAD ", "AT&T, ", "I am. "};
    struct rng rng;
    rng_seed(&rng, 4);
    for (int i = 0; i < 1500; i++) {
        struct buf in, out;
        buf_init(&in, 4000);
        buf_init(&out, 4000);
        for (uint32_t n = 1 + rng_below(&rng, 3); n > 0; n--) {
            const char *filler = fillers[rng_below(&rng, 7)];
            buf_append_str(&in, filler);
            buf_append_str(&out, filler);
            write_word(&rng, words[rng_below(&rng, 4)], &in);
            buf_append_str(&out, "***");
            buf_append_str(&in, "; ");
            buf_append_str(&out, "; ");
        }
        assert_text(VIEW "\"type\":\"wordlist\",\"words\":[\"bad\",\"explosive\",\"cocaine\","
                         "\"xyzzy\"]," SWAP,
                    trace_string(&in), trace_string(&out));
        buf_deinit(&in);
        buf_deinit(&out);
    }
}

/* ---- text without tricks ---- */

static void write_clean_text(struct rng *rng, struct buf *out)
{
    static const char *const pieces[] = {"bad",
                                         "word",
                                         "me@example.com",
                                         "192.0.2.1",
                                         "4111 1111 1111 1111",
                                         "the",
                                         "I am",
                                         "a good",
                                         "AKIAIOSFODNN7EXAMPLE",
                                         "ghp_",
                                         "key=12",
                                         "212-555-0123",
                                         "it's",
                                         "(no)",
                                         "x1",
                                         "R2-D2"};
    static const char *const blanks[] = {" ", ", ", ". ", "\n", "--", ": "};
    for (uint32_t n = rng_below(rng, 20); n > 0; n--) {
        buf_append_str(out, pieces[rng_below(rng, sizeof(pieces) / sizeof(pieces[0]))]);
        buf_append_str(out, blanks[rng_below(rng, 6)]);
    }
}

static void run(struct trace *trace, const char *settings, const char *text, struct rng *rng)
{
    struct chain *chain = single_chain(settings);
    struct trace_step steps[8];
    size_t count = 0;
    for (size_t at = 0; at < strlen(text); at += 200) {
        steps[count].channel = FILTER_CONTENT;
        snprintf(steps[count].text, sizeof(steps[count].text), "%.200s", text + at);
        count++;
    }
    trace_run(trace, chain, FILTER_OUTPUT, steps, count, rng ? TRACE_RANDOM : TRACE_WHOLE, rng);
    chain_unref(chain);
}

static void on_clean_text_filters_do_what_they_do_without_it(void **state)
{
    (void)state;
    static const char *const filters[] = {
        "\"type\":\"wordlist\",\"words\":[\"bad\",\"word\",\"the word\"]," SWAP,
        "\"type\":\"wordlist\",\"words\":[\"a\",\"i\"],\"action\":\"mask\"",
        "\"type\":\"wordlist\",\"words\":[\"bad I\"],\"action\":\"stop\"",
        "\"type\":\"regex\",\"patterns\":[\"key=\\\\d+\",\"^the\"]," SWAP,
        "\"type\":\"pii\"",
        "\"type\":\"secrets\",\"action\":\"mask\"",
        "\"type\":\"length\",\"max_characters\":100,\"action\":\"cut\"",
        "\"type\":\"repetition\"",
        "\"type\":\"prompt_leak\",\"text\":[\"a good bad word the word it's "
        "(no)\"],\"words\":2",
    };
    struct rng rng;
    rng_seed(&rng, 9);
    for (int i = 0; i < 3000; i++) {
        struct buf text;
        buf_init(&text, 1400);
        write_clean_text(&rng, &text);
        const char *plain = filters[rng_below(&rng, sizeof(filters) / sizeof(filters[0]))];
        char with_view[512];
        snprintf(with_view, sizeof(with_view), VIEW "%s", plain);
        struct trace a, b;
        run(&a, plain, trace_string(&text), NULL);
        run(&b, with_view, trace_string(&text), &rng);
        trace_assert_equal(&a, &b);
        trace_deinit(&a);
        trace_deinit(&b);
        buf_deinit(&text);
    }
}

/* ---- bounds ---- */

static void text_of_nothing_that_is_shown_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct chain *chain = single_chain(BAD SWAP);
    struct err e;
    struct buf out;
    buf_init(&out, 1 << 20);
    struct chain_sink sink = chain_sink_buf(&out);
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    int status = CHAIN_GOES_ON;
    size_t fed = 0;
    while (status == CHAIN_GOES_ON && fed < 1000000) {
        status = chain_feed(stream, FILTER_CONTENT, ZWSP, 3, &sink, &e);
        fed += 3;
    }
    assert_int_equal(status, CHAIN_STOPPED);
    assert_string_equal(chain_stream_stop(stream)->message, "it holds too much text");
    assert_in_range(fed, 4 * FILTER_MAX_HOLD, 4 * FILTER_MAX_HOLD + 3);
    chain_stream_destroy(stream);
    chain_unref(chain);
    buf_deinit(&out);
}

/* Takes the chain. */
static void expect_same_for_all_cuts(struct chain *chain, const char *text, const char *events)
{
    struct rng rng;
    struct trace whole, cut;
    size_t count;
    struct trace_step *steps = single_steps(text, &count);
    rng_seed(&rng, 3);
    trace_run(&whole, chain, FILTER_OUTPUT, steps, count, TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&whole.events), events);
    trace_run(&cut, chain, FILTER_OUTPUT, steps, count, TRACE_CHARACTERS, NULL);
    trace_assert_equal(&whole, &cut);
    trace_deinit(&cut);
    trace_run(&cut, chain, FILTER_OUTPUT, steps, count, TRACE_RANDOM, &rng);
    trace_assert_equal(&whole, &cut);
    trace_deinit(&cut);
    trace_deinit(&whole);
    mem_free(steps);
    chain_unref(chain);
}

/* Takes the chain, too. */
static void expect_no_failure(struct chain *chain, const char *text)
{
    struct trace trace;
    size_t count;
    struct trace_step *steps = single_steps(text, &count);
    trace_run(&trace, chain, FILTER_OUTPUT, steps, count, TRACE_WHOLE, NULL);
    assert_int_equal(trace.status, CHAIN_GOES_ON);
    assert_null(strstr(trace_string(&trace.events), "fail"));
    trace_deinit(&trace);
    mem_free(steps);
    chain_unref(chain);
}

/* However much comes at once, what counts is what the filter has not decided. */
static void how_much_is_held_does_not_depend_on_cuts(void **state)
{
    (void)state;
    for (int is_too_much = 0; is_too_much < 2; is_too_much++) {
        struct buf text;
        buf_init(&text, 1 << 20);
        buf_append_str(&text, "xx");
        while (text.len + 1 <= (size_t)4 * FILTER_MAX_HOLD + (is_too_much ? 3 : 0)) {
            buf_append_str(&text, ZWSP);
        }
        for (int i = 0; i < 400; i++) {
            buf_append_str(&text, " lorem");
        }
        expect_same_for_all_cuts(single_chain(BAD SWAP ",\"fail\":\"open\""), text.data,
                                 is_too_much ? "fail 0/wordlist content#0 2-2 @2 "
                                               "filter_failed: it holds too much text\n"
                                             : "");
        buf_deinit(&text);
    }
}

static void much_that_a_filter_before_puts_in_at_once_is_not_held(void **state)
{
    (void)state;
    static const char *const keys[] = {"\"mode\":\"record\"", "\"view\":\"normalised\"",
                                       "\"mode\":\"record\",\"view\":\"normalised\""};
    for (size_t i = 0; i < 3; i++) {
        struct buf json, text;
        buf_init(&json, 10000);
        buf_init(&text, 10000);
        buf_append_str(&json, "{\"name\":\"t\",\"filters\":[{\"type\":\"regex\","
                              "\"patterns\":[\"q\"],\"replacement\":\"");
        for (int k = 0; k < 250; k++) {
            buf_append_char(&json, 'x');
        }
        buf_printf(
            &json,
            "\",\"action\":\"replace\"},{\"type\":\"wordlist\",\"words\":[\"bad\"],%s}]}",
            keys[i]);
        for (int k = 0; k < 1200; k++) {
            buf_append_str(&text, "q ");
        }
        expect_no_failure(trace_chain(json.data, NULL), text.data);
        buf_deinit(&json);
        buf_deinit(&text);
    }
}

/* A range that begins long before the cursor is told from where it is still known. */
static void ranges_far_back_are_bounded(void **state)
{
    (void)state;
    struct chain *chain = single_chain(VIEW "\"type\":\"length\",\"max_bytes\":300000");
    struct err e;
    struct buf out;
    buf_init(&out, 1 << 20);
    struct chain_sink sink = chain_sink_buf(&out);
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    int status = CHAIN_GOES_ON;
    while (status == CHAIN_GOES_ON) {
        status = chain_feed(stream, FILTER_CONTENT, "b" ZWSP "a" ACUTE "d, ", 10, &sink, &e);
    }
    assert_int_equal(status, CHAIN_STOPPED);
    assert_true(chain_stream_stop(stream)->to > 300000);
    chain_stream_destroy(stream);
    chain_unref(chain);
    buf_deinit(&out);
}

/* What people read of a JSON text is what its escapes mean, and it stays JSON. */
static void json_is_filtered_as_it_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *text, *wanted;
    } cases[] = {
        {"\"type\":\"wordlist\",\"words\":[\"bad\"],\"action\":\"replace\"",
         "{\"a\":\"\\nbad\\tday \\u0062ad nbad\"}", "{\"a\":\"\\n***\\tday *** nbad\"}"},
        {"\"type\":\"wordlist\",\"words\":[\"bad\"],\"action\":\"replace\",\"replacement\":\"a "
         "\\\"b\\\"\"",
         "[\"bad\"]", "[\"a \\u0022b\\u0022\"]"},
        {"\"type\":\"pii\"", "{\"a\":\"\\nann@example.com\\n4111111111111111\"}",
         "{\"a\":\"\\n[email]\\n[card]\"}"},
        {"\"type\":\"regex\",\"patterns\":[\"\\\\bbad\\\\b\"],\"action\":\"replace\"",
         "{\"a\":\"\\nbad\"}", "{\"a\":\"\\n***\"}"},
        {"\"type\":\"json\",\"paths\":[\"a\"]", "{\"a\":\"\\nbad\"}", "{\"a\":\"***\"}"},
    };
    struct rng rng;
    rng_seed(&rng, 12);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char json[300];
        struct err e;
        snprintf(json, sizeof(json), "{\"name\":\"t\",\"filters\":[{%s}]}", cases[i].filter);
        struct chain *chain = chain_from_json(json, strlen(json), NULL, &e);
        if (!chain) {
            fail_msg("%s: %s", json, e.message);
        }
        for (int run = 0; run < 30; run++) {
            struct buf out;
            buf_init(&out, 1000);
            const struct chain_sink sink = chain_sink_buf(&out);
            struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
            assert_non_null(stream);
            chain_stream_set_json(stream);
            size_t len = strlen(cases[i].text);
            for (size_t at = 0, n; at < len; at += n) {
                n = run == 0 ? 1 : 1 + rng_below(&rng, 9);
                n = n < len - at ? n : len - at;
                assert_int_equal(
                    chain_feed(stream, FILTER_CONTENT, cases[i].text + at, n, &sink, &e), 0);
                assert_memory_equal(out.data ? out.data : "", cases[i].wanted, out.len);
            }
            assert_int_equal(chain_finish(stream, &sink, &e), 0);
            assert_string_equal(out.data, cases[i].wanted);
            chain_stream_destroy(stream);
            buf_deinit(&out);
        }
        chain_unref(chain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_match_is_replaced_as_it_was_written),
        cmocka_unit_test(text_without_a_match_is_as_it_was_written),
        cmocka_unit_test(what_is_not_shown_goes_with_what_is_before_it),
        cmocka_unit_test(half_a_character_is_never_replaced),
        cmocka_unit_test(words_are_normalised_as_the_text_is),
        cmocka_unit_test(other_filters_see_it_too),
        cmocka_unit_test(what_may_become_a_match_waits),
        cmocka_unit_test(however_a_word_is_written_no_byte_of_it_leaves),
        cmocka_unit_test(on_clean_text_filters_do_what_they_do_without_it),
        cmocka_unit_test(text_of_nothing_that_is_shown_does_not_wait_for_ever),
        cmocka_unit_test(how_much_is_held_does_not_depend_on_cuts),
        cmocka_unit_test(much_that_a_filter_before_puts_in_at_once_is_not_held),
        cmocka_unit_test(ranges_far_back_are_bounded),
        cmocka_unit_test(json_is_filtered_as_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
