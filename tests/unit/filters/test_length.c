/* The filter "length": what passes is exactly the limit, for every way of cutting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/filters/single.h"

#define STOP "\"type\":\"length\","
#define CUT  "\"type\":\"length\",\"action\":\"cut\","

static void a_text_of_exactly_the_limit_passes(void **state)
{
    (void)state;
    single_expect(STOP "\"max_characters\":5", "h\xC3\xA9llo", "h\xC3\xA9llo", "");
    single_expect(STOP "\"max_bytes\":6", "h\xC3\xA9llo", "h\xC3\xA9llo", "");
}

static void the_character_beyond_the_limit_stops_the_answer(void **state)
{
    (void)state;
    single_expect(STOP "\"max_characters\":5", "h\xC3\xA9llo!?", "h\xC3\xA9llo",
                  "stop 0/length content#0 6-7 @6 length: max_characters\n");
    single_expect(STOP "\"max_characters\":0", "a", "",
                  "stop 0/length content#0 0-1 @0 length: max_characters\n");
}

static void a_limit_in_bytes_never_cuts_a_character(void **state)
{
    (void)state;
    single_expect(STOP "\"max_bytes\":2", "h\xC3\xA9llo", "h",
                  "stop 0/length content#0 1-3 @1 length: max_bytes\n");
    /* A shorter character after one that did not fit does not slip through. */
    single_expect(CUT "\"max_bytes\":2", "h\xC3\xA9llo", "h",
                  "replace 0/length content#0 1-3 @1 length: max_bytes\n");
}

static void a_cut_is_one_event_and_other_texts_go_on(void **state)
{
    (void)state;
    single_expect(CUT "\"max_characters\":2", "abcdef", "ab",
                  "replace 0/length content#0 2-3 @2 length: max_characters\n");
    struct chain *chain = single_chain(CUT "\"max_characters\":2");
    static const struct trace_step steps[] = {
        {FILTER_REASONING, "abc"}, {FILTER_CONTENT, "de"}, {FILTER_REASONING, "f"},
        {FILTER_CONTENT, "gh"},    {FILTER_CONTENT, ""},   {FILTER_CONTENT, "ij"}};
    struct trace trace;
    trace_run(&trace, chain, FILTER_OUTPUT, steps, 6, TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&trace.text[FILTER_REASONING]), "ab");
    assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "deij");
    trace_deinit(&trace);
    chain_unref(chain);
}

static void settings_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    single_expect_refused("\"type\":\"length\"", "filters[0]: give \"max_characters\", or");
    single_expect_refused(STOP "\"max_characters\":1.5", "filters[0].max_characters: must be");
    single_expect_refused(STOP "\"max_bytes\":-1", "filters[0].max_bytes: must be a whole");
    single_expect_refused(STOP "\"max_bytes\":1e300", "filters[0].max_bytes: must be a whole");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_of_exactly_the_limit_passes),
        cmocka_unit_test(the_character_beyond_the_limit_stops_the_answer),
        cmocka_unit_test(a_limit_in_bytes_never_cuts_a_character),
        cmocka_unit_test(a_cut_is_one_event_and_other_texts_go_on),
        cmocka_unit_test(settings_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
