/* eval_item.h: lines of every kind, the forms of multiple choice, and what is refused. */
#include "models/eval/eval_item.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"

static struct eval_item parse(enum eval_kind kind, const char *line)
{
    struct err e = {0};
    struct eval_item item;
    if (eval_item_parse(&item, kind, line, strlen(line), &e) != 0) {
        fail_msg("%s", e.message);
    }
    return item;
}

static void assert_refused(enum eval_kind kind, const char *line, const char *message_part)
{
    struct err e = {0};
    struct eval_item item;
    size_t before = mem_live();
    assert_int_equal(eval_item_parse(&item, kind, line, strlen(line), &e), -1);
    if (!strstr(e.message, message_part)) {
        fail_msg("\"%s\" does not say \"%s\"", e.message, message_part);
    }
    eval_item_deinit(&item);
    assert_int_equal(mem_live(), before);
}

static void a_question_has_messages_and_what_is_expected(void **state)
{
    (void)state;
    struct eval_item item =
        parse(EVAL_QUESTIONS,
              "{\"skill\":\"s\",\"messages\":[{\"role\":\"system\",\"content\":\"Be\"},"
              "{\"role\":\"user\",\"content\":\"Hi\"}],\"expect\":{\"all\":[\"x\"]}}");
    assert_string_equal(item.group, "s");
    assert_int_equal(item.n_messages, 2);
    assert_string_equal(eval_item_shown(&item), "Hi");
    assert_non_null(item.expect);
    eval_item_deinit(&item);
    item = parse(EVAL_QUESTIONS, "{\"prompt\":\"Hi\",\"expect\":{\"any\":[\"x\"]}}");
    assert_string_equal(item.group, "all");
    assert_string_equal(item.messages[0][0].role, "user");
    eval_item_deinit(&item);
}

static void assert_choice(const char *line, const char *question, size_t n, size_t right)
{
    struct eval_item item = parse(EVAL_CHOICE, line);
    assert_string_equal(item.question, question);
    assert_int_equal(item.n_choices, n);
    assert_int_equal(item.right, right);
    eval_item_deinit(&item);
}

static void choices_are_read_as_the_data_sets_have_them(void **state)
{
    (void)state;
    assert_choice("{\"question\":\"q\",\"choices\":[\"a\",\"b\",\"c\"],\"answer\":2}", "q", 3,
                  2);
    assert_choice("{\"question\":\"q\",\"choices\":[\"a\",\"b\",\"c\"],\"answer\":\"B\"}", "q",
                  3, 1);
    assert_choice("{\"question\":\"q\",\"choices\":[\"x\",\"y\"],\"answer\":\"y\"}", "q", 2, 1);
    /* MMLU */
    assert_choice(
        "{\"question\":\"q\",\"subject\":\"law\",\"choices\":[\"a\",\"b\",\"c\",\"d\"],"
        "\"answer\":3}",
        "q", 4, 3);
    /* ARC: labels may be numbers from 1 */
    assert_choice(
        "{\"id\":\"M_1\",\"question\":\"q\",\"choices\":{\"text\":[\"a\",\"b\",\"c\"],"
        "\"label\":[\"1\",\"2\",\"3\"]},\"answerKey\":\"2\"}",
        "q", 3, 1);
    /* HellaSwag */
    assert_choice(
        "{\"ind\":4,\"activity_label\":\"x\",\"ctx_a\":\"c\",\"ctx_b\":\"\",\"ctx\":\"c\","
        "\"endings\":[\"a\",\"b\",\"c\",\"d\"],\"source_id\":\"s\",\"split\":\"val\","
        "\"split_type\":\"t\",\"label\":\"3\"}",
        "c", 4, 3);
}

