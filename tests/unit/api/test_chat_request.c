/* chat_request.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/api/chat_request.h"
#include "runtime/base/mem.h"

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static int parse(struct answer_request *r, const char *body, struct err *e)
{
    return chat_request_parse(r, body, strlen(body), e);
}

static void what_is_absent_or_null_has_its_default(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{" MESSAGES "}", "{" MESSAGES ",\"temperature\":null,\"stop\":null,\"seed\":null,"
                          "\"max_tokens\":null,\"stream\":null,\"tools\":null,\"n\":null,"
                          "\"stream_options\":null,\"response_format\":null,\"model\":null}"};
    for (size_t i = 0; i < 2; i++) {
        struct answer_request r;
        struct err e = {0};
        assert_int_equal(parse(&r, bodies[i], &e), 0);
        assert_null(r.model);
        assert_false(r.stream);
        assert_int_equal(r.max_tokens, 0);
        assert_int_equal(r.given, 0);
        assert_int_equal(r.n_stop, 0);
        assert_string_equal(r.messages[0].content, "hi");
        answer_request_deinit(&r);
    }
}

static void all_settings_arrive(void **state)
{
    (void)state;
    struct answer_request r;
    struct err e = {0};
    assert_int_equal(
        parse(&r,
              "{" MESSAGES ",\"model\":\"m\",\"stream\":true,\"seed\":-3,"
              "\"stream_options\":{\"include_usage\":true},\"max_completion_tokens\":9,"
              "\"temperature\":0,\"top_k\":4,\"stop\":[\"a\",\"b\"],"
              "\"unknown_and_harmless\":{},\"user\":\"x\",\"tools\":[]}",
              &e),
        0);
    assert_string_equal(r.model, "m");
    assert_true(r.stream && r.include_usage);
    assert_int_equal(r.max_tokens, 9);
    assert_int_equal(r.given,
                     SAMPLING_GIVEN_SEED | SAMPLING_GIVEN_TEMPERATURE | SAMPLING_GIVEN_TOP_K);
    assert_true(r.sampling.seed == (uint64_t)-3);
    assert_int_equal(r.sampling.top_k, 4);
    assert_int_equal(r.n_stop, 2);
    assert_string_equal(r.stop[1], "b");
    answer_request_deinit(&r);
}

static void parts_are_joined_and_developer_is_system(void **state)
{
    (void)state;
    struct answer_request r;
    struct err e = {0};
    assert_int_equal(
        parse(&r,
              "{\"messages\":[{\"role\":\"developer\",\"content\":[{\"type\":\"text\","
              "\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}]}",
              &e),
        0);
    assert_string_equal(r.messages[0].role, "system");
    assert_string_equal(r.messages[0].content, "ab");
    assert_int_equal(r.messages[0].content_len, 2);
    answer_request_deinit(&r);
}

/* One line a field: what is sent in it, and that the refusal names it. */
static void a_wrong_field_is_refused_by_name_and_leaks_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *param;
        const char *json;
    } cases[] = {
        {"model", "\"model\":3"},
        {"stream", "\"stream\":\"yes\""},
        {"stream_options", "\"stream_options\":[]"},
        {"include_usage", "\"stream_options\":{\"include_usage\":1}"},
        {"max_tokens", "\"max_tokens\":0"},
        {"max_tokens", "\"max_tokens\":-1"},
        {"max_tokens", "\"max_tokens\":1.5"},
        {"max_tokens", "\"max_tokens\":1e308"},
        {"max_tokens", "\"max_tokens\":1e999"},
        {"max_tokens", "\"max_tokens\":\"1\""},
        {"max_completion_tokens", "\"max_completion_tokens\":2147483648"},
        {"temperature", "\"temperature\":-0.1"},
        {"temperature", "\"temperature\":2.1"},
        {"temperature", "\"temperature\":\"hot\""},
        {"top_p", "\"top_p\":1.01"},
        {"top_k", "\"top_k\":-2"},
        {"min_p", "\"min_p\":true"},
        {"seed", "\"seed\":9007199254740994"},
        {"seed", "\"seed\":0.5"},
        {"stop", "\"stop\":\"\""},
        {"stop", "\"stop\":[1]"},
        {"stop", "\"stop\":{}"},
        {"n", "\"n\":0"},
        {"n", "\"n\":17"},
        {"n", "\"n\":1.5"},
        {"priority", "\"priority\":1001"},
        {"priority", "\"priority\":\"high\""},
        {"deadline_ms", "\"deadline_ms\":0"},
        {"deadline_ms", "\"deadline_ms\":1e12"},
        {"ignore_eos", "\"ignore_eos\":1"},
        {"truncation", "\"truncation\":\"yes\""},
        {"truncation", "\"truncation\":true"},
        {"cache_salt", "\"cache_salt\":\"\""},
        {"cache_salt", "\"cache_salt\":7"},
        {"n", "\"n\":1000000000"},
        {"tools", "\"tools\":[{}]"},
        {"functions", "\"functions\":{}"},
        {"audio", "\"audio\":{}"},
        {"logit_bias", "\"logit_bias\":{\"x\":5}"},
        {"logprobs", "\"logprobs\":1"},
        {"top_logprobs", "\"logprobs\":true,\"top_logprobs\":21"},
        {"top_logprobs", "\"top_logprobs\":2"},
        {"reasoning_effort", "\"reasoning_effort\":\"much\""},
        {"chat_template_kwargs", "\"chat_template_kwargs\":[]"},
        {"frequency_penalty", "\"frequency_penalty\":3"},
        {"presence_penalty", "\"presence_penalty\":3"},
        {"response_format.type", "\"response_format\":{\"type\":\"xml\"}"},
        {"response_format.json_schema", "\"response_format\":{\"type\":\"json_schema\"}"},
        {"regex", "\"grammar\":\"root ::= a\",\"regex\":\"a\""},
        {"choice", "\"choice\":[]"},
        {"structured_outputs.json", "\"structured_outputs\":{\"json\":3}"},
        {"guided_choice", "\"guided_choice\":[1]"},
        {"tool_choice", "\"tool_choice\":\"required\""},
        {"response_format.type", "\"response_format\":{}"},
        {"modalities", "\"modalities\":[\"audio\"]"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[512];
        snprintf(body, sizeof(body), "{" MESSAGES ",%s}", cases[i].json);
        struct answer_request r;
        struct err e = {0};
        size_t before = mem_live();
        assert_int_equal(parse(&r, body, &e), -1);
        assert_int_equal(mem_live(), before);
        if (!strstr(e.param, cases[i].param)) {
            fail_msg("%s: param \"%s\", message: %s", body, e.param, e.message);
        }
    }
}

