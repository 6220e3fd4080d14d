/* call_arguments.h: filters see the values of strings, clients get JSON, however it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/serve/call_arguments.h"
#include "tests/unit/filters/fake_outside.h"

/* What leaves. */
struct result {
    struct buf out;
    struct call_arguments_writer writer;
};

static int take(void *context, enum filter_channel channel, const char *text, size_t len)
{
    struct result *r = context;
    assert_int_equal(channel, FILTER_TOOL_ARGS);
    return call_arguments_emit(&r->writer, &r->out, text, len);
}

static int take_json(void *context, uint64_t tag, const char *bytes, size_t len)
{
    struct result *r = context;
    assert_true(tag < CALL_ARGUMENTS_TAGS);
    return call_arguments_around(&r->writer, &r->out, tag, bytes, len);
}

static void result_init(struct result *r)
{
    buf_init(&r->out, SIZE_MAX / 2);
    call_arguments_writer_init(&r->writer);
}

static void result_deinit(struct result *r)
{
    buf_deinit(&r->out);
    call_arguments_writer_deinit(&r->writer);
}

static struct chain *make_chain(const char *json)
{
    struct err e = {0};
    struct chain *chain = chain_from_json(json, strlen(json), NULL, &e);
    assert_non_null(chain);
    return chain;
}

/* Feeds the text in pieces of whole characters, without rng in one; the result is the caller's.
 */
static char *run(struct chain *chain, const char *text, struct rng *rng, int *verdict)
{
    struct err e = {0};
    struct call_arguments c = {0};
    struct result r;
    result_init(&r);
    const struct chain_sink sink = {.emit = take, .around = take_json, .context = &r};
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    assert_non_null(stream);
    size_t len = strlen(text);
    *verdict = CHAIN_GOES_ON;
    for (size_t at = 0; at < len && *verdict == CHAIN_GOES_ON;) {
        size_t n = rng ? 1 + rng_below(rng, 12) : len;
        n = n < len - at ? n : len - at;
        while (at + n < len && ((unsigned char)text[at + n] & 0xC0) == 0x80) {
            n++;
        }
        *verdict = call_arguments_feed(&c, text + at, n, stream, &sink, &e);
        at += n;
    }
    chain_stream_destroy(stream);
    char *out = buf_take(&r.out, NULL);
    result_deinit(&r);
    assert_non_null(out);
    return out;
}

#define REPLACE                                                                  \
    "{\"name\":\"t\",\"filters\":[{\"type\":\"wordlist\",\"words\":[\"heron\"]," \
    "\"action\":\"replace\",\"replacement\":\"a \\\"b\\\"\\n\"}]}"

static void values_are_filtered_and_json_is_left(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"{}", "{}"},
        {"{\"a\": 1.5e3, \"b\" : [true,null]}", "{\"a\": 1.5e3, \"b\" : [true,null]}"},
        {"{\"a\":\"heron\"}", "{\"a\":\"a \\\"b\\\"\\n\"}"},
        {"{\"a\":\"h\\u0065ron\"}", "{\"a\":\"a \\\"b\\\"\\n\"}"},
        {"{\"heron\":\"x\"}", "{\"a \\\"b\\\"\\n\":\"x\"}"},
        /* Two strings are two texts. */
        {"[\"he\",\"ron\"]", "[\"he\",\"ron\"]"},
        {"{\"a\":\"\\ud83d\\ude42 \\/ \\\\ \xE2\x82\xAC\"}",
         "{\"a\":\"\xF0\x9F\x99\x82 / \\\\ \xE2\x82\xAC\"}"},
        /* What no text may hold is replaced. */
        {"[\"a\\u0000b\"]", "[\"a\xEF\xBF\xBD"
                            "b\"]"},
        {"[\"\\ud83d\"]", "[\"\xEF\xBF\xBD\"]"},
        {"[\"\\ude42heron\"]", "[\"\xEF\xBF\xBD"
                               "a \\\"b\\\"\\n\"]"},
        {"[\"\\ud83dx\",\"\\ud83d\\n\"]", "[\"\xEF\xBF\xBDx\",\"\xEF\xBF\xBD\\n\"]"},
        {"[\"\\ud83d\\u20ac\"]", "[\"\xEF\xBF\xBD\xE2\x82\xAC\"]"},
        {"[\"\\ud83d\\u0000\"]", "[\"\xEF\xBF\xBD\xEF\xBF\xBD\"]"},
        {"[\"\\ud83d\\ud83d\\ude42\"]", "[\"\xEF\xBF\xBD\xF0\x9F\x99\x82\"]"},
        {"{\"\\ud83d\":1}", "{\"\xEF\xBF\xBD\":1}"},
    };
    struct chain *chain = make_chain(REPLACE);
    struct rng rng;
    rng_seed(&rng, 7);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int cut = 0; cut < 20; cut++) {
            int verdict;
            char *out = run(chain, cases[i].in, cut ? &rng : NULL, &verdict);
            assert_int_equal(verdict, CHAIN_GOES_ON);
            assert_string_equal(out, cases[i].out);
            mem_free(out);
        }
    }
    chain_unref(chain);
}

