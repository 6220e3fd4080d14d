#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "runtime/base/json.h"
#include "models/eval/eval_expect.h"

static bool holds(const char *expect, const char *answer)
{
    struct err e = {0};
    struct eval_expect x;
    cJSON *json = json_parse(expect, strlen(expect), &e);
    assert_non_null(json);
    if (eval_expect_parse(&x, json, &e) != 0) {
        fail_msg("%s", e.message);
    }
    bool is = eval_expect_holds(&x, answer, strlen(answer));
    cJSON_Delete(json);
    return is;
}

static void assert_refused(const char *expect, const char *message_part)
{
    struct err e = {0};
    struct eval_expect x;
    cJSON *json = json_parse(expect, strlen(expect), &e);
    assert_non_null(json);
    assert_int_equal(eval_expect_parse(&x, json, &e), -1);
    if (!strstr(e.message, message_part)) {
        fail_msg("\"%s\" does not say \"%s\"", e.message, message_part);
    }
    cJSON_Delete(json);
}

static void all_texts_must_occur(void **state)
{
    (void)state;
    assert_true(holds("{\"all\":[\"weir\",\"name\"]}", "My name is Weir."));
    assert_false(holds("{\"all\":[\"weir\",\"name\"]}", "I am Weir."));
    assert_false(holds("{\"all\":[\"weir\"]}", "wei"));
    assert_false(holds("{\"all\":[\"weir\"]}", ""));
}

static void one_of_any_is_enough(void **state)
{
    (void)state;
    assert_true(holds("{\"any\":[\"red\",\"blue\"]}", "It is BLUE."));
    assert_false(holds("{\"any\":[\"red\",\"blue\"]}", "It is green."));
}

static void none_may_occur(void **state)
{
    (void)state;
    assert_true(holds("{\"none\":[\"sorry\"]}", "Yes."));
    assert_false(holds("{\"none\":[\"no\",\"sorry\"]}", "I am Sorry"));
}

static void words_are_counted_between_white_space(void **state)
{
    (void)state;
    assert_true(holds("{\"max_words\":3}", "  one two\n\tthree. "));
    assert_false(holds("{\"max_words\":3}", "one two three four"));
    assert_true(holds("{\"max_words\":1}", ""));
}

static void uppercase_wants_capitals_only(void **state)
{
    (void)state;
    assert_true(holds("{\"uppercase\":true}", "2 + 2 = FOUR!"));
    assert_false(holds("{\"uppercase\":true}", "FOUr"));
    assert_false(holds("{\"uppercase\":true}", "4"));
    assert_true(holds("{\"uppercase\":false}", "four"));
}

static void all_keys_hold_together(void **state)
{
    const char *expect =
        "{\"all\":[\"a\"],\"any\":[\"b\",\"c\"],\"none\":[\"d\"],\"max_words\":2}";
    (void)state;
    assert_true(holds(expect, "a c"));
    assert_false(holds(expect, "a c d"));
    assert_false(holds(expect, "a a c"));
    assert_false(holds(expect, "b c"));
    assert_true(holds("{}", "anything"));
}

static void what_is_not_understood_is_refused(void **state)
{
    (void)state;
    assert_refused("{\"al\":[\"a\"]}", "\"al\"");
    assert_refused("{\"all\":\"a\"}", "\"all\"");
    assert_refused("{\"none\":[]}", "\"none\"");
    assert_refused("{\"any\":[1]}", "\"any\"");
    assert_refused("{\"any\":[\"\"]}", "\"any\"");
    assert_refused("{\"max_words\":0}", "\"max_words\"");
    assert_refused("{\"max_words\":1.5}", "\"max_words\"");
    assert_refused("{\"max_words\":1e300}", "\"max_words\"");
    assert_refused("{\"uppercase\":1}", "\"uppercase\"");
    assert_refused("[]", "object");
}

static void an_answer_may_hold_nul_bytes(void **state)
{
    struct eval_expect x = {.all = {.texts = {"end"}, .count = 1}};
    (void)state;
    assert_true(eval_expect_holds(&x, "a\0end", 5));
    assert_false(eval_expect_holds(&x, "a\0end", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_texts_must_occur),
        cmocka_unit_test(one_of_any_is_enough),
        cmocka_unit_test(none_may_occur),
        cmocka_unit_test(words_are_counted_between_white_space),
        cmocka_unit_test(uppercase_wants_capitals_only),
        cmocka_unit_test(all_keys_hold_together),
        cmocka_unit_test(what_is_not_understood_is_refused),
        cmocka_unit_test(an_answer_may_hold_nul_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