static void a_wrong_message_is_refused_by_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *param;
        const char *messages;
    } cases[] = {
        {"messages", "3"},
        {"messages", "[]"},
        {"messages[0]", "[3]"},
        {"messages[0].role", "[{\"content\":\"a\"}]"},
        {"messages[0].role", "[{\"role\":\"root\",\"content\":\"a\"}]"},
        {"messages[1].content",
         "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":7}]"},
        {"messages[0].content", "[{\"role\":\"user\"}]"},
        {"messages[0].content", "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]"},
        {"messages[0].content", "[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]"},
        {"messages[0].content", "[{\"role\":\"user\",\"content\":[\"a\"]}]"},
        {"messages[0].tool_call_id", "[{\"role\":\"tool\",\"content\":\"a\"}]"},
        {"messages[0].tool_calls", "[{\"role\":\"assistant\",\"tool_calls\":{}}]"},
        {"messages[0].tool_calls[0].id", "[{\"role\":\"assistant\",\"tool_calls\":[{}]}]"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[512];
        snprintf(body, sizeof(body), "{\"messages\":%s}", cases[i].messages);
        struct answer_request r;
        struct err e = {0};
        assert_int_equal(parse(&r, body, &e), -1);
        assert_string_equal(e.param, cases[i].param);
    }
}

static void any_failing_allocation_is_told(void **state)
{
    (void)state;
    static const char body[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
        "\"text\":\"a\"}]}],\"stop\":[\"x\"]}";
    for (size_t nth = 1;; nth++) {
        struct answer_request r;
        struct err e = {0};
        size_t before = mem_live();
        mem_fail_at(nth);
        int rc = parse(&r, body, &e);
        bool reached = mem_fail_reached();
        mem_fail_at(0);
        if (!reached) {
            assert_int_equal(rc, 0);
            answer_request_deinit(&r);
            return;
        }
        assert_int_equal(rc, -1);
        assert_int_equal(e.kind, ERR_NOMEM);
        assert_int_equal(mem_live(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_absent_or_null_has_its_default),
        cmocka_unit_test(all_settings_arrive),
        cmocka_unit_test(parts_are_joined_and_developer_is_system),
        cmocka_unit_test(a_wrong_field_is_refused_by_name_and_leaks_nothing),
        cmocka_unit_test(a_wrong_message_is_refused_by_its_place),
        cmocka_unit_test(any_failing_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
