/* tokens_request.h, tokens_reply.h and json_append_string */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/api/json_text.h"
#include "runtime/api/tokens_reply.h"
#include "runtime/api/tokens_request.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "tests/unit/models/small_vocab.h"

static int parse(struct tokenize_request *r, const char *body, struct err *e)
{
    return tokenize_request_parse(r, body, strlen(body), e);
}

static void each_shape_has_its_defaults(void **state)
{
    (void)state;
    struct tokenize_request r;
    struct err e = {0};
    assert_int_equal(parse(&r, "{\"content\":\"a b\"}", &e), 0);
    assert_string_equal(r.text, "a b");
    assert_true(!r.add_special && !r.parse_special && !r.with_pieces && !r.with_names);
    tokenize_request_deinit(&r);
    assert_int_equal(
        parse(&r, "{\"content\":\"\",\"add_special\":true,\"with_pieces\":true}", &e), 0);
    assert_true(r.text_len == 0 && r.add_special && r.with_pieces);
    tokenize_request_deinit(&r);
    assert_int_equal(parse(&r, "{\"prompt\":\"a\",\"return_token_strs\":true}", &e), 0);
    assert_true(r.add_special && r.with_names);
    tokenize_request_deinit(&r);
    assert_int_equal(parse(&r, "{\"prompt\":\"a\",\"add_special_tokens\":false}", &e), 0);
    assert_false(r.add_special);
    tokenize_request_deinit(&r);
    assert_int_equal(parse(&r, "{\"messages\":[],\"add_generation_prompt\":false}", &e), 0);
    assert_true(!r.text && !r.add_generation_prompt);
    tokenize_request_deinit(&r);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *body, *param;
    } cases[] = {
        {"{}", "content"},
        {"[]", ""},
        {"{\"content\":3}", "content"},
        {"{\"prompt\":[\"a\"]}", "prompt"},
        {"{\"content\":\"a\",\"prompt\":\"a\"}", "content"},
        {"{\"content\":\"a\",\"messages\":[]}", "content"},
        {"{\"content\":\"a\",\"add_special\":1}", "add_special"},
        {"{\"content\":\"a\",\"parse_special\":\"yes\"}", "parse_special"},
        {"{\"content\":\"a\",\"with_pieces\":{}}", "with_pieces"},
        {"{\"content\":\"a\",\"model\":[]}", "model"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tokenize_request r;
        struct err e = {0};
        assert_int_equal(parse(&r, cases[i].body, &e), -1);
        assert_string_equal(e.param, cases[i].param);
    }
}

static void a_text_over_the_limit_is_refused(void **state)
{
    (void)state;
    for (size_t len = TOKENIZE_BYTES_MAX; len <= TOKENIZE_BYTES_MAX + 1; len++) {
        struct tokenize_request r;
        struct err e = {0};
        struct buf body;
        buf_init(&body, SIZE_MAX / 2);
        buf_append_str(&body, "{\"content\":\"");
        for (size_t i = 0; i < len; i++) {
            buf_append_char(&body, 'a');
        }
        buf_append_str(&body, "\"}");
        int rc = tokenize_request_parse(&r, body.data, body.len, &e);
        assert_int_equal(rc, len == TOKENIZE_BYTES_MAX ? 0 : -1);
        if (rc == 0) {
            tokenize_request_deinit(&r);
        } else {
            assert_int_equal(e.kind, ERR_LIMIT);
        }
        buf_deinit(&body);
    }
}

static void ids_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}",
                                      "{\"tokens\":3}",
                                      "{\"tokens\":[1,-1]}",
                                      "{\"tokens\":[2147483648]}",
                                      "{\"tokens\":[0.5]}",
                                      "{\"tokens\":[\"1\"]}",
                                      "{\"tokens\":[[1]]}",
                                      "{\"tokens\":[1e300]}",
                                      "{\"tokens\":[null]}"};
    struct detokenize_request r;
    struct err e = {0};
    assert_int_equal(detokenize_request_parse(&r, "{\"tokens\":[9,0]}", 16, &e), 0);
    assert_int_equal(r.tokens.count, 2);
    assert_int_equal(detokenize_request_check(&r, 10, &e), 0);
    assert_int_equal(detokenize_request_check(&r, 9, &e), -1);
    assert_string_equal(e.param, "tokens");
    detokenize_request_deinit(&r);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t before = mem_live();
        assert_int_equal(detokenize_request_parse(&r, bad[i], strlen(bad[i]), &e), -1);
        assert_string_equal(e.param, "tokens");
        assert_int_equal(mem_live(), before);
    }
}