static void a_long_string_without_ascii_is_cut_between_characters(void **state)
{
    (void)state;
    struct chain *chain = make_chain(REPLACE);
    char text[4096] = "[\"";
    while (strlen(text) < 4000) {
        strcat(text, "\xF0\x9F\x99\x82\xE2\x82\xAC");
    }
    strcat(text, "\"]");
    int verdict;
    char *out = run(chain, text, NULL, &verdict);
    assert_string_equal(out, text);
    mem_free(out);
    struct rng rng;
    rng_seed(&rng, 8);
    out = run(chain, text, &rng, &verdict);
    assert_string_equal(out, text);
    mem_free(out);
    chain_unref(chain);
}

/* The text that is decoded at a time is at its longest where such a character ends it. */
static void replaced_escapes_are_cut_anywhere(void **state)
{
    (void)state;
    struct chain *chain = make_chain(REPLACE);
    for (int before = 500; before < 520; before++) {
        char text[1024] = "[\"", wanted[1024] = "[\"";
        memset(text + 2, 'x', (size_t)before);
        memset(wanted + 2, 'x', (size_t)before);
        strcat(text, "\\ud83d\\ud83d\xF0\x9F\x99\x82\\ud83d\"]");
        strcat(wanted, "\xEF\xBF\xBD\xEF\xBF\xBD\xF0\x9F\x99\x82\xEF\xBF\xBD\"]");
        int verdict;
        char *out = run(chain, text, NULL, &verdict);
        assert_int_equal(verdict, CHAIN_GOES_ON);
        assert_string_equal(out, wanted);
        mem_free(out);
    }
    chain_unref(chain);
}

/* One that no filter touches stays as it was written, another becomes a string. */
static void numbers_are_filtered_too(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"[4111111111111111]", "[\"[card]\"]"},
        {"{\"card\": 4111111111111111, \"n\": -1.50e+3}",
         "{\"card\": \"[card]\", \"n\": -1.50e+3}"},
        {"{\"n\":4111111111111112,\"x\":[0,1e5,\"2\"]}",
         "{\"n\":4111111111111112,\"x\":[0,1e5,\"2\"]}"},
    };
    struct chain *chain = make_chain("{\"name\":\"t\",\"filters\":[{\"type\":\"pii\"}]}");
    struct rng rng;
    rng_seed(&rng, 8);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int cut = 0; cut < 20; cut++) {
            int verdict;
            char *out = run(chain, cases[i].in, cut ? &rng : NULL, &verdict);
            assert_int_equal(verdict, CHAIN_GOES_ON);
            assert_string_equal(out, cases[i].out);
            mem_free(out);
        }
    }
    chain_unref(chain);
}

