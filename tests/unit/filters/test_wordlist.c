/* The filter "wordlist": what it finds, what it does there, and that it holds no byte too
 * many or too few. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/filters/trace.h"
#include "tests/unit/filters/wordlist_oracle.h"

static struct chain *one_list(const char *settings)
{
    char json[2048];
    snprintf(json, sizeof(json), "{\"name\":\"t\",\"filters\":[{\"type\":\"wordlist\",%s}]}",
             settings);
    return trace_chain(json, NULL);
}

static void expect(const char *settings, const char *in, const char *out)
{
    struct chain *chain = one_list(settings);
    struct trace whole, characters;
    trace_run_text(&whole, chain, in, TRACE_WHOLE, NULL);
    trace_run_text(&characters, chain, in, TRACE_CHARACTERS, NULL);
    trace_assert_equal(&whole, &characters);
    assert_string_equal(trace_string(&whole.text[FILTER_CONTENT]), out);
    trace_deinit(&whole);
    trace_deinit(&characters);
    chain_unref(chain);
}

/* ---- examples ---- */

static void whole_words_are_found_in_any_case(void **state)
{
    (void)state;
    const char *list = "\"words\":[\"bad\",\"Stra\xC3\x9F"
                       "e\"],\"action\":\"replace\"";
    expect(list, "bad BAD bAd.", "*** *** ***.");
    expect(list, "badly abad _bad bad_ bad2 bad\xCC\x81",
           "badly abad _bad bad_ bad2 bad\xCC\x81");
    expect(list, "(bad) bad-bad\nbad", "(***) ***-***\n***");
    expect(list,
           "STRA\xE1\xBA\x9E"
           "E",
           "***");
    expect(list,
           "b\xC3\xA4"
           "d",
           "b\xC3\xA4"
           "d");
}

static void case_can_matter(void **state)
{
    (void)state;
    expect("\"words\":[\"Bad\"],\"case_sensitive\":true,\"action\":\"mask\"", "bad Bad BAD",
           "bad *** BAD");
}

static void parts_of_words_can_be_found(void **state)
{
    (void)state;
    expect("\"words\":[\"bad\"],\"word_boundaries\":false,\"action\":\"replace\"", "abadly",
           "a***ly");
}

static void words_without_letters_at_their_ends_are_found_next_to_anything(void **state)
{
    (void)state;
    const char *list = "\"words\":[\"c++\",\"#tag\",\"...\"],\"action\":\"replace\"";
    expect(list, "c++11 abc++ x#tag #tags a...b", "***11 abc++ x*** #tags a***b");
}

static void words_of_scripts_without_spaces_are_found_in_running_text(void **state)
{
    (void)state;
    expect("\"words\":[\"\xE6\x95\x8F\xE6\x84\x9F\"],\"action\":\"mask\"",
           "\xE8\xBF\x99\xE6\x98\xAF\xE6\x95\x8F\xE6\x84\x9F\xE8\xAF\x8D",
           "\xE8\xBF\x99\xE6\x98\xAF**\xE8\xAF\x8D");
}

static void phrases_are_found_as_written(void **state)
{
    (void)state;
    const char *list = "\"words\":[\"kill all\"],\"action\":\"replace\"";
    expect(list, "skill all kill all kill allow kill  all",
           "skill all *** kill allow kill  all");
}

static void masks_stand_for_characters_and_not_bytes(void **state)
{
    (void)state;
    expect("\"words\":[\"\xC3\xA9"
           "a\xE2\x84\xAA\"],\"action\":\"mask\",\"mask\":\"\xE2\x96\x88\"",
           "x \xC3\x89"
           "AK y",
           "x \xE2\x96\x88\xE2\x96\x88\xE2\x96\x88 y");
}

static void overlapping_occurrences_are_one_hit_and_touching_ones_are_two(void **state)
{
    (void)state;
    const char *list =
        "\"words\":[\"abc\",\"bcd\",\"ef\"],\"word_boundaries\":false,\"action\":\"replace\"";
    expect(list, "xabcdy", "x***y");
    expect(list, "abcef", "******");
    expect(list, "abcdabcd", "******");
    expect("\"words\":[\"aba\"],\"word_boundaries\":false,\"action\":\"replace\"", "abababa",
           "***");
}

static void a_longer_word_at_the_same_place_wins(void **state)
{
    (void)state;
    const char *list = "\"words\":[\"a\",\"a b\",\"a b c\"],\"action\":\"replace\"";
    expect(list, "a", "***");
    expect(list, "a b", "***");
    expect(list, "a b c", "***");
    expect(list, "a b x", "*** x");
    expect(list, "a bc", "*** bc");
}

