/* How a canary is to be tried: what is read, what is refused by name, and when it is looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/json.h"
#include "runtime/registry/canary_plan.h"

static int read(struct canary_plan *plan, const char *text, struct err *e)
{
    *plan = canary_plan_default();
    *e = (struct err){0};
    cJSON *root = json_parse(text, strlen(text), e);
    assert_non_null(root);
    int rc = canary_plan_read(plan, root, "canary.", "version", e);
    cJSON_Delete(root);
    return rc;
}

static void what_is_left_out_has_defaults(void **state)
{
    (void)state;
    struct err e;
    struct canary_plan plan, wanted = canary_plan_default();
    assert_int_equal(read(&plan, "{\"version\": 3}", &e), 0);
    assert_memory_equal(&plan, &wanted, sizeof(plan));
}

static void everything_is_read(void **state)
{
    (void)state;
    struct err e;
    struct canary_plan plan;
    assert_int_equal(
        read(&plan,
             "{\"steps\":[5,25,50],\"by\":\"key\",\"min_answers\":30,\"max_answers\":70,"
             "\"looks\":2,"
             "\"max_seconds\":60,\"alpha\":0.05,\"errors_in_row\":3,\"on_undecided\":\"keep\","
             "\"margins\":{\"error_rate\":0.1,\"refusal_rate\":null,\"first_token\":3}}",
             &e),
        0);
    assert_int_equal(plan.n_steps, 3);
    assert_true(plan.is_by_key);
    assert_int_equal(plan.steps[2], 50);
    assert_int_equal(plan.min_answers, 30);
    assert_int_equal(plan.max_answers, 70);
    assert_int_equal(plan.looks, 2);
    assert_int_equal(plan.max_seconds, 60);
    assert_true(plan.alpha == 0.05);
    assert_int_equal(plan.errors_in_row, 3);
    assert_string_equal(canary_otherwise_name(plan.on_undecided), "keep");
    assert_true(plan.margins[CANARY_ERROR_RATE] == 0.1);
    assert_true(plan.margins[CANARY_REFUSAL_RATE] < 0);
    assert_true(plan.margins[CANARY_FIRST_TOKEN] == 3);
    assert_true(plan.margins[CANARY_TOKEN_TIME] == 2);
    assert_int_equal(read(&plan, "{\"percent\":50}", &e), 0);
    assert_int_equal(plan.n_steps, 1);
    assert_int_equal(plan.steps[0], 50);
}

static void what_is_wrong_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text, *field;
    } cases[] = {
        {"{\"percnt\":5}", "canary.percnt"},
        {"{\"percent\":0}", "canary.percent"},
        {"{\"percent\":100}", "canary.percent"},
        {"{\"percent\":5.5}", "canary.percent"},
        {"{\"percent\":5,\"percent\":6}", "canary.percent"},
        {"{\"percent\":5,\"steps\":[5]}", "canary.steps"},
        {"{\"steps\":[]}", "canary.steps"},
        {"{\"steps\":5}", "canary.steps"},
        {"{\"steps\":[5,5]}", "canary.steps"},
        {"{\"steps\":[50,5]}", "canary.steps"},
        {"{\"steps\":[1,2,3,4,5,6,7,8,9]}", "canary.steps"},
        {"{\"steps\":{\"a\":5}}", "canary.steps"},
        {"{\"by\":\"keys\"}", "canary.by"},
        {"{\"by\":null}", "canary.by"},
        {"{\"min_answers\":19}", "canary.min_answers"},
        {"{\"min_answers\":300,\"max_answers\":200}", "canary.max_answers"},
        {"{\"looks\":0}", "canary.looks"},
        {"{\"looks\":51}", "canary.looks"},
        {"{\"max_seconds\":\"a\"}", "canary.max_seconds"},
        {"{\"alpha\":0}", "canary.alpha"},
        {"{\"alpha\":0.5}", "canary.alpha"},
        {"{\"errors_in_row\":1}", "canary.errors_in_row"},
        {"{\"on_undecided\":\"wait\"}", "canary.on_undecided"},
        {"{\"on_undecided\":1}", "canary.on_undecided"},
        {"{\"margins\":[]}", "canary.margins"},
        {"{\"margins\":{\"errors\":1}}", "canary.margins.errors"},
        {"{\"margins\":{\"error_rate\":2}}", "canary.margins.error_rate"},
        {"{\"margins\":{\"token_time\":1}}", "canary.margins.token_time"},
        {"{\"margins\":{\"token_time\":2,\"token_time\":2}}", "canary.margins.token_time"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e;
        struct canary_plan plan;
        if (read(&plan, cases[i].text, &e) == 0) {
            fail_msg("%s was taken", cases[i].text);
        }
        assert_string_equal(e.param, cases[i].field);
        assert_non_null(strstr(e.message, cases[i].field));
        assert_int_equal(e.kind, ERR_INVALID);
    }
}

static void looks_go_from_the_least_to_the_most(void **state)
{
    (void)state;
    struct canary_plan plan = canary_plan_default();
    plan.min_answers = 100;
    plan.max_answers = 1600;
    plan.looks = 5;
    for (int i = 0, wanted = 100; i < 5; i++, wanted *= 2) {
        assert_int_equal(canary_plan_answers(&plan, i), wanted);
        assert_int_equal(canary_plan_due(&plan, wanted - 1), i);
        assert_int_equal(canary_plan_due(&plan, wanted), i + 1);
    }
    assert_int_equal(canary_plan_due(&plan, 1e9), 5);
    plan.looks = 1;
    assert_int_equal(canary_plan_answers(&plan, 0), 1600);
    plan.looks = 3;
    plan.min_answers = plan.max_answers;
    assert_int_equal(canary_plan_due(&plan, 1599), 0);
    assert_int_equal(canary_plan_due(&plan, 1600), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_has_defaults),
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(what_is_wrong_is_refused_by_name),
        cmocka_unit_test(looks_go_from_the_least_to_the_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
