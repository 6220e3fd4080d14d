/* embeddings_request.h and embeddings_reply.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/api/embeddings_reply.h"
#include "runtime/api/embeddings_request.h"
#include "runtime/base/buf.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

#define VOCAB 100
#define WIDTH 64

static int parse(struct embeddings_request *r, const char *body, struct err *e)
{
    return embeddings_request_parse(r, body, strlen(body), VOCAB, WIDTH, e);
}

static void the_rest_is_checked_once_the_model_is_known(void **state)
{
    (void)state;
    static const char body[] = "{\"model\":\"b\",\"input\":[[1],[99]],\"dimensions\":64}";
    struct embeddings_request r;
    struct err e = {0};
    assert_int_equal(embeddings_request_parse(&r, body, sizeof(body) - 1, 0, 0, &e), 0);
    assert_string_equal(r.model, "b");
    assert_int_equal(embeddings_request_check(&r, VOCAB, WIDTH, &e), 0);
    assert_int_equal(r.dimensions, 64);
    assert_int_equal(embeddings_request_check(&r, 99, WIDTH, &e), -1);
    assert_string_equal(e.param, "input[1]");
    assert_int_equal(embeddings_request_check(&r, VOCAB, 63, &e), -1);
    assert_string_equal(e.param, "dimensions");
    embeddings_request_deinit(&r);
    assert_int_equal(embeddings_request_parse(&r, "{\"input\":[3e9]}", 15, 0, 0, &e), -1);
}

static void input_has_four_shapes(void **state)
{
    (void)state;
    struct embeddings_request r;
    struct err e = {0};
    char name[32];
    assert_int_equal(parse(&r, "{\"input\":\"a text\",\"model\":\"m\"}", &e), 0);
    assert_int_equal(r.n_inputs, 1);
    assert_string_equal(r.inputs[0].text, "a text");
    assert_string_equal(r.model, "m");
    assert_true(!r.base64 && !r.truncate && r.dimensions == 0);
    embeddings_request_name(&r, 0, name);
    assert_string_equal(name, "input");
    embeddings_request_deinit(&r);

    assert_int_equal(parse(&r, "{\"input\":[\"a\",\"b\"],\"encoding_format\":\"base64\"}", &e),
                     0);
    assert_int_equal(r.n_inputs, 2);
    assert_string_equal(r.inputs[1].text, "b");
    assert_true(r.base64);
    embeddings_request_name(&r, 1, name);
    assert_string_equal(name, "input[1]");
    embeddings_request_deinit(&r);

    assert_int_equal(parse(&r, "{\"input\":[5,0,99],\"dimensions\":64}", &e), 0);
    assert_int_equal(r.n_inputs, 1);
    assert_null(r.inputs[0].text);
    assert_int_equal(r.inputs[0].end, 3);
    assert_int_equal(r.tokens.ids[2], 99);
    assert_int_equal(r.dimensions, 64);
    embeddings_request_deinit(&r);

    assert_int_equal(parse(&r, "{\"input\":[[1],[2,3]],\"truncation\":\"auto\"}", &e), 0);
    assert_int_equal(r.n_inputs, 2);
    assert_int_equal(r.inputs[1].first, 1);
    assert_int_equal(r.inputs[1].end, 3);
    assert_true(r.truncate);
    embeddings_request_deinit(&r);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *body, *param;
    } cases[] = {
        {"{}", "input"},
        {"{\"input\":null}", "input"},
        {"{\"input\":3}", "input"},
        {"{\"input\":{}}", "input"},
        {"{\"input\":[]}", "input"},
        {"{\"input\":\"\"}", "input"},
        {"{\"input\":[\"a\",\"\"]}", "input[1]"},
        {"{\"input\":[\"a\",3]}", "input[1]"},
        {"{\"input\":[\"a\",[3]]}", "input[1]"},
        {"{\"input\":[[3],\"a\"]}", "input[1]"},
        {"{\"input\":[[3],3]}", "input[1]"},
        {"{\"input\":[[3],[]]}", "input[1]"},
        {"{\"input\":[3,[3]]}", "input"},
        {"{\"input\":[3,\"a\"]}", "input"},
        {"{\"input\":[3,-1]}", "input"},
        {"{\"input\":[3,1.5]}", "input"},
        {"{\"input\":[[1],[100]]}", "input[1]"},
        {"{\"input\":[[1],[1e300]]}", "input[1]"},
        {"{\"input\":[true]}", "input[0]"},
        {"{\"input\":\"a\",\"model\":3}", "model"},
        {"{\"input\":\"a\",\"encoding_format\":\"int8\"}", "encoding_format"},
        {"{\"input\":\"a\",\"encoding_format\":3}", "encoding_format"},
        {"{\"input\":\"a\",\"dimensions\":0}", "dimensions"},
        {"{\"input\":\"a\",\"dimensions\":65}", "dimensions"},
        {"{\"input\":\"a\",\"dimensions\":2.5}", "dimensions"},
        {"{\"input\":\"a\",\"truncation\":true}", "truncation"},
        {"{\"input\":\"a\",\"pooling\":\"mean\"}", "pooling"},
        {"{\"input\":\"a\",\"truncate_prompt_tokens\":9}", "truncate_prompt_tokens"},
        {"[]", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct embeddings_request r;
        struct err e = {0};
        size_t before = mem_live();
        assert_int_equal(parse(&r, cases[i].body, &e), -1);
        if (strcmp(e.param, cases[i].param) != 0) {
            fail_msg("%s: \"%s\": %s", cases[i].body, e.param, e.message);
        }
        assert_int_equal(mem_live(), before);
    }
}

/* n times `item` in an array. */
static char *list_of(const char *item, size_t n)
{
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    buf_append_str(&out, "{\"input\":[");
    for (size_t i = 0; i < n; i++) {
        buf_append_str(&out, i > 0 ? "," : "");
        buf_append_str(&out, item);
    }
    buf_append_str(&out, "]}");
    char *text = buf_take(&out, NULL);
    assert_non_null(text);
    return text;
}