static void ids_are_checked_once_the_model_is_known(void **state)
{
    (void)state;
    static const char body[] = "{\"model\":\"b\",\"tokens\":[9,10]}";
    struct detokenize_request r;
    struct err e = {0};
    assert_int_equal(detokenize_request_parse(&r, body, sizeof(body) - 1, 0, &e), 0);
    assert_int_equal(detokenize_request_check(&r, 11, &e), 0);
    assert_int_equal(detokenize_request_check(&r, 10, &e), -1);
    assert_non_null(strstr(e.message, "\"tokens[1]\" is no token id; ids are 0 to 9"));
    detokenize_request_deinit(&r);
    assert_int_equal(detokenize_request_parse(&r, "{\"tokens\":[3e9]}", 16, 0, &e), -1);
    assert_int_equal(detokenize_request_parse(&r, "{\"tokens\":[-1]}", 15, 0, &e), -1);
}

static void every_character_survives_as_json(void **state)
{
    (void)state;
    char text[256];
    for (size_t i = 0; i < 127; i++) {
        text[i] = (char)(i + 1);
    }
    strcpy(text + 127, "\xc3\xbc\xf0\x9f\x98\x80");
    struct buf out;
    struct err e = {0};
    buf_init(&out, 4096);
    assert_int_equal(json_append_string(&out, text, strlen(text)), 0);
    cJSON *back = json_parse(out.data, out.len, &e);
    assert_non_null(back);
    assert_string_equal(back->valuestring, text);
    cJSON_Delete(back);
    buf_clear(&out);
    assert_int_equal(json_append_string(&out, "", 0), 0);
    assert_string_equal(out.data, "\"\"");
    buf_deinit(&out);
}

static cJSON *reply_of(const struct tokenizer *t, const char *text, bool pieces, bool names)
{
    struct token_list tokens = {0};
    struct err e = {0};
    assert_int_equal(tokenizer_encode(t, text, strlen(text), true, &tokens, &e), 0);
    const struct tokenize_reply reply = {.tokenizer = t,
                                         .tokens = &tokens,
                                         .context = 96,
                                         .with_pieces = pieces,
                                         .with_names = names};
    size_t len = 0;
    char *json = tokenize_reply_text(&reply, &len);
    cJSON *root = json_parse(json, len, &e);
    if (!root) {
        fail_msg("%s: %s", json, e.message);
    }
    size_t listed =
        (size_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "tokens"));
    assert_int_equal(listed, tokens.count);
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(root, "count")->valueint, tokens.count);
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(root, "max_model_len")->valueint, 96);
    const cJSON *strs = cJSON_GetObjectItemCaseSensitive(root, "token_strs");
    assert_int_equal(strs ? cJSON_GetArraySize(strs) : -1, names ? (int)listed : -1);
    mem_free(json);
    token_list_deinit(&tokens);
    return root;
}

static void pieces_are_text_or_bytes(void **state)
{
    (void)state;
    struct tokenizer *t = small_vocab_tokenizer("qwen2");
    cJSON *root = reply_of(t, "the \"\xc3\xbc\"", true, true);
    const cJSON *token;
    char joined[64] = {0};
    bool saw_bytes = false;
    cJSON_ArrayForEach(token, cJSON_GetObjectItemCaseSensitive(root, "tokens"))
    {
        const cJSON *piece = cJSON_GetObjectItemCaseSensitive(token, "piece");
        assert_true(cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(token, "id")));
        if (cJSON_IsString(piece)) {
            strcat(joined, piece->valuestring);
            continue;
        }
        const cJSON *byte;
        cJSON_ArrayForEach(byte, piece)
        {
            joined[strlen(joined)] = (char)byte->valueint;
            saw_bytes = true;
        }
    }
    assert_true(saw_bytes);
    assert_string_equal(joined, "the \"\xc3\xbc\"");
    cJSON_Delete(root);
    cJSON_Delete(reply_of(t, "", false, true));
    cJSON_Delete(reply_of(t, "fox", false, false));
    tokenizer_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_shape_has_its_defaults),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_text_over_the_limit_is_refused),
        cmocka_unit_test(ids_are_checked),
        cmocka_unit_test(ids_are_checked_once_the_model_is_known),
        cmocka_unit_test(every_character_survives_as_json),
        cmocka_unit_test(pieces_are_text_or_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