static void a_replacement_may_be_empty(void **state)
{
    (void)state;
    expect("\"words\":[\"a\"],\"action\":\"replace\",\"replacement\":\"\"", "b a c", "b  c");
}

static void a_note_changes_and_holds_nothing(void **state)
{
    (void)state;
    struct chain *chain = one_list("\"words\":[\"bad\"],\"action\":\"note\"");
    struct buf out;
    buf_init(&out, 100);
    struct chain_sink sink = chain_sink_buf(&out);
    struct err e;
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    chain_feed(stream, FILTER_CONTENT, "a bad", 5, &sink, &e);
    assert_string_equal(out.data, "a bad");
    assert_int_equal(chain_finish(stream, &sink, &e), CHAIN_GOES_ON);
    size_t count;
    const struct chain_event *events = chain_stream_events(stream, &count, NULL);
    assert_int_equal(count, 1);
    assert_int_equal(events[0].kind, CHAIN_NOTE);
    assert_int_equal(events[0].from, 2);
    assert_int_equal(events[0].to, 5);
    chain_stream_destroy(stream);
    chain_unref(chain);
    buf_deinit(&out);
}

/* What has been released after each character, joined by "|". */
static void expect_releases(const char *settings, const char *in, const char *releases)
{
    trace_expect_releases(one_list(settings), in, releases);
}

static void only_what_can_become_a_match_waits(void **state)
{
    (void)state;
    const char *list = "\"words\":[\"bad\"],\"action\":\"replace\"";
    expect_releases(list, "xbad bat", "x|b|a|d| |||bat|");
    expect_releases(list, "bad.", "|||***.|");
    expect_releases(list, "bad", "|||***");
    expect_releases(list, "bads", "|||bads|");
}

static void a_replacement_does_not_wait_for_a_longer_word(void **state)
{
    (void)state;
    expect_releases(
        "\"words\":[\"a\",\"abcd\"],\"word_boundaries\":false,\"action\":\"replace\"", "abcx",
        "***||"
        "|bcx|");
    expect_releases(
        "\"words\":[\"a\",\"abcd\"],\"word_boundaries\":false,\"action\":\"replace\"", "abcd",
        "***||"
        "||");
}

static void a_stop_comes_as_soon_as_it_is_certain(void **state)
{
    (void)state;
    struct chain *chain =
        one_list("\"words\":[\"kill\",\"kill all\"],\"word_boundaries\":false");
    struct buf out;
    buf_init(&out, 100);
    struct chain_sink sink = chain_sink_buf(&out);
    struct err e;
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    assert_int_equal(chain_feed(stream, FILTER_CONTENT, "a kill", 6, &sink, &e), CHAIN_STOPPED);
    assert_string_equal(out.data, "a ");
    assert_string_equal(chain_stream_stop(stream)->message, "words[0]");
    assert_int_equal(chain_stream_stop(stream)->from, 2);
    assert_int_equal(chain_stream_stop(stream)->to, 6);
    chain_stream_destroy(stream);
    chain_unref(chain);
    buf_deinit(&out);
}

static void words_that_are_too_long_or_too_many_are_refused(void **state)
{
    (void)state;
    struct buf json;
    buf_init(&json, CHAIN_MAX_JSON);
    buf_append_str(&json, "{\"name\":\"t\",\"filters\":[{\"type\":\"wordlist\",\"words\":[\"");
    for (int i = 0; i < 257; i++) {
        buf_append_char(&json, 'a');
    }
    buf_append_str(&json, "\"]}]}");
    struct err e;
    assert_null(chain_from_json(json.data, json.len, NULL, &e));
    assert_string_equal(e.message, "filters[0].words[0]: is longer than 256 bytes");

    buf_clear(&json);
    buf_append_str(&json,
                   "{\"name\":\"t\",\"filters\":[{\"type\":\"wordlist\",\"words\":[\"0\"");
    for (int i = 1; i <= 100000; i++) {
        buf_printf(&json, ",\"%d\"", i);
    }
    buf_append_str(&json, "]}]}");
    assert_null(chain_from_json(json.data, json.len, NULL, &e));
    assert_string_equal(e.message,
                        "filters[0].words[100000]: is one too many, 100000 words are allowed");
    buf_deinit(&json);
}

static void a_list_that_needs_too_much_memory_is_refused(void **state)
{
    (void)state;
    struct buf json;
    buf_init(&json, CHAIN_MAX_JSON);
    buf_append_str(&json,
                   "{\"name\":\"t\",\"filters\":[{\"type\":\"wordlist\",\"words\":[\"0\"");
    for (int i = 0; i < 10000; i++) {
        buf_printf(&json, ",\"%0120d\"", i);
        json.data[json.len - 121] = (char)('a' + i % 26);
        json.data[json.len - 120] = (char)('a' + i / 26 % 26);
        json.data[json.len - 119] = (char)('a' + i / 676);
    }
    buf_append_str(&json, "]}]}");
    struct err e;
    assert_null(chain_from_json(json.data, json.len, NULL, &e));
    assert_non_null(strstr(e.message, "automaton states, at most 1000000 are allowed"));
    buf_deinit(&json);
}