static void a_stop_ends_it_before_the_match(void **state)
{
    (void)state;
    struct chain *chain = make_chain("{\"name\":\"t\",\"filters\":[{\"type\":\"wordlist\","
                                     "\"words\":[\"heron\"],\"action\":\"stop\"}]}");
    struct rng rng;
    rng_seed(&rng, 9);
    for (int i = 0; i < 20; i++) {
        int verdict;
        char *out = run(chain, "{\"a\":\"grey \\u0068eron there\"}", &rng, &verdict);
        assert_int_equal(verdict, CHAIN_STOPPED);
        assert_string_equal(out, "{\"a\":\"grey ");
        mem_free(out);
    }
    chain_unref(chain);
}

static void what_is_no_json_is_an_error(void **state)
{
    (void)state;
    static const char *const texts[] = {"{\"a\":\"\\x\"}", "[1,]", "{\"a\" 1}"};
    struct chain *chain = make_chain(REPLACE);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int verdict;
        mem_free(run(chain, texts[i], NULL, &verdict));
        assert_int_equal(verdict, -1);
    }
    chain_unref(chain);
}

/* ---- filters that wait ---- */

/* A service that puts something in place of one word. */
static uint32_t replace_heron(const struct fake_question *q, char *out, void *ctx)
{
    (void)ctx;
    bool found = strncmp(fake_question_text(q), "heron\"", 6) == 0;
    strcpy(out, found ? "{\"verdict\":\"replace\",\"text\":\"a \\\"b\\\"\\n\"}"
                      : "{\"verdict\":\"pass\"}");
    return 200;
}

struct waiting {
    struct chain_stream *stream;
    struct chain_sink sink;
    int verdict;
};

static void resume(void *ctx)
{
    struct waiting *w = ctx;
    struct err e = {0};
    w->verdict = chain_resume(w->stream, &w->sink, &e);
}

static void the_json_between_strings_waits_in_its_place(void **state)
{
    (void)state;
    static const char in[] =
        "{\"x\":\"heron\",\"heron\" : [1,\"\",\"heron\", null],\"y\":\"z\"}";
    static const char wanted[] =
        "{\"x\":\"a \\\"b\\\"\\n\",\"a \\\"b\\\"\\n\" : [1,\"\",\"a \\\"b\\\"\\n\", "
        "null],\"y\":\"z\"}";
    struct chain *chain = make_chain("{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\","
                                     "\"url\":\"http://h/\"}]}");
    struct rng rng;
    rng_seed(&rng, 10);
    for (int i = 0; i < 300; i++) {
        struct err e = {0};
        struct result r;
        struct call_arguments c = {0};
        struct fake_outside outside;
        struct waiting w = {.sink = {.emit = take, .around = take_json, .context = &r}};
        result_init(&r);
        fake_outside_init(&outside, replace_heron, NULL);
        w.stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
        chain_stream_set_outside(w.stream, &outside.face, resume, &w);
        for (size_t at = 0, n; at < strlen(in); at += n) {
            n = 1 + rng_below(&rng, 12);
            n = n < strlen(in) - at ? n : strlen(in) - at;
            assert_int_equal(call_arguments_feed(&c, in + at, n, w.stream, &w.sink, &e),
                             CHAIN_GOES_ON);
            /* Whatever has come out is the beginning of the whole. */
            assert_memory_equal(r.out.data ? r.out.data : "", wanted, r.out.len);
            while (outside.count > 0 && rng_below(&rng, 3) == 0) {
                fake_outside_answer(&outside, 0);
            }
        }
        while (outside.count > 0) {
            fake_outside_answer(&outside, 0);
        }
        assert_int_equal(w.verdict, CHAIN_GOES_ON);
        assert_int_equal(outside.asked, 7);
        assert_string_equal(r.out.data, wanted);
        chain_stream_destroy(w.stream);
        result_deinit(&r);
    }
    chain_unref(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_filtered_and_json_is_left),
        cmocka_unit_test(a_long_string_without_ascii_is_cut_between_characters),
        cmocka_unit_test(replaced_escapes_are_cut_anywhere),
        cmocka_unit_test(numbers_are_filtered_too),
        cmocka_unit_test(a_stop_ends_it_before_the_match),
        cmocka_unit_test(what_is_no_json_is_an_error),
        cmocka_unit_test(the_json_between_strings_waits_in_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
