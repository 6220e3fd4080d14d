/* Measures of a text: what prose, rubbish and advertisements come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "models/curate/quality.h"
#include "models/curate/spam.h"

static struct quality measure(const char *text)
{
    struct words w = {0};
    struct quality q;
    struct err e;
    assert_int_equal(words_add(&w, text, strlen(text), &e), 0);
    assert_int_equal(quality_measure(&q, text, strlen(text), &w, true, &e), 0);
    words_deinit(&w);
    return q;
}

static const char *fault(const char *text)
{
    struct quality_options o;
    quality_preset(&o, "short");
    struct quality q = measure(text);
    enum quality_measure m = quality_judge(&q, &o);
    return m == QUALITY_MEASURES ? "" : quality_name(m);
}

static void prose_and_conversation_pass(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "What is 23 + 45?\n23 + 45 = 68.",
        "Hello!\nHello, how can I help you today?",
        "The old harbour lies at the mouth of the river. In summer boats go out to the islands "
        "each morning, and in winter the fishermen mend their nets in the long sheds by the "
        "quay. Children learn to swim from the steps.",
        "Stra\xc3\x9f"
        "e, caf\xc3\xa9, na\xc3\xafve: letters with marks are no rubbish.",
        "\xe6\x98\xa8\xe5\xa4\xa9\xe5\xa4\xa9\xe6\xb0\x94\xe5\xbe\x88\xe5\xa5\xbd\xe3\x80\x82",
        "Our shop is open from nine to five. A coffee costs $3.",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_string_equal(fault(texts[i]), "");
    }
}

static void rubbish_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *fault;
    } cases[] = {
        {"!!! ... ???", "words"},
        {"word word word word word word word word word word", "repeated_words"},
        {"#### |||| {{{}}} ~~~~ a b #### ||||", "letters"},
        {"<div><a href=\"x\">Home</a>&nbsp;<b>x</b></div>", "markup"},
        {"The caf\xc3\x83\xc2\xa9 was na\xc3\x83\xc2\xafve and "
         "\xc3\xa2\xe2\x82\xac\xe2\x84\xa2s",
         "mojibake"},
        {"Lorem ipsum dolor sit amet, consectetur adipiscing elit.", "placeholder"},
        {"1234567890123 4567890123 4567 ok", "digits"},
        {"Donaudampfschifffahrtsgesellschaft Rindfleischetikettierung "
         "Kraftfahrzeughaftpflichtversicherung",
         "mean_word"},
        {"Home\nLogin\nHome\nLogin\nHome\nLogin\nHome\nLogin\n", "repeated_lines"},
        {"Buy now! 50% off everything, click here: http://x.example", "spam"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(fault(cases[i].text), cases[i].fault);
    }
}

static void repeated_runs_are_counted(void **state)
{
    (void)state;
    struct quality q =
        measure("a b c d e f g h i j a b c d e f g h i j a b c d e f g h i j k l");
    assert_true(q.is_measured[QUALITY_REPEATED_NGRAMS]);
    /* Of 28 runs of 5, ten are new and then two. */
    assert_true(q.values[QUALITY_REPEATED_NGRAMS] > 0.55 &&
                q.values[QUALITY_REPEATED_NGRAMS] < 0.60);
    assert_true(q.values[QUALITY_TOP_NGRAM] == 12.0 / 32);
    q = measure("a few words only");
    assert_false(q.is_measured[QUALITY_REPEATED_NGRAMS]);
}

static void bounds_are_read(void **state)
{
    (void)state;
    struct quality_options o;
    struct err e = {0};
    assert_int_equal(quality_preset(&o, "none"), -1);
    assert_int_equal(quality_preset(&o, "web"), 0);
    assert_true(o.bounds[QUALITY_WORDS].min == 50);
    assert_int_equal(quality_parse(&o, "words>=3", &e), 0);
    assert_int_equal(quality_parse(&o, "mean_word<=7.5", &e), 0);
    assert_true(o.bounds[QUALITY_WORDS].min == 3 && o.bounds[QUALITY_MEAN_WORD].max == 7.5);
    static const char *const wrong[] = {"words",    "words>3", "words>=",   "word>=3",
                                        "words>=x", ">=3",     "words<=nan"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(quality_parse(&o, wrong[i], &e), -1);
        assert_non_null(strstr(e.message, wrong[i]));
    }
    quality_preset(&o, "off");
    struct quality q = measure("!!!");
    assert_int_equal(quality_judge(&q, &o), QUALITY_MEASURES);
}

static void a_shop_is_no_spam_by_its_name(void **state)
{
    (void)state;
    static const char *const fine[] = {
        "The shop gives a discount of 20 percent.",
        "Please register at the front desk and save your work before you leave.",
        "He won the race and the winner got a cup.",
        "My account says the payment for the insurance went through.",
    };
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        assert_true(spam_score(fine[i], strlen(fine[i])) < 0.5);
    }
    assert_true(spam_score("", 0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prose_and_conversation_pass),   cmocka_unit_test(rubbish_is_named),
        cmocka_unit_test(repeated_runs_are_counted),     cmocka_unit_test(bounds_are_read),
        cmocka_unit_test(a_shop_is_no_spam_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
