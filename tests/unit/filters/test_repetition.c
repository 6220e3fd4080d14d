/* The filter "repetition": loops are found where they become one, and plain text is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/filters/single.h"

#define TYPE       "\"type\":\"repetition\","
#define WORDS      TYPE "\"word_repeats\":3,\"line_repeats\":0,\"character_repeats\":0"
#define LINES      TYPE "\"word_repeats\":0,\"line_repeats\":2,\"character_repeats\":0"
#define CHARACTERS TYPE "\"word_repeats\":0,\"line_repeats\":0,\"character_repeats\":4"
#define NOTE       ",\"action\":\"note\""

static void one_word_too_often_is_a_loop(void **state)
{
    (void)state;
    single_expect(WORDS, "so ha ha ha.", "so ha ha ha.", "");
    single_expect(WORDS, "so ha Ha  ha\nHA ha ha", "so ha Ha  ha\nHA",
                  "stop 0/repetition content#0 3-15 @15 repetition: "
                  "1 words more than 3 times in a row\n");
    single_expect(WORDS, "ha ha ha ha", "ha ha ha ha",
                  "stop 0/repetition content#0 0-11 @11 repetition: "
                  "1 words more than 3 times in a row\n");
    single_expect(WORDS, "ha ha ha haha", "ha ha ha haha", "");
}

static void several_words_too_often_are_a_loop(void **state)
{
    (void)state;
    const char *three = "I am here. I am here. I am here. I am her";
    single_expect(WORDS, three, three, "");
    single_expect(WORDS, "Oh! I am here. I am here. I am here. I am here. I am",
                  "Oh! I am here. I am here. I am here. I am here.",
                  "stop 0/repetition content#0 4-47 @47 repetition: "
                  "4 words more than 3 times in a row\n");
    single_expect(WORDS ",\"longest\":3", "I am here. I am here. I am here. I am here. I am",
                  "I am here. I am here. I am here. I am here. I am", "");
}

static void scripts_without_spaces_are_judged_too(void **state)
{
    (void)state;
#define NI "\xE4\xBD\xA0"
#define WO "\xE6\x88\x91"
    single_expect(WORDS, NI WO NI WO NI WO NI WO NI WO, NI WO NI WO NI WO NI WO, NULL);
}

static void tables_and_numbers_are_no_loops(void **state)
{
    (void)state;
    const char *table = "|---|---|---|---|---|\n| 0 | 0 | 0 | 0 | 0 |\n----------\n"
                        "\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\n";
    single_expect(WORDS, table, table, "");
    single_expect(LINES, "0\n0\n0\n0\n", "0\n0\n0\n0\n", "");
}

static void a_loop_is_noted_once(void **state)
{
    (void)state;
    const char *text = "a a a a a a a a a a b a a a a a.";
    single_expect(WORDS NOTE, text, text,
                  "note 0/repetition content#0 0-7 @7 repetition: "
                  "1 words more than 3 times in a row\n"
                  "note 0/repetition content#0 22-29 @29 repetition: "
                  "1 words more than 3 times in a row\n");
}

static void the_same_line_too_often_is_a_loop(void **state)
{
    (void)state;
    single_expect(LINES, "a b\na b\na c\na b\na b\n", "a b\na b\na c\na b\na b\n", "");
    single_expect(LINES, "x\na b\na b \n\n  \na b\na b\n", "x\na b\na b \n\n  \na b",
                  "stop 0/repetition content#0 2-18 @18 repetition: "
                  "a line more than 2 times in a row\n");
    single_expect(LINES, "a\na\na", "a\na\na",
                  "stop 0/repetition content#0 0-5 @5 repetition: "
                  "a line more than 2 times in a row\n");
    single_expect(LINES, "a\n a\n  a\n   a", "a\n a\n  a\n   a", "");
}

static void a_run_of_one_character_ends_after_as_many_as_may_be(void **state)
{
    (void)state;
    single_expect(CHARACTERS, "x----y", "x----y", "");
    single_expect(CHARACTERS, "x------y", "x----",
                  "stop 0/repetition content#0 1-5 @5 repetition: "
                  "a character more than 4 times in a row\n");
    single_expect(CHARACTERS, "\n\n\n\n\n\n", "\n\n\n\n", NULL);
    single_expect(CHARACTERS NOTE, "------", "------",
                  "note 0/repetition content#0 0-4 @4 repetition: "
                  "a character more than 4 times in a row\n");
}

static void random_text_gives_the_same_for_all_cuts(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "b", " ", "\n", "\xC3\xA9", "-"};
    struct rng rng;
    rng_seed(&rng, 7);
    for (int i = 0; i < 300; i++) {
        char text[256] = "";
        uint32_t kinds = 1 + rng_below(&rng, 6);
        for (uint32_t k = rng_below(&rng, 100); k > 0; k--) {
            strcat(text, pieces[rng_below(&rng, kinds)]);
        }
        single_expect(TYPE "\"word_repeats\":2,\"line_repeats\":2,\"character_repeats\":6" NOTE,
                      text, text, NULL);
    }
}

/* The smallest number of copies too many, found by comparing whole copies. */
static size_t naive_loop_end(const char *words, size_t repeats, size_t longest)
{
    for (size_t end = 1; words[end - 1] != '\0'; end++) {
        for (size_t p = 1; p <= longest && p * (repeats + 1) <= end; p++) {
            size_t i = end - p * repeats;
            while (i < end && words[i] == words[i - p]) {
                i++;
            }
            if (i == end) {
                return end;
            }
        }
    }
    return 0;
}

static void loops_of_words_are_those_that_comparing_copies_finds(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 9);
    size_t found = 0;
    for (int i = 0; i < 500; i++) {
        char words[41] = "", text[96] = "", out[96];
        size_t count = 1 + rng_below(&rng, 40);
        for (size_t k = 0; k < count; k++) {
            words[k] = (char)('a' + rng_below(&rng, 2 + (uint32_t)i % 3));
            snprintf(text + 2 * k, sizeof(text) - 2 * k, "%c ", words[k]);
        }
        size_t end = naive_loop_end(words, 3, 16);
        snprintf(out, sizeof(out), "%.*s", end ? (int)(2 * end - 1) : (int)(2 * count), text);
        single_expect(WORDS, text, out, NULL);
        found += end > 0;
    }
    assert_in_range(found, 100, 450);
}

static void settings_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    single_expect_refused(TYPE "\"longest\":33", "filters[0].longest: must be a whole number "
                                                 "from 1 to 32");
    single_expect_refused(TYPE "\"word_repeats\":0,\"line_repeats\":0,\"character_repeats\":0",
                          "filters[0]: looks for nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_word_too_often_is_a_loop),
        cmocka_unit_test(several_words_too_often_are_a_loop),
        cmocka_unit_test(scripts_without_spaces_are_judged_too),
        cmocka_unit_test(tables_and_numbers_are_no_loops),
        cmocka_unit_test(a_loop_is_noted_once),
        cmocka_unit_test(the_same_line_too_often_is_a_loop),
        cmocka_unit_test(a_run_of_one_character_ends_after_as_many_as_may_be),
        cmocka_unit_test(random_text_gives_the_same_for_all_cuts),
        cmocka_unit_test(loops_of_words_are_those_that_comparing_copies_finds),
        cmocka_unit_test(settings_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
