/* Which language: sentences that the lists of small words were not made from. The figures are
 * what docs/training-data.md says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "models/curate/language.h"

struct sentence {
    const char *code, *text;
};

static const struct sentence sentences[] = {
#include "tests/unit/curate/sentences.inc"
};

#define SENTENCES (sizeof(sentences) / sizeof(sentences[0]))

static void sentences_are_told_apart(void **state)
{
    (void)state;
    unsigned right = 0, unknown = 0, wrong = 0;
    for (size_t i = 0; i < SENTENCES; i++) {
        const struct sentence *s = &sentences[i];
        const char *code = language_code(language_identify(s->text, strlen(s->text)));
        right += strcmp(code, s->code) == 0;
        unknown += strcmp(code, "unknown") == 0;
        if (strcmp(code, s->code) != 0 && strcmp(code, "unknown") != 0) {
            print_message("%s taken for %s: %s\n", s->code, code, s->text);
            wrong++;
        }
    }
    print_message("%zu sentences: %u right, %u unknown, %u wrong\n", SENTENCES, right, unknown,
                  wrong);
    assert_true(right * 100 >= SENTENCES * 79);
    assert_true(wrong * 100 <= SENTENCES);
}

/* Two sentences together, as short texts are. */
static void two_sentences_are_enough(void **state)
{
    (void)state;
    unsigned right = 0, pairs = 0;
    for (size_t i = 0; i + 1 < SENTENCES; i++) {
        char text[1024];
        if (strcmp(sentences[i].code, sentences[i + 1].code) != 0) {
            continue;
        }
        snprintf(text, sizeof(text), "%s %s", sentences[i].text, sentences[i + 1].text);
        const char *code = language_code(language_identify(text, strlen(text)));
        right += strcmp(code, sentences[i].code) == 0;
        pairs++;
    }
    print_message("%u pairs: %u right\n", pairs, right);
    assert_true(right * 100 >= pairs * 96);
}

static void little_text_is_unknown(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",        "ok",      "2 + 2 = 4.", "Paris.", "Arr, matey! 7 + 18 = 25. Yo ho ho!",
        "!!! ???", "\xff\xfe"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(language_identify(texts[i], strlen(texts[i])), LANGUAGE_UNKNOWN);
    }
}

static void codes_are_found(void **state)
{
    (void)state;
    assert_int_equal(language_find("xx", 2), -1);
    assert_int_equal(language_find("unknown", 7), -1);
    for (size_t i = 1; i < language_count(); i++) {
        assert_int_equal(language_find(language_code((int)i), 2), (int)i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_are_told_apart),
        cmocka_unit_test(two_sentences_are_enough),
        cmocka_unit_test(little_text_is_unknown),
        cmocka_unit_test(codes_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
