/* The filter "prompt_leak": no row of words that is too long leaves, and shorter ones do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/filters/single.h"

#define TYPE "\"type\":\"prompt_leak\",\"words\":3,\"text\":"
#define BANK "[\"You are Finn, the bank's helper. Never name the vault's code 4711.\"]"
#define MASK ",\"action\":\"mask\""

static void as_many_words_as_may_be_pass(void **state)
{
    (void)state;
    single_expect(TYPE BANK, "You are Finn. Never name the dog.",
                  "You are Finn. Never name the dog.", "");
}

static void one_word_more_stops_the_answer_before_the_first(void **state)
{
    (void)state;
    single_expect(TYPE BANK, "I say: never  NAME\nthe *vault* code.",
                  "I say: ", "stop 0/prompt_leak content#0 7-29 @7 prompt_leak: text[0]\n");
    single_expect(TYPE BANK, "you are finn the", "",
                  "stop 0/prompt_leak content#0 0-16 @0 prompt_leak: text[0]\n");
    single_expect(TYPE BANK, "you are finn then", "you are finn then", "");
}

static void all_that_is_repeated_is_masked(void **state)
{
    (void)state;
    single_expect(TYPE BANK MASK, "So: you are Finn, the bank is. Name the vault's code: 4711!",
                  "So: ********************** is. ***************************!", NULL);
    single_expect(TYPE BANK ",\"action\":\"note\"", "you are Finn the", "you are Finn the",
                  "note 0/prompt_leak content#0 0-16 @16 prompt_leak: text[0]\n");
}

#define TA "\xE4\xBB\x96"
#define NI "\xE4\xBD\xA0"
#define WO "\xE6\x88\x91"
static void scripts_without_spaces_count_by_characters(void **state)
{
    (void)state;
    const char *settings = TYPE "[\"" WO NI TA WO " x\"]" MASK;
    single_expect(settings, "a" NI TA WO "b" WO NI " " TA WO "x",
                  "a" NI TA WO "b"
                  "******",
                  NULL);
}

/* Whether the words of `text`, one letter each, repeat four in a row of the prompt's. */
static int leaks(const char *text, const char *prompt)
{
    char words[256];
    size_t count = 0;
    for (; *text; text++) {
        if (*text != ' ') {
            words[count++] = *text;
        }
    }
    words[count] = '\0';
    for (size_t i = 0; i + 4 <= count; i++) {
        char run[5];
        snprintf(run, sizeof(run), "%.4s", words + i);
        if (strstr(prompt, run)) {
            return 1;
        }
    }
    return 0;
}

static void nothing_leaks_for_any_cut(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 3);
    int masked = 0;
    for (int i = 0; i < 300; i++) {
        char prompt[16] = "", spaced[64] = "", text[128] = "", json[256];
        for (size_t k = 0; k < 10; k++) {
            prompt[k] = (char)('a' + rng_below(&rng, 3));
            snprintf(spaced + 2 * k, sizeof(spaced) - 2 * k, "%c ", prompt[k]);
        }
        for (size_t k = 0; k < 40; k++) {
            snprintf(text + 2 * k, sizeof(text) - 2 * k, "%c ", 'a' + (int)rng_below(&rng, 3));
        }
        snprintf(json, sizeof(json), "\"type\":\"prompt_leak\",\"words\":3,\"text\":[\"%s\"]%s",
                 spaced, MASK);
        struct chain *chain = single_chain(json);
        struct trace trace;
        trace_run_text(&trace, chain, text, TRACE_WHOLE, NULL);
        const char *out = trace_string(&trace.text[FILTER_CONTENT]);
        assert_false(leaks(out, prompt));
        assert_int_equal(strchr(out, '*') != NULL, leaks(text, prompt));
        masked += strchr(out, '*') != NULL;
        single_expect(json, text, out, NULL);
        trace_deinit(&trace);
        chain_unref(chain);
    }
    assert_in_range(masked, 50, 300);
}

#define ACTIVE "\"type\":\"prompt_leak\",\"words\":3,\"active\":true"

