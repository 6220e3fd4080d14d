/* Text, events and stops do not depend on how the stream was cut, whatever the filters do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/filters/toy_filters.h"
#include "tests/unit/filters/trace.h"

#define MAX_STEPS 24

static size_t random_script(struct rng *rng, struct trace_step steps[MAX_STEPS])
{
    static const char *const pieces[] = {
        "a", "b", "ab", " ", "\xC3\xA9", "ba a", "\xF0\x9F\x99\x82"};
    size_t count = 1 + rng_below(rng, MAX_STEPS);
    for (size_t i = 0; i < count; i++) {
        steps[i].channel = (enum filter_channel)rng_below(rng, FILTER_CHANNELS);
        steps[i].text[0] = '\0';
        uint32_t length = rng_below(rng, 8);
        for (uint32_t k = 0; k < length; k++) {
            strcat(steps[i].text, pieces[rng_below(rng, 7)]);
        }
    }
    return count;
}

/* The same script whole, by characters and with random cuts. */
static void assert_cuts_do_not_matter(struct chain *chain, struct rng *rng)
{
    struct trace_step steps[MAX_STEPS];
    size_t count = random_script(rng, steps);
    struct trace whole, cut;
    trace_run(&whole, chain, FILTER_OUTPUT, steps, count, TRACE_WHOLE, NULL);
    trace_run(&cut, chain, FILTER_OUTPUT, steps, count, TRACE_CHARACTERS, NULL);
    trace_assert_equal(&whole, &cut);
    trace_deinit(&cut);
    for (int i = 0; i < 3; i++) {
        trace_run(&cut, chain, FILTER_OUTPUT, steps, count, TRACE_RANDOM, rng);
        trace_assert_equal(&whole, &cut);
        trace_deinit(&cut);
    }
    trace_deinit(&whole);
}

static void a_filter_that_minds_the_cuts_never_sees_them(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct chain *chain =
        trace_chain("{\"name\":\"t\",\"filters\":[{\"type\":\"span\"}]}", toy_types);
    for (int i = 0; i < 200; i++) {
        assert_cuts_do_not_matter(chain, &rng);
    }
    struct trace trace;
    trace_run_text(&trace, chain, "a\xC3\xA9z", TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "|||");
    trace_deinit(&trace);
    chain_unref(chain);
}

static void chains_of_chaotic_filters_are_the_same_for_all_cuts(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 2);
    for (int i = 0; i < 3000; i++) {
        char json[1024] = "{\"name\":\"t\",\"filters\":[";
        uint32_t filters = 1 + rng_below(&rng, 4);
        for (uint32_t k = 0; k < filters; k++) {
            size_t len = strlen(json);
            snprintf(json + len, sizeof(json) - len,
                     "%s{\"type\":\"chaos\",\"seed\":%u,\"fail\":\"%s\"}", k ? "," : "",
                     rng_below(&rng, 1000000), rng_below(&rng, 4) ? "open" : "closed");
        }
        strcat(json, "]}");
        struct chain *chain = trace_chain(json, toy_types);
        assert_cuts_do_not_matter(chain, &rng);
        chain_unref(chain);
    }
}

static void chains_of_word_lists_are_the_same_for_all_cuts(void **state)
{
    (void)state;
    static const char *const words[] = {"a",   "b",        "ab",        "ba",   "aba",
                                        "a b", "\xC3\xA9", "b\xC3\xA9", "ab ba"};
    static const char *const actions[] = {"\"stop\"",
                                          "\"mask\",\"mask\":\"b\"",
                                          "\"replace\",\"replacement\":\"a\"",
                                          "\"replace\",\"replacement\":\"\"",
                                          "\"replace\",\"replacement\":\"b a\"",
                                          "\"note\""};
    struct rng rng;
    rng_seed(&rng, 3);
    for (int i = 0; i < 3000; i++) {
        char json[1024] = "{\"name\":\"t\",\"filters\":[";
        uint32_t filters = 1 + rng_below(&rng, 4);
        for (uint32_t k = 0; k < filters; k++) {
            size_t len = strlen(json);
            snprintf(json + len, sizeof(json) - len,
                     "%s{\"type\":\"wordlist\",\"words\":[\"%s\",\"%s\",\"%s\"],"
                     "\"word_boundaries\":%s,\"action\":%s}",
                     k ? "," : "", words[rng_below(&rng, 9)], words[rng_below(&rng, 9)],
                     words[rng_below(&rng, 9)], rng_below(&rng, 2) ? "true" : "false",
                     actions[rng_below(&rng, 6)]);
        }
        strcat(json, "]}");
        struct chain *chain = trace_chain(json, toy_types);
        assert_cuts_do_not_matter(chain, &rng);
        chain_unref(chain);
    }
}

