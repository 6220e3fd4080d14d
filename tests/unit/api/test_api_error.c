/* api_error.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/api/api_error.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

static void a_kind_decides_the_status(void **state)
{
    (void)state;
    static const struct {
        enum err_kind kind;
        int status;
    } cases[] = {{ERR_INVALID, 400},  {ERR_FORMAT, 400},   {ERR_UNSUPPORTED, 400},
                 {ERR_LIMIT, 400},    {ERR_BUSY, 429},     {ERR_NOT_FOUND, 404},
                 {ERR_CANCELED, 500}, {ERR_IO, 500},       {ERR_NOMEM, 503},
                 {ERR_FILTERED, 400}, {ERR_CONFLICT, 412}, {ERR_NOT_LOADED, 404}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = {.kind = cases[i].kind, .message = "what happened"};
        struct api_error out = api_error_from(&e);
        assert_int_equal(out.status, cases[i].status);
        /* The client is asked to come back exactly when coming back may help. */
        assert_int_equal(out.retry_after_s > 0, out.status == 429 || out.status == 503);
    }
}

static void clients_tell_errors_apart_by_their_code(void **state)
{
    (void)state;
    static const struct {
        enum err_kind kind;
        const char *param;
        const char *code; /* NULL: none */
    } cases[] = {{ERR_NOT_FOUND, "model", "model_not_found"},
                 {ERR_NOT_FOUND, "", "not_found"},
                 {ERR_NOT_LOADED, "model", "model_not_loaded"},
                 {ERR_DENIED, "model", "model_not_allowed"},
                 {ERR_DENIED, "prompt", "missing_scope"},
                 {ERR_CONFLICT, "if-match", "precondition_failed"},
                 {ERR_LIMIT, "messages", "context_length_exceeded"},
                 {ERR_LIMIT, "prompt", "context_length_exceeded"},
                 {ERR_LIMIT, "input", "context_length_exceeded"},
                 {ERR_LIMIT, "", NULL},
                 {ERR_FILTERED, "messages[0].content", "content_filter"},
                 {ERR_UNSUPPORTED, "tools", "unsupported_parameter"},
                 {ERR_INVALID, "temperature", NULL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = {.kind = cases[i].kind, .message = "what happened"};
        strcpy(e.param, cases[i].param);
        struct api_error out = api_error_from(&e);
        if (cases[i].code) {
            assert_string_equal(out.code, cases[i].code);
        } else {
            assert_null(out.code);
        }
        assert_string_equal(out.param, cases[i].param);
    }
}

static void an_inner_failure_tells_nothing_of_the_inside(void **state)
{
    (void)state;
    struct err e = {.kind = ERR_IO, .message = "/secret/path: cannot open", .param = "secret"};
    struct api_error out = api_error_from(&e);
    assert_null(strstr(out.message, "secret"));
    assert_string_equal(out.param, "");
}

static void the_body_has_all_four_keys(void **state)
{
    (void)state;
    struct api_error error =
        api_error_make(400, "invalid_request_error", NULL, NULL, "say \"hi\"\n");
    size_t len = 0;
    struct err e = {0};
    char *text = api_error_body(&error, API_OPENAI, NULL, &len);
    cJSON *root = json_parse(text, len, &e);
    const cJSON *inner = cJSON_GetObjectItemCaseSensitive(root, "error");
    assert_int_equal(cJSON_GetArraySize(inner), 4);
    assert_string_equal(
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(inner, "message")),
        "say \"hi\"\n");
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(inner, "param")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(inner, "code")));
    cJSON_Delete(root);
    mem_free(text);
}

static void anthropics_clients_are_told_in_their_words(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *type;
    } cases[] = {{400, "invalid_request_error"}, {401, "authentication_error"},
                 {403, "permission_error"},      {404, "not_found_error"},
                 {429, "rate_limit_error"},      {500, "api_error"},
                 {503, "overloaded_error"},      {504, "timeout_error"}};
    assert_int_equal(api_dialect_of("/v1/messages"), API_ANTHROPIC);
    assert_int_equal(api_dialect_of("/v1/messages/count_tokens"), API_ANTHROPIC);
    assert_int_equal(api_dialect_of("/v1/chat/completions"), API_OPENAI);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct api_error error = api_error_make(cases[i].status, "x", NULL, NULL, "words");
        cJSON *root = api_error_json(&error, API_ANTHROPIC, "req_1");
        const cJSON *inner = cJSON_GetObjectItemCaseSensitive(root, "error");
        assert_string_equal(
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "type")), "error");
        assert_string_equal(
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(inner, "type")),
            cases[i].type);
        cJSON_Delete(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kind_decides_the_status),
        cmocka_unit_test(clients_tell_errors_apart_by_their_code),
        cmocka_unit_test(an_inner_failure_tells_nothing_of_the_inside),
        cmocka_unit_test(the_body_has_all_four_keys),
        cmocka_unit_test(anthropics_clients_are_told_in_their_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