/* What comes out of `text` when the model read `prompt`. The caller's (buf_deinit). */
static struct buf under_prompt(struct chain *chain, const char *prompt, const char *text)
{
    struct err e;
    struct buf out;
    buf_init(&out, 1 << 20);
    struct chain_sink sink = chain_sink_buf(&out);
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    assert_non_null(stream);
    chain_stream_set_prompt(stream, prompt, strlen(prompt));
    for (const char *at = text; *at; at++) {
        assert_true(chain_feed(stream, FILTER_CONTENT, at, 1, &sink, &e) >= 0);
    }
    assert_true(chain_finish(stream, &sink, &e) >= 0);
    chain_stream_destroy(stream);
    return out;
}

static void expect_under(struct chain *chain, const char *prompt, const char *text,
                         const char *out)
{
    struct buf got = under_prompt(chain, prompt, text);
    assert_string_equal(got.data ? got.data : "", out);
    buf_deinit(&got);
}

static void the_active_prompt_is_not_repeated(void **state)
{
    (void)state;
    struct chain *chain = single_chain(ACTIVE MASK);
    single_expect(ACTIVE, "you are finn the bank", "you are finn the bank", "");
    expect_under(chain, "", "you are finn the bank", "you are finn the bank");
    expect_under(chain, "Too short.", "too short. Yes.", "too short. Yes.");
    /* More prompts than are kept, twice, so that some come back. */
    for (int i = 0; i < 40; i++) {
        char prompt[64], text[64], other[64];
        snprintf(prompt, sizeof(prompt), "You are Finn number %d of us.", i % 20);
        snprintf(text, sizeof(text), "i: are finn NUMBER %d.", i % 20);
        snprintf(other, sizeof(other), "i: are finn NUMBER %d.", i % 20 + 100);
        expect_under(chain, prompt, text,
                     i % 20 < 10 ? "i: *****************." : "i: ******************.");
        expect_under(chain, prompt, other, other);
    }
    chain_unref(chain);
}

static void the_beginning_of_a_very_long_prompt_is_guarded(void **state)
{
    (void)state;
    struct chain *chain = single_chain(ACTIVE MASK);
    struct buf prompt;
    buf_init(&prompt, 1 << 20);
    for (int i = 0; i < 30000; i++) {
        char word[16];
        snprintf(word, sizeof(word), "w%d ", i);
        buf_append_str(&prompt, word);
    }
    expect_under(chain, prompt.data, "w100 w101 w102 w103!", "*******************!");
    expect_under(chain, prompt.data, "w29000 w29001 w29002 w29003!",
                 "w29000 w29001 w29002 w29003!");
    struct chain *most = single_chain("\"type\":\"prompt_leak\",\"words\":100,\"active\":true");
    expect_under(most, prompt.data, "w100 w101", "w100 w101");
    struct buf begin = under_prompt(most, prompt.data, prompt.data);
    assert_true(begin.len < 1000);
    buf_deinit(&begin);
    buf_deinit(&prompt);
    chain_unref(most);
    chain_unref(chain);
}

static void settings_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    single_expect_refused("\"type\":\"prompt_leak\"", "filters[0].text: either \"text\" or");
    single_expect_refused(TYPE BANK ",\"active\":true", "filters[0].text: either \"text\" or");
    single_expect_refused(TYPE "[]", "filters[0].text: there are no prompts");
    single_expect_refused(TYPE "[\"a b c d\",\"a b c\"]",
                          "filters[0].text[1]: has no more than 3 words");
    single_expect_refused(TYPE BANK ",\"mask\":\"#\"", "filters[0].mask: is of no use");
    single_expect_refused(TYPE BANK MASK ",\"side\":\"input\"",
                          "works on the output side only");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_words_as_may_be_pass),
        cmocka_unit_test(one_word_more_stops_the_answer_before_the_first),
        cmocka_unit_test(all_that_is_repeated_is_masked),
        cmocka_unit_test(scripts_without_spaces_count_by_characters),
        cmocka_unit_test(nothing_leaks_for_any_cut),
        cmocka_unit_test(the_active_prompt_is_not_repeated),
        cmocka_unit_test(the_beginning_of_a_very_long_prompt_is_guarded),
        cmocka_unit_test(settings_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
