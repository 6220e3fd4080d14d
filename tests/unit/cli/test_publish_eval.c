/* publish_eval.h, publish_suite.h: when a new version is worse than the one before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/cli/publish_eval.h"
#include "runtime/cli/publish_suite.h"
#include "runtime/cli/self_run.h"

/* Nothing is run here. */
int self_run(const char *const *args, const char *out_path, struct err *e)
{
    (void)args;
    (void)out_path;
    return err_set(e, ERR_UNSUPPORTED, "not in this test");
}

int publish_place_path(const struct publish_place *p, const char *file, char out[PATH_MAX],
                       struct err *e)
{
    (void)p;
    (void)e;
    snprintf(out, PATH_MAX, "%s", file);
    return 0;
}

void publish_place_remove(const struct publish_place *p, const char *file)
{
    (void)p;
    (void)file;
}

static cJSON *parse(const char *format, ...)
{
    char text[2048];
    struct err e;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    cJSON *json = json_parse(text, strlen(text), &e);
    assert_non_null(json);
    return json;
}

static cJSON *result(int right, int sum_right)
{
    return parse("{\"sets\":[{\"set\":\"s.jsonl\",\"sha256\":\"aa\",\"right\":%d,\"of\":200,"
                 "\"skills\":{\"sum\":{\"right\":%d,\"of\":50}}}]}",
                 right, sum_right);
}

static void a_share_has_wilsons_interval(void **state)
{
    (void)state;
    cJSON *c = parse("{\"right\": 10, \"of\": 10}");
    struct publish_share s = publish_share_of(c);
    assert_true(fabs(s.percent - 100) < 1e-9 && fabs(s.low - 72.2467) < 1e-3 &&
                s.high > 99.999);
    cJSON_Delete(c);
    c = parse("{\"right\": 11, \"of\": 10}"); /* what no program wrote */
    assert_true(publish_share_of(c).of == 0);
    cJSON_Delete(c);
}

/* Newcombe 1998, table II, 56/70 against 48/80: method 10 gives 0.0524 to 0.3339. */
static void a_loss_has_newcombes_interval(void **state)
{
    (void)state;
    cJSON *a = parse("{\"right\": 56, \"of\": 70}"), *b = parse("{\"right\": 48, \"of\": 80}");
    struct publish_share d = publish_loss(a, b);
    assert_true(fabs(d.percent - 20) < 1e-9);
    assert_true(fabs(d.low - 5.24) < 0.01 && fabs(d.high - 33.39) < 0.01);
    cJSON_Delete(a);
    cJSON_Delete(b);
}

static int compare(int was, int was_sum, int is, int is_sum, double most, double most_skill,
                   struct err *e)
{
    *e = (struct err){0};
    cJSON *before = result(was, was_sum), *now = result(is, is_sum);
    int rc = publish_eval_compare(before, now, most, most_skill, e);
    cJSON_Delete(before);
    cJSON_Delete(now);
    return rc;
}

static void a_version_that_is_worse_is_refused(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(compare(190, 50, 190, 50, 0, 0, &e), 0);
    assert_int_equal(compare(190, 50, 195, 50, 0, 0, &e), 0);
    assert_int_equal(compare(190, 50, 188, 50, 1, -1, &e), 0); /* exactly one point */
    assert_int_equal(compare(190, 50, 187, 50, 1, -1, &e), -1);
    assert_non_null(strstr(e.message, "1.5 points fewer"));
    assert_int_equal(compare(190, 50, 190, 40, 1, -1, &e), 0); /* skills are not asked about */
    assert_int_equal(compare(190, 50, 190, 40, 1, 10, &e), -1);
    assert_non_null(strstr(e.message, "s.jsonl, sum"));
}

static void another_set_is_not_compared(void **state)
{
    (void)state;
    struct err e = {0};
    cJSON *before = parse("{\"sets\":[{\"set\":\"s.jsonl\",\"sha256\":\"bb\",\"right\":200,"
                          "\"of\":200,\"skills\":{}}]}");
    cJSON *now = result(0, 0);
    assert_int_equal(publish_eval_compare(before, now, 0, 0, &e), 0);
    assert_null(publish_eval_find(before, "aa"));
    cJSON_Delete(before);
    cJSON_Delete(now);
}

static int compare_suite(const char *statistic, const char *better, const char *field,
                         double change, double p, double most, struct err *e)
{
    *e = (struct err){0};
    cJSON *report = parse("{\"suite\":\"x\",\"parts\":[{\"name\":\"part\",\"measures\":["
                          "{\"title\":\"t\",\"statistic\":\"%s\",\"better\":\"%s\","
                          "\"models\":[{\"lines\":5,\"value\":0.5,\"low\":0.2,\"high\":0.8}],"
                          "\"compared_with_first\":[{\"%s\":%g,\"low\":0,\"high\":1,"
                          "\"p_holm\":%g}]}]}]}",
                          statistic, better, field, change, p);
    int rc = publish_suite_compare(report, most, e);
    cJSON_Delete(report);
    return rc;
}

static void a_suite_refuses_what_is_worse_and_no_chance(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(compare_suite("share", "more", "difference", -0.1, 0.01, 1, &e), -1);
    assert_non_null(strstr(e.message, "part, t: by 10.0 points"));
    assert_int_equal(compare_suite("share", "more", "difference", -0.1, 0.2, 1, &e), 0);
    assert_int_equal(compare_suite("share", "more", "difference", -0.005, 0.01, 1, &e), 0);
    assert_int_equal(compare_suite("share", "more", "difference", 0.1, 0.01, 1, &e), 0);
    assert_int_equal(compare_suite("share", "less", "difference", 0.1, 0.01, 1, &e), -1);
    assert_int_equal(compare_suite("share", "neither", "difference", 0.5, 0.01, 1, &e), 0);
    assert_int_equal(compare_suite("perplexity", "less", "ratio", 1.05, 0.01, 1, &e), -1);
    assert_non_null(strstr(e.message, "by 5.0 %"));
    assert_int_equal(compare_suite("perplexity", "less", "ratio", 0.95, 0.01, 1, &e), 0);
}

static void rows_of_a_suite_are_texts(void **state)
{
    (void)state;
    cJSON *report = parse(
        "{\"parts\":[{\"name\":\"p\",\"measures\":[{\"title\":\"t\",\"statistic\":\"share\","
        "\"models\":[{\"lines\":3,\"value\":0.1,\"low\":0,\"high\":1},{\"lines\":40,\"value\":"
        "0.5,\"low\":0.25,\"high\":0.75}],\"compared_with_first\":[{\"difference\":0.125,"
        "\"low\":-0.1,\"high\":0.3}]}]}]}");
    cJSON *rows = publish_suite_rows(report);
    const cJSON *row = cJSON_GetArrayItem(rows, 0);
    assert_string_equal(cJSON_GetObjectItem(row, "lines")->valuestring, "40");
    assert_string_equal(cJSON_GetObjectItem(row, "value")->valuestring,
                        "50.0 % (25.0 to 75.0)");
    assert_string_equal(cJSON_GetObjectItem(row, "change")->valuestring,
                        "+12.5 (-10.0 to +30.0)");
    cJSON_Delete(rows);
    cJSON_Delete(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share_has_wilsons_interval),
        cmocka_unit_test(a_loss_has_newcombes_interval),
        cmocka_unit_test(a_version_that_is_worse_is_refused),
        cmocka_unit_test(another_set_is_not_compared),
        cmocka_unit_test(a_suite_refuses_what_is_worse_and_no_chance),
        cmocka_unit_test(rows_of_a_suite_are_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