/* ---- against the oracle ---- */

static const char *const narrow[] = {"a", "b", " "};
static const char *const wide[] = {"a",        "A",        "b", "c", "k", "K", "\xE2\x84\xAA",
                                   "\xC3\xA9", "\xC3\x89", " ", "-"};

static void random_text(struct rng *rng, const char *const *letters, uint32_t letter_count,
                        uint32_t length, char *out)
{
    out[0] = '\0';
    for (uint32_t i = 0; i < length; i++) {
        strcat(out, letters[rng_below(rng, letter_count)]);
    }
}

struct random_list {
    struct oracle_list oracle;
    char words[ORACLE_MAX_WORDS][64];
    char settings[1024];
};

static void random_words(struct rng *rng, struct random_list *list, const char *const *letters,
                         uint32_t letter_count, uint32_t max_words, uint32_t max_len)
{
    static const char *const actions[] = {"stop", "replace", "mask", "note"};
    static const char *const replacements[] = {"*", "", "<>"};
    struct oracle_list *o = &list->oracle;
    *o = (struct oracle_list){
        .count = 1 + rng_below(rng, max_words),
        .action = (enum oracle_action)rng_below(rng, 4),
        .case_sensitive = rng_below(rng, 2),
        .whole_words = rng_below(rng, 2),
    };
    o->replacement = o->action == ORACLE_REPLACE ? replacements[rng_below(rng, 3)] : "*";
    char *s = list->settings;
    size_t max = sizeof(list->settings);
    size_t len = (size_t)snprintf(s, max, "\"words\":[");
    for (size_t i = 0; i < o->count; i++) {
        random_text(rng, letters, letter_count, 1 + rng_below(rng, max_len), list->words[i]);
        o->words[i] = list->words[i];
        len += (size_t)snprintf(s + len, max - len, "%s\"%s\"", i ? "," : "", list->words[i]);
    }
    len += (size_t)snprintf(s + len, max - len,
                            "],\"action\":\"%s\",\"case_sensitive\":%s,\"word_boundaries\":%s",
                            actions[o->action], o->case_sensitive ? "true" : "false",
                            o->whole_words ? "true" : "false");
    if (o->action == ORACLE_REPLACE) {
        snprintf(s + len, max - len, ",\"replacement\":\"%s\"", o->replacement);
    }
}

/* Whether the events are the hits: where each begins and by which word it is known. Masking
 * may tell of more, as it acts on touching hits before it is clear that a longer word joins
 * them. */
static bool events_are_hits(const struct oracle_result *expected, const char *events,
                            bool may_be_more)
{
    size_t hit = 0;
    for (const char *line = events; *line; line = strchr(line, '\n') + 1) {
        unsigned long from, word;
        bool is_hit =
            hit < expected->hit_count &&
            sscanf(line, "%*s %*s %*s %lu-%*u @%*u wordlist: words[%lu]", &from, &word) == 2 &&
            from == expected->from[hit] && word == expected->word[hit];
        if (!is_hit && !may_be_more) {
            return false;
        }
        hit += is_hit;
    }
    return hit == expected->hit_count;
}

static void assert_like_oracle(const struct random_list *list, const char *text,
                               const struct trace *trace)
{
    struct oracle_result expected;
    oracle_run(&list->oracle, text, &expected);
    const char *released = trace_string(&trace->text[FILTER_CONTENT]);
    const char *events = trace_string(&trace->events);
    if (strcmp(expected.text, released) != 0 ||
        expected.stopped != (trace->status == CHAIN_STOPPED) ||
        !events_are_hits(&expected, events, list->oracle.action == ORACLE_MASK)) {
        fail_msg("%s\ntext:   \"%s\"\nwanted: \"%s\"%s\ngot:    \"%s\"\n%s", list->settings,
                 text, expected.text, expected.stopped ? " stop" : "", released, events);
    }
}

