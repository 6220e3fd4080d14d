/* moderation_request.h and moderation_reply.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/api/moderation_reply.h"
#include "runtime/api/moderation_request.h"
#include "runtime/base/mem.h"

#define PART(text) "{\"type\":\"text\",\"text\":\"" text "\"}"

static int parse(struct moderation_request *r, const char *body, struct err *e)
{
    return moderation_request_parse(r, body, strlen(body), e);
}

static void input_has_three_shapes(void **state)
{
    (void)state;
    struct moderation_request r;
    struct err e = {0};
    assert_int_equal(parse(&r, "{\"input\":\"\",\"model\":\"m\"}", &e), 0);
    assert_true(r.n_texts == 1 && !r.are_parts);
    assert_string_equal(r.texts[0], "");
    assert_string_equal(r.model, "m");
    moderation_request_deinit(&r);
    assert_int_equal(parse(&r, "{\"input\":[\"a\",\"b\"]}", &e), 0);
    assert_true(r.n_texts == 2 && !r.are_parts);
    assert_string_equal(r.texts[1], "b");
    moderation_request_deinit(&r);
    assert_int_equal(parse(&r, "{\"input\":[" PART("a") "," PART("b") "]}", &e), 0);
    assert_true(r.n_texts == 2 && r.are_parts);
    assert_string_equal(r.texts[1], "b");
    moderation_request_deinit(&r);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *body, *param;
    } cases[] = {
        {"{}", "input"},
        {"[]", ""},
        {"{\"input\":3}", "input"},
        {"{\"input\":[]}", "input"},
        {"{\"input\":[3]}", "input[0]"},
        {"{\"input\":[\"a\",3]}", "input[1]"},
        {"{\"input\":[\"a\"," PART("b") "]}", "input[1]"},
        {"{\"input\":[" PART("a") ",\"b\"]}", "input[1]"},
        {"{\"input\":[{}]}", "input[0]"},
        {"{\"input\":[{\"type\":\"text\"}]}", "input[0]"},
        {"{\"input\":[" PART("a") ",{\"type\":\"image_url\",\"image_url\":{}}]}", "input[1]"},
        {"{\"input\":\"a\",\"model\":3}", "model"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct moderation_request r;
        struct err e = {0};
        size_t before = mem_live();
        assert_int_equal(parse(&r, cases[i].body, &e), -1);
        assert_string_equal(e.param, cases[i].param);
        assert_int_equal(mem_live(), before);
    }
}

static void expect_texts(size_t n, size_t bytes_each, bool fits)
{
    struct moderation_request r;
    struct err e = {0};
    size_t item = bytes_each + 3, len = n * item + 11;
    char *body = mem_alloc(len + 1);
    assert_non_null(body);
    snprintf(body, len + 1, "{\"input\":[");
    for (size_t i = 0; i < n; i++) {
        char *at = body + 10 + i * item;
        memset(at, 'a', item);
        at[0] = at[item - 2] = '"';
        at[item - 1] = i + 1 < n ? ',' : ']';
    }
    body[len - 1] = '}';
    int rc = moderation_request_parse(&r, body, len, &e);
    if (rc != (fits ? 0 : -1)) {
        fail_msg("%zu of %zu bytes: %s", n, bytes_each, e.message);
    }
    if (rc == 0) {
        moderation_request_deinit(&r);
    }
    mem_free(body);
}

static void limits_are_exact(void **state)
{
    (void)state;
    expect_texts(MODERATION_TEXTS_MAX, 1, true);
    expect_texts(MODERATION_TEXTS_MAX + 1, 1, false);
    expect_texts(2, MODERATION_BYTES_MAX / 2, true);
    expect_texts(2, MODERATION_BYTES_MAX / 2 + 1, false);
}

static void a_result_names_what_was_looked_for_and_what_was_found(void **state)
{
    (void)state;
    struct moderation_result results[2] = {{0}};
    assert_int_equal(moderation_result_set(&results[0], "wordlist", false), 0);
    assert_int_equal(moderation_result_set(&results[1], "wordlist", true), 0);
    assert_int_equal(moderation_result_set(&results[1], "wordlist", false), 0);
    assert_int_equal(moderation_result_set(&results[1], "rude", true), 0);
    size_t len = 0;
    char *text = moderation_reply_text("modr-1", "default@3", results, 2, &len);
    assert_string_equal(
        text,
        "{\"id\":\"modr-1\",\"model\":\"default@3\",\"results\":["
        "{\"flagged\":false,\"categories\":{\"wordlist\":false},\"category_scores\":"
        "{\"wordlist\":0},\"category_applied_input_types\":{\"wordlist\":[\"text\"]}},"
        "{\"flagged\":true,\"categories\":{\"wordlist\":true,\"rude\":true},"
        "\"category_scores\":{\"wordlist\":1,\"rude\":1},\"category_applied_input_types\":"
        "{\"wordlist\":[\"text\"],\"rude\":[\"text\"]}}]}");
    assert_int_equal(strlen(text), len);
    mem_free(text);
    for (size_t i = 0; i < 2; i++) {
        moderation_result_deinit(&results[i]);
    }
}

static void spans_say_where_an_answer_was_changed(void **state)
{
    (void)state;
    struct moderation_result r = {0};
    for (size_t i = 0; i < 20; i++) {
        struct moderation_span span = {.choice = i / 10,
                                       .at = 7 * i,
                                       .bytes = i % 2,
                                       .verdict = i < 19 ? "replace" : "stop",
                                       .name = "no \"names\"",
                                       .code = "email"};
        assert_int_equal(moderation_result_add_span(&r, &span), 0);
    }
    struct buf out;
    buf_init(&out, 1 << 16);
    moderation_append_side(&out, "default", &r);
    char *text = buf_take(&out, NULL);
    assert_non_null(strstr(text, "\"spans\":[{\"choice\":0,\"at\":0,\"bytes\":0,"
                                 "\"verdict\":\"replace\",\"name\":\"no \\u0022names\\u0022\","
                                 "\"code\":\"email\"},{"));
    assert_non_null(strstr(text, "{\"choice\":1,\"at\":133,\"bytes\":1,\"verdict\":\"stop\","));
    mem_free(text);
    buf_deinit(&out);
    moderation_result_deinit(&r);
}

static void a_weighed_category_has_its_greatest_score(void **state)
{
    (void)state;
    struct moderation_result r = {0};
    assert_int_equal(moderation_result_weigh(&r, "self-harm", 0.25), 0);
    assert_int_equal(moderation_result_weigh(&r, "self-harm", 0.75), 0);
    assert_int_equal(moderation_result_weigh(&r, "self-harm", 0.5), 0);
    assert_false(moderation_result_flagged(&r));
    assert_int_equal(moderation_result_set(&r, "wordlist", true), 0);
    size_t len = 0;
    char *text = moderation_reply_text("modr-1", "a@1", &r, 1, &len);
    assert_non_null(strstr(text, "\"categories\":{\"self-harm\":false,\"wordlist\":true}"));
    assert_non_null(strstr(text, "\"category_scores\":{\"self-harm\":0.75,\"wordlist\":1}"));
    mem_free(text);
    moderation_result_deinit(&r);
}

static void many_categories_are_kept_apart(void **state)
{
    (void)state;
    struct moderation_result r = {0};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 50; i++) {
            char name[16];
            snprintf(name, sizeof(name), "c%d", i);
            assert_int_equal(moderation_result_set(&r, name, round == 1 && i == 7), 0);
        }
    }
    assert_int_equal(r.n_categories, 50);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(r.categories[i].flagged, i == 7);
    }
    moderation_result_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_has_three_shapes),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(a_result_names_what_was_looked_for_and_what_was_found),
        cmocka_unit_test(spans_say_where_an_answer_was_changed),
        cmocka_unit_test(a_weighed_category_has_its_greatest_score),
        cmocka_unit_test(many_categories_are_kept_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
