/* sentences.h: where sentences end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "filters/sentences.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

/* The text with "|" where a sentence ends and "/" where one is cut. */
static char *mark(const char *text)
{
    struct sentence s = {0};
    struct buf out;
    buf_init(&out, 1 << 20);
    for (size_t at = 0, len = strlen(text); at < len;) {
        uint32_t c;
        int n = utf8_decode(text + at, len - at, &c);
        assert_true(n > 0);
        enum sentence_step step = sentence_next(&s, c, (size_t)n);
        buf_append_str(&out, step == SENTENCE_ENDED ? "|" : step == SENTENCE_CUT ? "/" : "");
        buf_append(&out, text + at, (size_t)n);
        at += (size_t)n;
    }
    size_t len;
    return buf_take(&out, &len);
}

static void expect(const char *text, const char *marked)
{
    char *got = mark(text);
    assert_string_equal(got, marked);
    mem_free(got);
}

static void sentences_end_at_stops_and_blanks(void **state)
{
    (void)state;
    expect("One. Two! Three? Four", "One.| Two!| Three?| Four");
    expect("Wait... what?! Yes.", "Wait...| what?!| Yes.");
    expect("\"No.\" He left.) Then", "\"No.\"| He left.)| Then");
    expect("version 3.14 of a.b.c is out", "version 3.14 of a.b.c is out");
    expect("It was 2024. Then", "It was 2024.| Then");
    expect("wait\xE2\x80\xA6 what", "wait\xE2\x80\xA6| what");
}

static void abbreviations_do_not_end_them(void **state)
{
    (void)state;
    expect("Mr. Smith and Dr. J. Jones, e.g. here. Yes",
           "Mr. Smith and Dr. J. Jones, e.g. here.|"
           " Yes");
    expect("1. Mix. 2. Stir", "1. Mix.| 2. Stir");
}

static void lines_end_them_unless_they_go_on(void **state)
{
    (void)state;
    expect("One\nTwo\n\nThree", "One\n|Two\n|\n|Three");
    expect("a long\nline goes on", "a long\nline goes on");
    expect("- one\n- two", "- one\n|- two");
    expect("One.\ntwo", "One.|\ntwo");
}

static void stops_of_chinese_and_japanese_need_no_blank(void **state)
{
    (void)state;
    expect("\xE5\xA5\xBD\xE3\x80\x82\xE5\xA5\xBD\xEF\xBC\x81\xE3\x80\x8D\xE5\xA5\xBD",
           "\xE5\xA5\xBD\xE3\x80\x82|\xE5\xA5\xBD\xEF\xBC\x81\xE3\x80\x8D|\xE5\xA5\xBD");
}

static void long_ones_are_cut(void **state)
{
    (void)state;
    char text[3000];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    char *got = mark(text);
    assert_int_equal(strcspn(got, "/"), SENTENCE_MAX);
    assert_int_equal(strlen(got), sizeof(text) - 1 + (sizeof(text) - 2) / SENTENCE_MAX);
    mem_free(got);
    for (size_t i = 4; i < sizeof(text) - 1; i += 5) {
        text[i] = ' ';
    }
    got = mark(text);
    size_t first = strcspn(got, "/");
    assert_true(first >= SENTENCE_MAX / 4 * 3 && first < SENTENCE_MAX && got[first + 1] == ' ');
    mem_free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_end_at_stops_and_blanks),
        cmocka_unit_test(abbreviations_do_not_end_them),
        cmocka_unit_test(lines_end_them_unless_they_go_on),
        cmocka_unit_test(stops_of_chinese_and_japanese_need_no_blank),
        cmocka_unit_test(long_ones_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
