/* anthropic_request.h and responses_request.h: messages that come in parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "models/output/tool_messages.h"
#include "runtime/api/anthropic_request.h"
#include "runtime/api/responses_request.h"
#include "runtime/base/buf.h"

typedef int parse_fn(struct answer_request *r, const char *body, size_t len, struct err *e);

/* `head`, n times `part` with commas between, `tail`. */
static int parse_parts(parse_fn *parse, struct answer_request *r, const char *head,
                       const char *part, int n, const char *tail, struct err *e)
{
    struct buf body;
    buf_init(&body, SIZE_MAX / 2);
    buf_append_str(&body, head);
    for (int i = 0; i < n; i++) {
        buf_append_str(&body, part);
        buf_append_str(&body, i + 1 < n ? "," : tail);
    }
    int rc = parse(r, body.data, body.len, e);
    buf_deinit(&body);
    return rc;
}

#define ANTHROPIC_HEAD "{\"max_tokens\":1,\"messages\":["
#define USER_HEAD      ANTHROPIC_HEAD "{\"role\":\"user\",\"content\":["
#define ASSISTANT_HEAD ANTHROPIC_HEAD "{\"role\":\"assistant\",\"content\":["
#define USE            "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{\"x\":1}}"
#define CALL \
    "{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\",\"arguments\":\"{}\"}"

static int count(const char *text, const char *part)
{
    int n = 0;
    while ((text = strstr(text, part)) != NULL) {
        text += strlen(part);
        n++;
    }
    return n;
}

/* When each block copied what came before it, these took 20 GB. */
static void many_blocks_of_text_are_joined_once(void **state)
{
    (void)state;
    enum { BLOCKS = 20000 };
    struct answer_request r;
    struct err e = {0};
    char text[101], block[160];
    memset(text, 'x', 100);
    text[100] = '\0';
    snprintf(block, sizeof(block), "{\"type\":\"text\",\"text\":\"%s\"}", text);
    assert_int_equal(
        parse_parts(anthropic_request_parse, &r, USER_HEAD, block, BLOCKS, "]}]}", &e), 0);
    assert_int_equal(r.n_messages, 1);
    assert_int_equal(r.messages[0].content_len, 100 * BLOCKS);
    assert_true(r.n_owned <= 1);
    answer_request_deinit(&r);
}

static void parts_of_all_kinds_make_one_message(void **state)
{
    (void)state;
    struct answer_request r;
    struct err e = {0};
    const char *body = ASSISTANT_HEAD
        "{\"type\":\"text\",\"text\":\"a\"}," USE ",{\"type\":\"text\",\"text\":\"b\"}," USE
        "]},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"},"
        "{\"type\":\"tool_result\",\"tool_use_id\":\"a\",\"content\":\"r\"},"
        "{\"type\":\"text\",\"text\":\"c\"},{\"type\":\"text\",\"text\":\"d\"}]}]}";
    assert_int_equal(anthropic_request_parse(&r, body, strlen(body), &e), 0);
    assert_int_equal(r.n_messages, 4);
    assert_string_equal(r.messages[0].content, "ab");
    assert_int_equal(count(r.messages[0].tool_calls, "\"arguments\""), 2);
    assert_string_equal(r.messages[1].content, "");
    assert_string_equal(r.messages[2].role, "tool");
    assert_string_equal(r.messages[3].content, "cd");
    assert_int_equal(r.messages[3].content_len, 2);
    answer_request_deinit(&r);
}

static void calls_of_one_message_are_bounded(void **state)
{
    (void)state;
    static const struct {
        parse_fn *parse;
        const char *head, *part, *tail;
    } cases[] = {
        {anthropic_request_parse, ASSISTANT_HEAD, USE, "]}]}"},
        {responses_request_parse, "{\"input\":[", CALL, "]}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct answer_request r;
        struct err e = {0};
        assert_int_equal(parse_parts(cases[i].parse, &r, cases[i].head, cases[i].part,
                                     TOOL_CALLS_MAX, cases[i].tail, &e),
                         0);
        assert_int_equal(r.n_messages, 1);
        assert_int_equal(count(r.messages[0].tool_calls, "\"arguments\""), TOOL_CALLS_MAX);
        answer_request_deinit(&r);
        assert_int_equal(parse_parts(cases[i].parse, &r, cases[i].head, cases[i].part,
                                     TOOL_CALLS_MAX + 1, cases[i].tail, &e),
                         -1);
        assert_non_null(strstr(e.message, "128 calls"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_blocks_of_text_are_joined_once),
        cmocka_unit_test(parts_of_all_kinds_make_one_message),
        cmocka_unit_test(calls_of_one_message_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