static void expect_limit(const char *item, size_t n, int d_model, bool fits)
{
    struct embeddings_request r;
    struct err e = {0};
    char *body = list_of(item, n);
    int rc = embeddings_request_parse(&r, body, strlen(body), VOCAB, d_model, &e);
    if (rc != (fits ? 0 : -1)) {
        fail_msg("%zu of %s: %s", n, item, e.message);
    }
    if (rc == 0) {
        embeddings_request_deinit(&r);
    } else {
        assert_string_equal(e.param, "input");
    }
    mem_free(body);
}

static void limits_are_exact(void **state)
{
    (void)state;
    expect_limit("\"a\"", EMBEDDINGS_TEXTS_MAX, WIDTH, true);
    expect_limit("\"a\"", EMBEDDINGS_TEXTS_MAX + 1, WIDTH, false);
    expect_limit("7", EMBEDDINGS_TOKENS_MAX, WIDTH, true);
    expect_limit("7", EMBEDDINGS_TOKENS_MAX + 1, WIDTH, false);
    expect_limit("\"a\"", EMBEDDINGS_NUMBERS_MAX / 4096, 4096, true);
    expect_limit("\"a\"", EMBEDDINGS_NUMBERS_MAX / 4096 + 1, 4096, false);
    char *kilobyte = mem_alloc(1024 + 3);
    memset(kilobyte, 'a', 1026);
    kilobyte[0] = kilobyte[1025] = '"';
    kilobyte[1026] = '\0';
    expect_limit(kilobyte, EMBEDDINGS_TEXTS_MAX, WIDTH, true); /* 2 MiB */
    mem_free(kilobyte);
}

static void any_failing_allocation_is_told(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{\"input\":[[1,2],[3]]}",
                                         "{\"input\":[\"a\",\"b\"]}"};
    for (size_t i = 0; i < 2; i++) {
        for (size_t nth = 1;; nth++) {
            struct embeddings_request r;
            struct err e = {0};
            size_t before = mem_live();
            mem_fail_at(nth);
            int rc = parse(&r, bodies[i], &e);
            bool reached = mem_fail_reached();
            mem_fail_at(0);
            if (!reached) {
                assert_int_equal(rc, 0);
                embeddings_request_deinit(&r);
                break;
            }
            assert_int_equal(rc, -1);
            assert_int_equal(e.kind, ERR_NOMEM);
            assert_int_equal(mem_live(), before);
        }
    }
}

static const float vectors[] = {0.6f, 0.8f, 0.0f, -0.0f, 0.28f, 0.0f, 1e-20f, 0.96f};

static cJSON *reply_of(size_t dimensions, bool base64)
{
    const struct embeddings_reply reply = {.model = "m\"@1",
                                           .vectors = vectors,
                                           .n_vectors = 2,
                                           .d_model = 4,
                                           .dimensions = dimensions,
                                           .base64 = base64,
                                           .prompt_tokens = 7};
    struct err e = {0};
    size_t len = 0;
    char *text = embeddings_reply_text(&reply, &len);
    assert_non_null(text);
    assert_int_equal(strlen(text), len);
    cJSON *root = json_parse(text, len, &e);
    if (!root) {
        fail_msg("%s: %s", text, e.message);
    }
    mem_free(text);
    return root;
}

static const cJSON *data_of(const cJSON *root, int i)
{
    const cJSON *item = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "data"), i);
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(item, "index")->valueint, i);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(item, "object")->valuestring,
                        "embedding");
    return cJSON_GetObjectItemCaseSensitive(item, "embedding");
}

static void floats_come_back_as_they_were(void **state)
{
    (void)state;
    cJSON *root = reply_of(4, false);
    for (int i = 0; i < 8; i++) {
        double value = cJSON_GetArrayItem(data_of(root, i / 4), i % 4)->valuedouble;
        assert_true((float)value == vectors[i]);
    }
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(root, "object")->valuestring, "list");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(root, "model")->valuestring, "m\"@1");
    const cJSON *usage = cJSON_GetObjectItemCaseSensitive(root, "usage");
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(usage, "prompt_tokens")->valueint, 7);
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(usage, "total_tokens")->valueint, 7);
    cJSON_Delete(root);
}

static void base64_is_little_endian(void **state)
{
    (void)state;
    cJSON *root = reply_of(4, true);
    /* 0.6 is 3f19999a, 0.8 is 3f4ccccd; then 0 and -0. */
    assert_string_equal(data_of(root, 0)->valuestring, "mpkZP83MTD8AAAAAAAAAgA==");
    cJSON_Delete(root);
}

static void fewer_dimensions_have_length_1_again(void **state)
{
    (void)state;
    cJSON *root = reply_of(2, false);
    assert_int_equal(cJSON_GetArraySize(data_of(root, 0)), 2);
    assert_true(fabs(cJSON_GetArrayItem(data_of(root, 0), 1)->valuedouble - 0.8) < 1e-6);
    assert_true(cJSON_GetArrayItem(data_of(root, 1), 0)->valuedouble == 1.0);
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rest_is_checked_once_the_model_is_known),
        cmocka_unit_test(input_has_four_shapes),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(any_failing_allocation_is_told),
        cmocka_unit_test(floats_come_back_as_they_were),
        cmocka_unit_test(base64_is_little_endian),
        cmocka_unit_test(fewer_dimensions_have_length_1_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
