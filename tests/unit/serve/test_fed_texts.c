/* fed_texts.h: what went into a chain, as it was before any filter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/serve/fed_texts.h"

static struct chain_stream *begin(struct fed_texts *t)
{
    static const char json[] =
        "{\"name\":\"a\",\"filters\":[{\"type\":\"wordlist\",\"words\":[\"bad\"],"
        "\"action\":\"replace\"},{\"type\":\"wordlist\",\"words\":[\"end\"]}]}";
    struct err e = {0};
    struct chain *c = chain_from_json(json, strlen(json), NULL, &e);
    struct chain_stream *s = chain_stream_create(c, FILTER_OUTPUT, &e);
    assert_non_null(s);
    chain_unref(c);
    *t = (struct fed_texts){0};
    fed_texts_listen(t, s);
    return s;
}

static int feed(struct chain_stream *s, enum filter_channel channel, const char *text)
{
    struct err e = {0};
    struct buf out;
    buf_init(&out, 1 << 20);
    struct chain_sink sink = chain_sink_buf(&out);
    int rc = chain_feed(s, channel, text, strlen(text), &sink, &e);
    buf_deinit(&out);
    return rc;
}

static void end_text(struct chain_stream *s, enum filter_channel channel)
{
    struct err e = {0};
    struct buf out;
    buf_init(&out, 1 << 20);
    struct chain_sink sink = chain_sink_buf(&out);
    chain_end_text(s, channel, &sink, &e);
    buf_deinit(&out);
}

static void each_text_is_kept_for_itself(void **state)
{
    (void)state;
    struct fed_texts t;
    struct chain_stream *s = begin(&t);
    feed(s, FILTER_REASONING, "thin");
    feed(s, FILTER_CONTENT, "a b");
    feed(s, FILTER_REASONING, "king");
    feed(s, FILTER_CONTENT, "ad one");
    end_text(s, FILTER_CONTENT);
    feed(s, FILTER_CONTENT, "second");
    assert_int_equal(t.n, 3);
    assert_string_equal(t.items[0].text.data, "thinking");
    assert_int_equal(t.items[0].channel, FILTER_REASONING);
    assert_string_equal(t.items[1].text.data, "a bad one");
    assert_int_equal(t.items[1].ordinal, 0);
    assert_string_equal(t.items[2].text.data, "second");
    assert_int_equal(t.items[2].ordinal, 1);
    chain_stream_destroy(s);
    fed_texts_deinit(&t);
}

static void behind_a_stop_nothing_is_kept(void **state)
{
    (void)state;
    struct fed_texts t;
    struct chain_stream *s = begin(&t);
    assert_int_equal(feed(s, FILTER_CONTENT, "the end "), CHAIN_STOPPED);
    assert_int_equal(feed(s, FILTER_CONTENT, "more"), CHAIN_STOPPED);
    assert_int_equal(t.n, 1);
    assert_string_equal(t.items[0].text.data, "the end ");
    chain_stream_destroy(s);
    fed_texts_deinit(&t);
}

static void texts_are_bounded(void **state)
{
    (void)state;
    struct fed_texts t;
    struct chain_stream *s = begin(&t);
    for (size_t i = 0; i < FINDING_TEXT_MAX / 6 + 10; i++) {
        feed(s, FILTER_CONTENT, "x\xe2\x82\xac ."); /* 6 bytes */
    }
    assert_int_equal(t.n, 1);
    assert_true(t.items[0].is_cut);
    assert_true(t.items[0].text.len <= FINDING_TEXT_MAX);
    assert_true(t.items[0].text.len + 4 > FINDING_TEXT_MAX);
    for (size_t i = 0; i < 2 * FED_TEXTS_MAX; i++) {
        end_text(s, FILTER_TOOL_ARGS);
        feed(s, FILTER_TOOL_ARGS, "a");
    }
    assert_int_equal(t.n, FED_TEXTS_MAX);
    chain_stream_destroy(s);
    fed_texts_deinit(&t);
}

static void without_memory_less_is_kept(void **state)
{
    (void)state;
    size_t live = mem_live();
    for (size_t nth = 1; nth < 6; nth++) {
        struct fed_texts t = {0};
        mem_fail_at(nth);
        fed_texts_add(&t, FILTER_CONTENT, 0, "abc", 3);
        fed_texts_add(&t, FILTER_CONTENT, 1, "abc", 3);
        mem_fail_at(0);
        for (size_t i = 0; i < t.n; i++) {
            assert_true(t.items[i].is_cut || t.items[i].text.len == 3);
        }
        fed_texts_deinit(&t);
    }
    assert_int_equal(mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text_is_kept_for_itself),
        cmocka_unit_test(behind_a_stop_nothing_is_kept),
        cmocka_unit_test(texts_are_bounded),
        cmocka_unit_test(without_memory_less_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
