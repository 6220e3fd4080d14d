/* traffic_request.h, traffic_reply.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/api/traffic_reply.h"
#include "runtime/api/traffic_request.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

static void expect_split(const char *body, const char *version, int percent, bool by_text)
{
    struct share_request r;
    struct err e = {0};
    assert_int_equal(split_request_parse(&r, body, strlen(body), &e), 0);
    assert_string_equal(r.version, version);
    assert_int_equal(r.percent, percent);
    assert_int_equal(r.is_by_conversation, by_text);
}

static void shares_are_read(void **state)
{
    (void)state;
    expect_split("{\"version\":\"3\",\"percent\":10}", "3", 10, false);
    expect_split("{\"version\":\"stable\",\"percent\":99,\"by\":\"key\"}", "stable", 99, false);
    expect_split("{\"version\":\"3\",\"percent\":1,\"by\":\"conversation\"}", "3", 1, true);
    expect_split("{\"version\":\"3\",\"percent\":0}", "3", 0, false);
    expect_split("{\"percent\":0}", "", 0, false);
    expect_split("{\"version\":null}", "", 0, false);
    expect_split("{}", "", 0, false);
    expect_split("", "", 0, false);
}

static void refuse(const char *body, const char *param)
{
    struct share_request r;
    struct err e = {0};
    size_t before = mem_live();
    assert_int_equal(split_request_parse(&r, body, strlen(body), &e), -1);
    assert_string_equal(e.param, param);
    assert_int_equal(mem_live(), before);
}

static void shares_that_say_nothing_clear_are_refused(void **state)
{
    (void)state;
    refuse("[]", "");
    refuse("{", "");
    refuse("{\"percent\":10}", "version");
    refuse("{\"version\":null,\"percent\":10}", "version");
    refuse("{\"version\":3,\"percent\":10}", "version");
    refuse("{\"version\":\"\",\"percent\":10}", "version");
    refuse("{\"version\":\"../3\",\"percent\":10}", "version");
    refuse("{\"version\":\"3\"}", "percent");
    refuse("{\"version\":\"3\",\"percent\":\"10\"}", "percent");
    refuse("{\"version\":\"3\",\"percent\":-1}", "percent");
    refuse("{\"version\":\"3\",\"percent\":0.5}", "percent");
    refuse("{\"version\":\"3\",\"percent\":100}", "percent");
    refuse("{\"version\":\"3\",\"percent\":1e300}", "percent");
    refuse("{\"version\":\"3\",\"percent\":10,\"by\":\"luck\"}", "by");
    refuse("{\"version\":\"3\",\"percent\":10,\"by\":1}", "by");
}

static void a_shadow_may_see_all(void **state)
{
    static const char all[] = "{\"version\":\"3\",\"percent\":100}";
    (void)state;
    struct share_request r;
    struct err e = {0};
    assert_int_equal(shadow_request_parse(&r, all, sizeof(all) - 1, &e), 0);
    assert_int_equal(r.percent, 100);
}

static void labels_are_read(void **state)
{
    static const char *const good[] = {"{\"label\":\"stable\",\"version\":\"2\"}",
                                       "{\"label\":\"stable\",\"version\":null}"};
    static const char *const bad[] = {"{}", "{\"label\":\"stable\"}", "{\"version\":\"2\"}",
                                      "{\"label\":\"a b\",\"version\":\"2\"}",
                                      "{\"label\":\"stable\",\"version\":2}"};
    (void)state;
    struct label_request r;
    struct err e = {0};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(label_request_parse(&r, good[i], strlen(good[i]), &e), 0);
        assert_string_equal(r.label, "stable");
        assert_string_equal(r.version, i == 0 ? "2" : "");
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(label_request_parse(&r, bad[i], strlen(bad[i]), &e), -1);
    }
}

static double number(const cJSON *o, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(o, name)->valuedouble;
}

/* More comparisons than the ring holds: the last ones, newest first; means are of all. */
static void the_report_has_the_last_comparisons(void **state)
{
    (void)state;
    struct model_labels labels = {0};
    const struct traffic_view view = {
        .model = "tiny", .serving = "2", .shadow = "3", .shadow_percent = 5, .labels = &labels};
    struct shadow_report r = {.version = "3"};
    for (unsigned i = 0; i < SHADOW_RING + 7; i++) {
        struct shadow_comparison *c = &r.ring[r.n_compared++ % SHADOW_RING];
        *c = (struct shadow_comparison){
            .at = i, .is_identical = true, .sides = {{.finish = "stop"}, {.finish = "stop"}}};
        snprintf(c->request, sizeof(c->request), "r%u", i);
        r.sums[SHADOW_REAL].bytes += 10;
        r.counts[SHADOW_IDENTICAL]++;
    }
    size_t len = 0;
    struct err e = {0};
    char *text = shadow_report_text(&view, &r, &len);
    cJSON *root = json_parse(text, len, &e);
    const cJSON *report = cJSON_GetObjectItemCaseSensitive(root, "report");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(report, "comparisons");
    assert_int_equal(cJSON_GetArraySize(list), SHADOW_RING);
    assert_int_equal((int)number(cJSON_GetArrayItem(list, 0), "at"), SHADOW_RING + 6);
    assert_int_equal((int)number(cJSON_GetArrayItem(list, SHADOW_RING - 1), "at"), 7);
    assert_true(number(report, "identical_share") == 1.0);
    const cJSON *real = cJSON_GetObjectItemCaseSensitive(report, "real");
    assert_true(number(real, "mean_bytes") == 10.0);
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(real, "tokens_per_s")));
    cJSON_Delete(root);
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_read),
        cmocka_unit_test(shares_that_say_nothing_clear_are_refused),
        cmocka_unit_test(a_shadow_may_see_all),
        cmocka_unit_test(labels_are_read),
        cmocka_unit_test(the_report_has_the_last_comparisons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