static void both_sides_of_a_pair_are_filled_in(void **state)
{
    (void)state;
    struct eval_item item =
        parse(EVAL_BIAS, "{\"pair\":[\"man\",\"woman\"],\"prompt\":\"Can a {} sing? A {}!\"}");
    assert_string_equal(item.messages[0][0].content, "Can a man sing? A man!");
    assert_string_equal(item.messages[1][0].content, "Can a woman sing? A woman!");
    assert_null(item.answer);
    eval_item_deinit(&item);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    assert_refused(EVAL_QUESTIONS, "[]", "an object is wanted");
    assert_refused(EVAL_QUESTIONS, "{\"prompt\":\"x\"", "");
    assert_refused(EVAL_QUESTIONS, "{\"promt\":\"x\"}", "\"promt\" is not known");
    assert_refused(EVAL_QUESTIONS, "{\"prompt\":\"x\"}", "\"expect\" is missing");
    assert_refused(EVAL_QUESTIONS, "{\"expect\":{\"all\":[\"x\"]}}", "is missing");
    assert_refused(EVAL_QUESTIONS, "{\"prompt\":\"x\",\"expect\":{\"al\":[\"x\"]}}",
                   "\"expect\": \"al\" is not known");
    assert_refused(EVAL_QUESTIONS, "{\"prompt\":\"x\",\"prompt\":\"y\"}", "twice");
    assert_refused(EVAL_QUESTIONS, "{\"messages\":[{\"role\":\"user\"}]}", "role and content");
    assert_refused(EVAL_QUESTIONS, "{\"messages\":[]}", "one message or more");
    assert_refused(EVAL_QUESTIONS, "{\"prompt\":\"x\",\"harmful\":true}", "\"harmful\"");
    assert_refused(EVAL_OBEDIENCE, "{\"prompt\":\"x\",\"expect\":{\"all\":[\"x\"]}}", "system");
    assert_refused(EVAL_REFUSAL, "{\"prompt\":\"x\"}", "\"harmful\" is missing");
    assert_refused(EVAL_REFUSAL, "{\"prompt\":\"x\",\"harmful\":1}", "true or false");
    assert_refused(EVAL_CHOICE, "{\"prompt\":\"x\"}", "\"prompt\" is not known");
    assert_refused(EVAL_CHOICE, "{\"subject\":\"x\"}", "\"question\" is missing");
    assert_refused(EVAL_CHOICE, "{\"question\":\"q\",\"choices\":[\"a\"],\"answer\":0}",
                   "two or more");
    assert_refused(EVAL_CHOICE, "{\"question\":\"q\",\"choices\":[\"a\",\"b\"],\"answer\":2}",
                   "\"answer\"");
    assert_refused(EVAL_CHOICE, "{\"question\":\"q\",\"choices\":[\"a\",\"b\"],\"answer\":0.5}",
                   "\"answer\"");
    assert_refused(EVAL_CHOICE, "{\"question\":\"q\",\"choices\":[\"a\",\"b\"]}", "\"answer\"");
    assert_refused(EVAL_CHOICE, "{\"question\":\"q\",\"choices\":[\"a\",\"\"],\"answer\":0}",
                   "not empty");
    assert_refused(
        EVAL_CALIBRATION,
        "{\"prompt\":\"x\",\"question\":\"q\",\"choices\":[\"a\",\"b\"],\"answer\":0}",
        "neither messages nor expect");
    assert_refused(EVAL_PERPLEXITY, "{\"text\":\"x\",\"prompt\":\"y\"}", "either");
    assert_refused(EVAL_PERPLEXITY, "{}", "either");
    assert_refused(EVAL_BIAS, "{\"prompt\":\"a {}\"}", "\"pair\" is missing");
    assert_refused(EVAL_BIAS, "{\"prompt\":\"a\",\"pair\":[\"x\",\"y\"]}", "{} is missing");
    assert_refused(EVAL_BIAS, "{\"prompt\":\"a {}\",\"pair\":[\"x\"]}", "two texts");
}

static void a_failed_allocation_is_an_error(void **state)
{
    (void)state;
    static const char line[] = "{\"pair\":[\"a\",\"b\"],\"prompt\":\"{} x\",\"answer\":\"y\"}";
    size_t before = mem_live();
    for (size_t nth = 1;; nth++) {
        struct err e = {0};
        struct eval_item item;
        mem_fail_at(nth);
        int rc = eval_item_parse(&item, EVAL_BIAS, line, sizeof(line) - 1, &e);
        bool reached = mem_fail_reached();
        mem_fail_at(0);
        eval_item_deinit(&item);
        assert_int_equal(mem_live(), before);
        if (!reached) {
            assert_int_equal(rc, 0);
            return;
        }
        assert_int_equal(rc, -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_has_messages_and_what_is_expected),
        cmocka_unit_test(choices_are_read_as_the_data_sets_have_them),
        cmocka_unit_test(both_sides_of_a_pair_are_filled_in),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