/* A chunk longer than what goes through the chain at once. */
static void a_long_chunk_is_the_same_as_its_characters(void **state)
{
    (void)state;
    struct chain *chain = trace_chain("{\"name\":\"t\",\"filters\":[{\"type\":\"wordlist\","
                                      "\"words\":[\"\xC3\xA9\xC3\xA9 a\"],"
                                      "\"action\":\"mask\",\"mask\":\"b\"}]}",
                                      NULL);
    static char text[30000];
    for (size_t i = 0; i + 8 < sizeof(text); i += 7) {
        strcpy(text + i, "\xC3\xA9\xC3\xA9 a ");
    }
    struct err e;
    size_t len = strlen(text);
    struct buf whole, bytes;
    buf_init(&whole, len);
    buf_init(&bytes, len);
    struct chain_sink sink = chain_sink_buf(&whole);
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    assert_int_equal(chain_feed(stream, FILTER_CONTENT, text, len, &sink, &e), 0);
    assert_int_equal(chain_finish(stream, &sink, &e), 0);
    chain_stream_destroy(stream);
    sink = chain_sink_buf(&bytes);
    stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    for (size_t at = 0; at < len;) {
        size_t n = (unsigned char)text[at] == 0xC3 ? 2 : 1;
        assert_int_equal(chain_feed(stream, FILTER_CONTENT, text + at, n, &sink, &e), 0);
        at += n;
    }
    assert_int_equal(chain_finish(stream, &sink, &e), 0);
    chain_stream_destroy(stream);
    assert_string_equal(whole.data, bytes.data);
    assert_null(strstr(whole.data, "\xC3\xA9"));
    buf_deinit(&whole);
    buf_deinit(&bytes);
    chain_unref(chain);
}

/* How much a filter may hold is the same for every way of cutting, to the character. */
static void what_is_too_long_to_hold_is_so_for_all_cuts(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 5);
    struct chain *chain = trace_chain(
        "{\"name\":\"t\",\"filters\":[{\"type\":\"regex\",\"patterns\":[\"x[a-z]*y\"],"
        "\"fail\":\"open\",\"action\":\"replace\"}]}",
        NULL);
    size_t failures = 0;
    for (size_t extra = 0; extra < 6; extra++) {
        /* So many letters that the match, and what decides it, comes to the limit. */
        size_t letters = FILTER_MAX_HOLD - 4 + extra + (extra == 5 ? 2000 : 0);
        size_t count = 2 + (letters + 249) / 250;
        struct trace_step *steps = calloc(count, sizeof(*steps));
        strcpy(steps[0].text, "q x");
        for (size_t i = 1; letters > 0; i++) {
            size_t n = letters < 250 ? letters : 250;
            memset(steps[i].text, 'a', n);
            letters -= n;
        }
        strcpy(steps[count - 1].text, "y and something after it");
        struct trace whole, cut;
        trace_run(&whole, chain, FILTER_OUTPUT, steps, count, TRACE_WHOLE, NULL);
        for (int cuts = TRACE_CHARACTERS; cuts <= TRACE_RANDOM; cuts++) {
            trace_run(&cut, chain, FILTER_OUTPUT, steps, count, (enum trace_cuts)cuts, &rng);
            trace_assert_equal(&whole, &cut);
            trace_deinit(&cut);
        }
        failures += strstr(trace_string(&whole.events), "too much text") != NULL;
        trace_deinit(&whole);
        free(steps);
    }
    assert_in_range(failures, 1, 5);
    chain_unref(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_that_minds_the_cuts_never_sees_them),
        cmocka_unit_test(chains_of_chaotic_filters_are_the_same_for_all_cuts),
        cmocka_unit_test(chains_of_word_lists_are_the_same_for_all_cuts),
        cmocka_unit_test(what_is_too_long_to_hold_is_so_for_all_cuts),
        cmocka_unit_test(a_long_chunk_is_the_same_as_its_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