static void check_random_lists(uint64_t seed, int rounds, const char *const *letters,
                               uint32_t letter_count, uint32_t max_len)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (int i = 0; i < rounds; i++) {
        struct random_list list;
        random_words(&rng, &list, letters, letter_count, ORACLE_MAX_WORDS, max_len);
        struct chain *chain = one_list(list.settings);
        for (int k = 0; k < 5; k++) {
            char text[256];
            random_text(&rng, letters, letter_count, rng_below(&rng, 40), text);
            struct trace whole, cut;
            trace_run_text(&whole, chain, text, TRACE_WHOLE, NULL);
            assert_like_oracle(&list, text, &whole);
            trace_run_text(&cut, chain, text, TRACE_CHARACTERS, NULL);
            trace_assert_equal(&whole, &cut);
            trace_deinit(&cut);
            trace_run_text(&cut, chain, text, TRACE_RANDOM, &rng);
            trace_assert_equal(&whole, &cut);
            trace_deinit(&cut);
            trace_deinit(&whole);
        }
        chain_unref(chain);
    }
}

static void random_lists_agree_with_brute_force(void **state)
{
    (void)state;
    check_random_lists(11, 4000, narrow, 3, 6);
    check_random_lists(12, 4000, wide, 11, 3);
    check_random_lists(13, 2000, wide, 11, 1);
}

/* ---- exactness ---- */

/* Text with a mark behind it when it ended in a stop: what one future of a stream looks
 * like. */
static void outcome(const struct oracle_list *list, const char *text, char *out)
{
    struct oracle_result result;
    oracle_run(list, text, &result);
    strcpy(out, result.text);
    strcat(out, result.stopped ? "!" : "");
}

/* Shortens `common` to what it shares with the outcome of text + every continuation of at
 * most `depth` more characters. */
static void intersect_futures(const struct oracle_list *list, char *text, int depth,
                              char *common)
{
    char future[1024];
    outcome(list, text, future);
    size_t n = 0;
    while (common[n] && common[n] == future[n]) {
        n++;
    }
    common[n] = '\0';
    size_t len = strlen(text);
    for (size_t i = 0; depth > 0 && i < sizeof(narrow) / sizeof(narrow[0]); i++) {
        strcpy(text + len, narrow[i]);
        intersect_futures(list, text, depth - 1, common);
        text[len] = '\0';
    }
}

/* Feeds one character after another; each time all that is common to all futures has come
 * out, and nothing more. Four more characters reach all futures there are, as no word is
 * longer than four. */
static void check_releases(const struct random_list *list, const char *text)
{
    struct chain *chain = one_list(list->settings);
    struct buf out;
    buf_init(&out, 1000);
    struct chain_sink sink = chain_sink_buf(&out);
    struct err e;
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    char prefix[64] = "";
    for (size_t i = 0; text[i]; i++) {
        prefix[i] = text[i];
        prefix[i + 1] = '\0';
        int status = chain_feed(stream, FILTER_CONTENT, text + i, 1, &sink, &e);
        char released[1024];
        char common[1024];
        snprintf(released, sizeof(released), "%s%s", trace_string(&out),
                 status == CHAIN_STOPPED ? "!" : "");
        outcome(&list->oracle, prefix, common);
        intersect_futures(&list->oracle, prefix, 4, common);
        if (strcmp(released, common) != 0) {
            fail_msg("%s\nafter:  \"%s\"\nwanted: \"%s\"\ngot:    \"%s\"", list->settings,
                     prefix, common, released);
        }
    }
    chain_stream_destroy(stream);
    chain_unref(chain);
    buf_deinit(&out);
}

static void what_is_released_is_what_all_futures_share(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 21);
    for (int i = 0; i < 1500; i++) {
        struct random_list list;
        random_words(&rng, &list, narrow, 3, 4, 4);
        char text[64];
        random_text(&rng, narrow, 3, 8, text);
        check_releases(&list, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_words_are_found_in_any_case),
        cmocka_unit_test(case_can_matter),
        cmocka_unit_test(parts_of_words_can_be_found),
        cmocka_unit_test(words_without_letters_at_their_ends_are_found_next_to_anything),
        cmocka_unit_test(words_of_scripts_without_spaces_are_found_in_running_text),
        cmocka_unit_test(phrases_are_found_as_written),
        cmocka_unit_test(masks_stand_for_characters_and_not_bytes),
        cmocka_unit_test(overlapping_occurrences_are_one_hit_and_touching_ones_are_two),
        cmocka_unit_test(a_longer_word_at_the_same_place_wins),
        cmocka_unit_test(a_replacement_may_be_empty),
        cmocka_unit_test(a_note_changes_and_holds_nothing),
        cmocka_unit_test(only_what_can_become_a_match_waits),
        cmocka_unit_test(a_replacement_does_not_wait_for_a_longer_word),
        cmocka_unit_test(a_stop_comes_as_soon_as_it_is_certain),
        cmocka_unit_test(words_that_are_too_long_or_too_many_are_refused),
        cmocka_unit_test(a_list_that_needs_too_much_memory_is_refused),
        cmocka_unit_test(random_lists_agree_with_brute_force),
        cmocka_unit_test(what_is_released_is_what_all_futures_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
