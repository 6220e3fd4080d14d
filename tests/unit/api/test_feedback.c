/* feedback_request.h, feedback_reply.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/api/feedback_reply.h"
#include "runtime/api/feedback_request.h"
#include "runtime/base/json.h"

static void everything_is_read(void **state)
{
    (void)state;
    static const char body[] =
        "{\"id\":\"a\",\"choice\":3,\"thumb\":\"down\",\"over\":{\"id\":\"b\",\"choice\":1},"
        "\"user\":\"ann\",\"comment\":\"c\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}"
        "],"
        "\"answer\":\"x\",\"over_answer\":\"y\",\"correction\":null}";
    struct feedback_request r;
    struct err e = {0};
    assert_int_equal(feedback_request_parse(&r, body, strlen(body), &e), 0);
    assert_string_equal(r.id, "a");
    assert_int_equal(r.choice, 3);
    assert_int_equal(r.thumb, -1);
    assert_string_equal(r.over, "b");
    assert_int_equal(r.over_choice, 1);
    assert_null(r.correction);
    assert_string_equal(r.user, "ann");
    assert_string_equal(r.comment, "c");
    assert_int_equal(cJSON_GetArraySize(r.messages), 1);
    assert_string_equal(r.answer, "x");
    assert_string_equal(r.over_answer, "y");
    feedback_request_deinit(&r);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *body, *param;
    } cases[] = {
        {"{\"thumb\":\"up\"}", "id"},
        {"{\"id\":\"\",\"thumb\":\"up\"}", "id"},
        {"{\"id\":7,\"thumb\":\"up\"}", "id"},
        {"{\"id\":\"0123456789012345678901234567890123456789012345678901\",\"thumb\":\"up\"}",
         "id"},
        {"{\"id\":\"a\"}", "thumb"},
        {"{\"id\":\"a\",\"thumb\":true}", "thumb"},
        {"{\"id\":\"a\",\"thumb\":\"up\",\"choice\":-1}", "choice"},
        {"{\"id\":\"a\",\"thumb\":\"up\",\"choice\":0.5}", "choice"},
        {"{\"id\":\"a\",\"over\":7}", "over"},
        {"{\"id\":\"a\",\"over\":{\"choice\":1}}", "id"},
        {"{\"id\":\"a\",\"over\":\"a\"}", "over"},
        {"{\"id\":\"a\",\"over\":\"b\",\"correction\":\"c\"}", "over"},
        {"{\"id\":\"a\",\"correction\":[]}", "correction"},
        {"{\"id\":\"a\",\"thumb\":\"up\",\"user\":5}", "user"},
        {"{\"id\":\"a\",\"thumb\":\"up\",\"messages\":[]}", "messages"},
        {"{\"id\":\"a\",\"thumb\":\"up\",\"messages\":\"q\"}", "messages"},
        {"{\"id\":\"a\",\"thumb\":\"up\",\"messages\":[{\"role\":\"user\"}]}", "messages"},
        {"{\"id\":\"a\",\"thumb\":\"up\",\"prompt\":5}", "prompt"},
        {"{\"id\":\"a\",\"thumb\":\"up\",\"rating\":5}", "rating"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct feedback_request r;
        struct err e = {0};
        if (feedback_request_parse(&r, cases[i].body, strlen(cases[i].body), &e) == 0 ||
            strcmp(e.param, cases[i].param) != 0) {
            fail_msg("%s: \"%s\", %s", cases[i].body, e.param, e.message);
        }
    }
}

static void assert_example(const struct feedback *f, enum feedback_example kind,
                           const char *text)
{
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(feedback_example_of(f), kind);
    assert_int_equal(feedback_example_append(&out, f), 0);
    assert_string_equal(out.data ? out.data : "", text);
    buf_deinit(&out);
}

static void feedback_becomes_pairs_and_labels(void **state)
{
    (void)state;
    struct feedback f = {.thumb = -1, .messages = (char *)"[1]", .text = (char *)"said"};
    assert_example(&f, FEEDBACK_LABEL,
                   "{\"messages\":[1],\"answer\":\"said\",\"label\":false}");
    f.thumb = 1;
    f.messages = (char *)"\"once\"";
    assert_example(&f, FEEDBACK_LABEL,
                   "{\"prompt\":\"once\",\"answer\":\"said\",\"label\":true}");
    f.correction = (char *)"a \"better\" one\n";
    assert_example(&f, FEEDBACK_PAIR,
                   "{\"prompt\":\"once\",\"chosen\":\"a \\u0022better\\u0022 one\\u000a\","
                   "\"rejected\":\"said\"}");
    f.correction = (char *)"said"; /* nothing is better than itself */
    assert_example(&f, FEEDBACK_NO_EXAMPLE, "");
    f.correction = NULL;
    memcpy(f.over, "b", 2);
    assert_example(&f, FEEDBACK_NO_EXAMPLE, "");
    f.over_text = (char *)"worse";
    assert_example(&f, FEEDBACK_PAIR,
                   "{\"prompt\":\"once\",\"chosen\":\"said\",\"rejected\":\"worse\"}");
    f.text = NULL;
    assert_example(&f, FEEDBACK_NO_EXAMPLE, "");
}

static void a_row_is_json(void **state)
{
    (void)state;
    struct err e;
    struct buf out;
    const struct feedback f = {.number = 3,
                               .id = "fb-1",
                               .time_ms = 1500,
                               .thumb = 1,
                               .user = "a\"b",
                               .messages = (char *)"[]",
                               .comment = (char *)"line\nline"};
    buf_init(&out, 4096);
    assert_int_equal(feedback_reply_append(&out, &f), 0);
    cJSON *json = json_parse(out.data, out.len, &e);
    assert_non_null(json);
    assert_string_equal(cJSON_GetObjectItem(json, "user")->valuestring, "a\"b");
    assert_string_equal(cJSON_GetObjectItem(json, "comment")->valuestring, "line\nline");
    assert_true(cJSON_GetObjectItem(json, "time")->valuedouble == 1.5);
    assert_true(cJSON_IsArray(cJSON_GetObjectItem(json, "asked")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(json, "text")));
    cJSON_Delete(json);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(feedback_becomes_pairs_and_labels),
        cmocka_unit_test(a_row_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
