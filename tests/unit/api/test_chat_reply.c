/* chat_reply.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/api/chat_reply.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

static const struct chat_reply reply = {
    .id = "chatcmpl-1", .created = 7, .model = "m@1", .fingerprint = "weir-a-b-c"};
static const struct chat_usage usage = {
    .prompt_tokens = 3, .cached_tokens = 2, .completion_tokens = 4};

/* Takes the text; the tree is the caller's. */
static cJSON *parsed(char *text, size_t len)
{
    struct err e = {0};
    assert_non_null(text);
    assert_int_equal(strlen(text), len);
    cJSON *root = json_parse(text, len, &e);
    assert_non_null(root);
    mem_free(text);
    return root;
}

static const cJSON *get(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static void assert_field(const cJSON *object, const char *name, const char *wanted)
{
    assert_non_null(cJSON_GetStringValue(get(object, name)));
    assert_string_equal(cJSON_GetStringValue(get(object, name)), wanted);
}

static void a_whole_answer_has_what_clients_read(void **state)
{
    (void)state;
    size_t len = 0;
    const struct chat_choice choices[] = {
        {.content = "a \"b\"\n\xE2\x82\xAC", .finish = CHAT_FINISH_LENGTH},
        {.content = "", .finish = CHAT_FINISH_STOP}};
    char *text = chat_reply_whole(&reply, choices, 2, &usage, &len);
    cJSON *root = parsed(text, len);
    assert_field(root, "object", "chat.completion");
    assert_field(root, "system_fingerprint", "weir-a-b-c");
    const cJSON *choice = cJSON_GetArrayItem(get(root, "choices"), 0);
    assert_field(choice, "finish_reason", "length");
    assert_field(get(choice, "message"), "role", "assistant");
    assert_field(get(choice, "message"), "content", "a \"b\"\n\xE2\x82\xAC");
    choice = cJSON_GetArrayItem(get(root, "choices"), 1);
    assert_field(choice, "finish_reason", "stop");
    assert_int_equal(get(choice, "index")->valueint, 1);
    assert_int_equal(get(get(root, "usage"), "total_tokens")->valueint, 7);
    const cJSON *details = get(get(root, "usage"), "prompt_tokens_details");
    assert_int_equal(get(details, "cached_tokens")->valueint, 2);
    cJSON_Delete(root);
}

static void the_first_chunk_has_the_role_and_no_finish(void **state)
{
    (void)state;
    size_t len = 0;
    char *text = chat_chunk_role(&reply, true, 1, &len);
    cJSON *root = parsed(text, len);
    assert_field(root, "object", "chat.completion.chunk");
    const cJSON *choice = cJSON_GetArrayItem(get(root, "choices"), 0);
    assert_field(get(choice, "delta"), "role", "assistant");
    assert_int_equal(get(choice, "index")->valueint, 1);
    assert_true(cJSON_IsNull(get(choice, "finish_reason")));
    assert_true(cJSON_IsNull(get(root, "usage")));
    cJSON_Delete(root);
}

static void the_finish_chunk_has_an_empty_delta_and_usage_no_choices(void **state)
{
    (void)state;
    size_t len = 0;
    char *text = chat_chunk_finish(&reply, false, 0, CHAT_FINISH_CONTENT_FILTER, &len);
    cJSON *root = parsed(text, len);
    const cJSON *choice = cJSON_GetArrayItem(get(root, "choices"), 0);
    assert_field(choice, "finish_reason", "content_filter");
    assert_int_equal(cJSON_GetArraySize(get(choice, "delta")), 0);
    assert_null(get(root, "usage"));
    cJSON_Delete(root);
    text = chat_chunk_usage(&reply, &usage, &len);
    root = parsed(text, len);
    assert_int_equal(cJSON_GetArraySize(get(root, "choices")), 0);
    assert_int_equal(get(get(root, "usage"), "completion_tokens")->valueint, 4);
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_answer_has_what_clients_read),
        cmocka_unit_test(the_first_chunk_has_the_role_and_no_finish),
        cmocka_unit_test(the_finish_chunk_has_an_empty_delta_and_usage_no_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
