/* options.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/base/options.h"

static bool flag;
static const char *word;
static long count;
static double ratio;
static struct option_strings words;

static const struct option table[] = {
    {"flag", 'f', OPTION_FLAG, &flag, NULL, "", 0, 0},
    {"word", 'w', OPTION_STRING, &word, "W", "", 0, 0},
    {"count", 'n', OPTION_INT, &count, "N", "", 1, 10},
    {"ratio", 0, OPTION_DOUBLE, &ratio, "R", "", 0, 0},
    {"words", 0, OPTION_STRINGS, &words, "W", "", 0, 0},
    {0},
};
static const struct options options = {"test", "test", table};

static int parse(int argc, const char **argv, int *positional, struct err *e)
{
    flag = false;
    word = NULL;
    count = 5;
    ratio = 0.0;
    words.count = 0;
    return options_parse(&options, argc, (char **)argv, positional, e);
}

static void all_spellings_are_understood(void **state)
{
    (void)state;
    const char *argv[] = {"test",    "one", "-f",  "--word=a=b", "-n", "7",
                          "--ratio", "2.5", "two", "-",          "--", "--flag"};
    int positional = 0;
    struct err e = {0};
    assert_int_equal(parse(12, argv, &positional, &e), 0);
    assert_true(flag);
    assert_string_equal(word, "a=b");
    assert_int_equal(count, 7);
    assert_true(ratio > 2.4 && ratio < 2.6);
    assert_int_equal(positional, 4);
    assert_string_equal(argv[1], "one");
    assert_string_equal(argv[2], "two");
    assert_string_equal(argv[3], "-");
    assert_string_equal(argv[4], "--flag");
}

static void some_options_may_come_several_times(void **state)
{
    (void)state;
    const char *argv[] = {"test", "--words", "a", "--words=b,c", "--words", ""};
    const char *many[1 + OPTION_STRINGS_MAX + 1] = {"test"};
    int positional = 0;
    struct err e = {0};
    assert_int_equal(parse(6, argv, &positional, &e), 0);
    assert_int_equal(words.count, 3);
    assert_string_equal(words.items[1], "b,c");
    for (int i = 1; i <= OPTION_STRINGS_MAX + 1; i++) {
        many[i] = "--words=x";
    }
    assert_int_equal(parse(OPTION_STRINGS_MAX + 1, many, &positional, &e), 0);
    assert_int_equal(words.count, OPTION_STRINGS_MAX);
    assert_int_equal(parse(OPTION_STRINGS_MAX + 2, many, &positional, &e), -1);
    assert_non_null(strstr(e.message, "--words"));
}

static void wrong_usage_names_the_option(void **state)
{
    (void)state;
    static const struct {
        const char *args[2];
        int n;
        const char *message;
    } cases[] = {
        {{"--nonsense"}, 1, "--nonsense"},
        {{"-x"}, 1, "-x"},
        {{"--count", "11"}, 2, "1 to 10"},
        {{"--count", "0"}, 2, "1 to 10"},
        {{"--count", "3x"}, 2, "whole number"},
        {{"--count", ""}, 2, "whole number"},
        {{"--count", "99999999999999999999"}, 2, "whole number"},
        {{"--count"}, 1, "needs a value"},
        {{"--flag=1"}, 1, "takes no value"},
        {{"--ratio", "nan"}, 2, "not a number"},
        {{"--ratio", "1,5"}, 2, "not a number"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *argv[] = {"test", cases[i].args[0], cases[i].args[1]};
        int positional = 0;
        struct err e = {0};
        assert_int_equal(parse(1 + cases[i].n, argv, &positional, &e), -1);
        if (!strstr(e.message, cases[i].message)) {
            fail_msg("%s: %s", cases[i].args[0], e.message);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_spellings_are_understood),
        cmocka_unit_test(some_options_may_come_several_times),
        cmocka_unit_test(wrong_usage_names_the_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
