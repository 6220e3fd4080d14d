/* The filter "webhook": settings, pieces, questions, answers, tries, and the service that keeps
 * failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filters/webhook_batch.h"
#include "filters/webhook_breaker.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "tests/unit/filters/fake_outside.h"
#include "tests/unit/filters/single.h"

#define URL "\"type\":\"webhook\",\"url\":\"https://h.example/rule\""

/* ---- a service that says what the test tells it to ---- */

struct script {
    const char *answers[8]; /* "200 {...}", "0 why"; the last goes on for ever */
    size_t next;
    struct buf asked; /* texts, each between | */
    char last_body[1024];
    char headers[256];
    uint32_t delays[8];
};

static uint32_t play(const struct fake_question *q, char *out, void *ctx)
{
    struct script *s = ctx;
    struct err e;
    cJSON *root = json_parse(q->body, strlen(q->body), &e);
    assert_non_null(root);
    buf_printf(&s->asked, "%s|",
               cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "text")));
    cJSON_Delete(root);
    snprintf(s->last_body, sizeof(s->last_body), "%s", q->body);
    snprintf(s->headers, sizeof(s->headers), "%s", q->headers);
    size_t n = s->next < 8 ? s->next : 7;
    s->delays[n] = q->delay_ms;
    s->next++;
    const char *answer = NULL;
    for (size_t i = 0; i <= n && s->answers[i]; i++) {
        answer = s->answers[i];
    }
    assert_non_null(answer);
    const char *body = strchr(answer, ' ');
    snprintf(out, FAKE_MAX_ANSWER, "%s", body + 1);
    return (uint32_t)atoi(answer);
}

struct outcome {
    struct buf text;
    char events[2048];
    int status;
};

static void resume_later(void *ctx)
{
    *(bool *)ctx = true;
}

/* One text through the chain, whole or by characters. */
static void run(struct chain *chain, const char *text, bool whole, struct script *s,
                struct outcome *o)
{
    struct fake_outside outside;
    struct err e;
    bool woken = false;
    *o = (struct outcome){0};
    buf_init(&o->text, 1 << 20);
    buf_init(&s->asked, 1 << 20);
    s->next = 0;
    fake_outside_init(&outside, play, s);
    struct chain_sink sink = chain_sink_buf(&o->text);
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    chain_stream_set_outside(stream, &outside.face, resume_later, &woken);
    size_t len = strlen(text);
    for (size_t at = 0, n; at < len; at += n) {
        n = whole ? len : 1;
        while (at + n < len && ((unsigned char)text[at + n] & 0xC0u) == 0x80u) {
            n++;
        }
        o->status = chain_feed(stream, FILTER_CONTENT, text + at, n, &sink, &e);
    }
    if (o->status == CHAIN_GOES_ON) {
        o->status = chain_finish(stream, &sink, &e);
    }
    while (outside.count > 0) {
        fake_outside_answer(&outside, 0);
        o->status = chain_resume(stream, &sink, &e);
    }
    assert_false(chain_stream_is_waiting(stream));
    size_t count, at = 0;
    const struct chain_event *v = chain_stream_events(stream, &count, NULL);
    for (size_t i = 0; i < count && at < sizeof(o->events); i++) {
        at +=
            (size_t)snprintf(o->events + at, sizeof(o->events) - at, "%s %ju-%ju @%ju %s: %s\n",
                             chain_event_name(v[i].kind), (uintmax_t)v[i].from,
                             (uintmax_t)v[i].to, (uintmax_t)v[i].at, v[i].code, v[i].message);
    }
    chain_stream_destroy(stream);
}

static void forget(struct script *s, struct outcome *o)
{
    buf_deinit(&s->asked);
    buf_deinit(&o->text);
}

/* ---- settings ---- */

static void settings_are_checked_by_name(void **state)
{
    (void)state;
    single_expect_refused("\"type\":\"webhook\"", "filters[0].url: is missing");
    static const char *const urls[] = {"",
                                       "h.example",
                                       "file:///etc/passwd",
                                       "gopher://h/",
                                       "http://",
                                       "http:///x",
                                       "http://user:pw@h/",
                                       "http://h/#x",
                                       "http://h/a b",
                                       "http://h/\\u00e9",
                                       "http://h/\\r\\nX: y"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        char settings[200];
        snprintf(settings, sizeof(settings), "\"type\":\"webhook\",\"url\":\"%s\"", urls[i]);
        single_expect_refused(settings, "filters[0].url: ");
    }
    static const char *const headers[] = {"X",
                                          "X:y",
                                          ": y",
                                          "X Y: z",
                                          "X: a\\r\\nB: c",
                                          "Content-Length: 3",
                                          "content-type: x/y",
                                          "Transfer-Encoding: chunked",
                                          "X: \\u00e9"};
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        char settings[200];
        snprintf(settings, sizeof(settings), URL ",\"headers\":[\"A: b\",\"%s\"]", headers[i]);
        single_expect_refused(settings, "filters[0].headers[1]: must be \"Name: value\"");
    }
    single_expect_refused(URL ",\"timeout_ms\":49",
                          "timeout_ms: must be a whole number from 50");
    single_expect_refused(URL ",\"timeout_ms\":30001", "timeout_ms: ");
    single_expect_refused(URL ",\"retries\":6", "retries: must be a whole number from 0 to 5");
    single_expect_refused(URL ",\"batch\":\"word\"", "batch: \"word\" is not one of");
    single_expect_refused(URL ",\"max_batch_bytes\":63", "max_batch_bytes: ");
    single_expect_refused(URL ",\"batch\":\"text\",\"max_batch_bytes\":64",
                          "max_batch_bytes: has no effect");
    single_expect_refused(URL ",\"breaker_seconds\":0", "breaker_seconds: ");
    single_expect_refused(URL ",\"ca_file\":\"x\"", "ca_file: ");
}

static void secrets_of_headers_are_in_no_message(void **state)
{
    (void)state;
    char json[] = "{\"name\":\"t\",\"filters\":[{" URL ",\"headers\":[\"Authorization: "
                  "hush\\u0001\"]}]}";
    struct err e;
    assert_null(chain_from_json(json, strlen(json), NULL, &e));
    assert_null(strstr(e.message, "hush"));
}

/* ---- pieces ---- */

static void expect_pieces(size_t max, const char *text, const char *wanted)
{
    struct webhook_batch b = {.max = max};
    char got[4096] = "";
    size_t len = strlen(text), at = 0;
    uint64_t begin = 0, cut;
    while (at < len) {
        size_t n = 1;
        while (at + n < len && ((unsigned char)text[at + n] & 0xC0u) == 0x80u) {
            n++;
        }
        if (webhook_batch_feed(&b, text + at, n, &cut)) {
            assert_true(cut > begin && cut <= at + n && cut - begin <= max);
            snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s|", (int)(cut - begin),
                     text + begin);
            begin = cut;
        }
        at += n;
    }
    snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s", text + begin);
    assert_string_equal(got, wanted);
    bool has_words = strspn(text + begin, " \n") < len - begin;
    assert_int_equal(b.has_words, has_words);
}

static void pieces_are_sentences_lines_or_as_much_as_fits(void **state)
{
    (void)state;
    static const struct {
        const char *text, *pieces;
    } cases[] = {
        {"", ""},
        {"One", "One"},
        {"One. Two! Three? Four", "One. |Two! |Three? |Four"},
        {"He said \"no.\" Then left.", "He said \"no.\" |Then left."},
        {"Pi is 3.14 or so. v1.2.3 is out", "Pi is 3.14 or so. |v1.2.3 is out"},
        {"Wait... what", "Wait... |what"},
        {"a\nb\n\nc", "a\n|b\n|\nc"},
        {"  \n \n. x", "  \n \n. |x"},
        {"\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82\xE5\xA5\xBD",
         "\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82|\xE5\xA5\xBD"},
        {"End.  ", "End. | "},
        {"(Really?) *Yes.* ok", "(Really?) |*Yes.* |ok"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_pieces(1024, cases[i].text, cases[i].pieces);
    }
    expect_pieces(10, "aaa bbb ccc ddd", "aaa bbb |ccc ddd");
    expect_pieces(4, "abcdefghij", "abcd|efgh|ij");
    expect_pieces(4, "abcd efgh", "abcd| |efgh");
    expect_pieces(4, "ab. cd. e", "ab. |cd. |e");
    expect_pieces(5, "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9", "\xC3\xA9\xC3\xA9|\xC3\xA9\xC3\xA9");
    expect_pieces(4, "      a", "    |  a");
}

/* ---- questions ---- */

static void a_question_says_where_the_text_stands(void **state)
{
    (void)state;
    struct chain *chain = trace_chain("{\"name\":\"my\",\"version\":7,\"filters\":["
                                      "{\"type\":\"wordlist\",\"words\":[\"q\"]},{" URL
                                      ",\"headers\":[\"A: b\",\"C: d\"]}]}",
                                      NULL);
    struct script s = {.answers = {"200 {\"verdict\":\"pass\"}"}};
    struct outcome o;
    run(chain, "One. \"Two\" \xC3\xA9", true, &s, &o);
    assert_string_equal(
        s.last_body,
        "{\"chain\":\"my\",\"version\":7,\"filter\":1,\"side\":\"output\",\"channel\":"
        "\"content\","
        "\"ordinal\":0,\"offset\":5,\"ended\":true,\"text\":\"\\u0022Two\\u0022 \xC3\xA9\"}");
    assert_string_equal(s.headers, "A: b|C: d|");
    assert_string_equal(trace_string(&s.asked), "One. |\"Two\" \xC3\xA9|");
    assert_string_equal(trace_string(&o.text), "One. \"Two\" \xC3\xA9");
    forget(&s, &o);
    /* Blanks alone are nobody's business. */
    run(chain, "One.  \n ", false, &s, &o);
    assert_string_equal(trace_string(&s.asked), "One. |");
    assert_string_equal(trace_string(&o.text), "One.  \n ");
    forget(&s, &o);
    chain_unref(chain);
}

/* ---- answers ---- */

static void expect_answer(const char *answer, const char *text, const char *events)
{
    struct chain *chain = single_chain(URL ",\"retries\":0,\"breaker_failures\":0");
    char first[2048];
    snprintf(first, sizeof(first), "200 %s", answer);
    for (int whole = 0; whole < 2; whole++) {
        struct script s = {
            .answers = {"200 {\"verdict\":\"pass\"}", first, "200 {\"verdict\":\"pass\"}"}};
        struct outcome o;
        run(chain, "One. \xC3\xA9t\xC3\xA9 two. Three", whole, &s, &o);
        assert_string_equal(trace_string(&o.text), text);
        assert_string_equal(o.events, events);
        forget(&s, &o);
    }
    chain_unref(chain);
}

#define ALL "One. \xC3\xA9t\xC3\xA9 two. Three"

static void answers_are_obeyed(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *text, *events;
    } cases[] = {
        {"{\"verdict\":\"pass\"}", ALL, ""},
        {"{\"verdict\":\"pass\",\"why\":[1,{}]}", ALL, ""},
        {"{\"verdicts\":[]}", ALL, ""},
        {"{\"verdict\":\"note\",\"code\":\"rude/x\",\"message\":\"m\"}", ALL,
         "note 5-16 @16 rude/x: m\n"},
        {"{\"verdict\":\"note\",\"code\":null,\"from\":4,\"to\":7}", ALL,
         "note 11-14 @14 webhook: \n"},
        {"{\"verdict\":\"replace\",\"text\":\"\"}", "One. Three",
         "replace 5-16 @5 webhook: \n"},
        {"{\"verdict\":\"replace\",\"text\":\"x \\u00e9. \",\"code\":\"c\"}",
         "One. x \xC3\xA9. Three", "replace 5-16 @5 c: \n"},
        {"{\"verdict\":\"replace\",\"text\":\"E\",\"from\":2,\"to\":3}",
         "One. \xC3\xA9tE two. Three", "replace 8-10 @8 webhook: \n"},
        {"{\"verdict\":\"replace\",\"text\":\"<\",\"from\":9,\"to\":9}",
         "One. \xC3\xA9t\xC3\xA9 two. <Three", "replace 16-16 @16 webhook: \n"},
        {"{\"verdict\":\"stop\",\"code\":\"no\",\"message\":\"enough\"}", "One. ",
         "stop 5-16 @5 no: enough\n"},
        {"{\"verdict\":\"stop\",\"from\":3}", "One. \xC3\xA9t\xC3\xA9",
         "stop 10-16 @10 webhook: \n"},
        {"{\"verdicts\":[{\"verdict\":\"replace\",\"from\":0,\"to\":1,\"text\":\"e\"},"
         "{\"verdict\":\"note\",\"to\":2},{\"verdict\":\"pass\",\"to\":2},"
         "{\"verdict\":\"stop\",\"from\":4}]}",
         "One. et\xC3\xA9 ",
         "replace 5-7 @5 webhook: \nnote 7-8 @7 webhook: \nstop 11-16 @10 webhook: \n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_answer(cases[i].answer, cases[i].text, cases[i].events);
    }
}

static void an_answer_that_is_none_is_a_failure(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *message;
    } cases[] = {
        {"", "its answer is no JSON object"},
        {"ok", "its answer is no JSON object"},
        {"[]", "its answer is no JSON object"},
        {"{\"verdict\":\"pass\"", "its answer is no JSON object"},
        {"{\"verdict\":\"pass\"}{}", "its answer is no JSON object"},
        {"{}", "its answer has no \"verdict\" that is known"},
        {"{\"verdict\":\"allow\"}", "its answer has no \"verdict\" that is known"},
        {"{\"verdict\":1}", "its answer has no \"verdict\" that is known"},
        {"{\"verdicts\":[1]}", "its answer has no \"verdict\" that is known"},
        {"{\"verdicts\":{}}", "its answer has no \"verdict\" that is known"},
        {"{\"verdict\":\"replace\"}", "its answer replaces text and lacks \"text\""},
        {"{\"verdict\":\"replace\",\"text\":3}", "its answer replaces text and lacks \"text\""},
        {"{\"verdict\":\"note\",\"code\":\"a b\"}",
         "its answer has a \"code\" or \"message\" that is none"},
        {"{\"verdict\":\"note\",\"code\":\"\"}",
         "its answer has a \"code\" or \"message\" that is none"},
        {"{\"verdict\":\"note\",\"message\":3}",
         "its answer has a \"code\" or \"message\" that is none"},
#define PLACE "its answer has a \"from\" or \"to\" outside of the text, or out of order"
        {"{\"verdict\":\"note\",\"from\":10}", PLACE},
        {"{\"verdict\":\"note\",\"to\":10}", PLACE},
        {"{\"verdict\":\"note\",\"from\":3,\"to\":2}", PLACE},
        {"{\"verdict\":\"note\",\"from\":-1}", PLACE},
        {"{\"verdict\":\"note\",\"from\":1.5}", PLACE},
        {"{\"verdict\":\"note\",\"from\":1e300}", PLACE},
        {"{\"verdict\":\"note\",\"from\":\"1\"}", PLACE},
        {"{\"verdicts\":[{\"verdict\":\"note\",\"to\":5},{\"verdict\":\"pass\",\"from\":4}]}",
         PLACE},
        {"{\"verdicts\":[{\"verdict\":\"stop\",\"to\":5},{\"verdict\":\"pass\"}]}",
         "its answer goes on after \"stop\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char events[256];
        snprintf(events, sizeof(events), "fail 5-5 @5 filter_failed: %s\n", cases[i].message);
        /* Nothing of the list has been applied. */
        expect_answer(cases[i].answer, "One. ", events);
    }
}

static void too_many_verdicts_are_a_failure(void **state)
{
    (void)state;
    struct chain *chain = single_chain(URL);
    static char answer[FAKE_MAX_ANSWER] = "200 {\"verdicts\":[1";
    for (int i = 0; i < 1024; i++) {
        strcat(answer, ",1");
    }
    strcat(answer, "]}");
    struct script s = {.answers = {answer}};
    struct outcome o;
    run(chain, "One.", true, &s, &o);
    assert_string_equal(o.events,
                        "fail 0-0 @0 filter_failed: its answer has too many verdicts\n");
    forget(&s, &o);
    chain_unref(chain);
}

/* Longer than one call of replace takes. */
static void a_long_replacement_is_one_change(void **state)
{
    (void)state;
    struct chain *chain = single_chain(URL);
    static char answer[FAKE_MAX_ANSWER], wanted[FAKE_MAX_ANSWER];
    strcpy(answer, "200 {\"verdict\":\"replace\",\"text\":\"");
    size_t head = strlen(answer);
    memset(wanted, 'x', 17);
    for (size_t i = 0; i < 1300; i++) {
        strcat(wanted, "\xE2\x82\xAC");
    }
    strcat(answer, wanted);
    strcat(answer, "\"}");
    assert_true(strlen(wanted) < FAKE_MAX_ANSWER - head);
    struct script s = {.answers = {answer}};
    struct outcome o;
    run(chain, "One.", true, &s, &o);
    assert_string_equal(trace_string(&o.text), wanted);
    assert_string_equal(o.events, "replace 0-4 @0 webhook: \n");
    forget(&s, &o);
    chain_unref(chain);
}

/* ---- failures ---- */

static void what_may_pass_is_tried_again(void **state)
{
    (void)state;
    static const struct {
        const char *answers[8];
        size_t asked;
        const char *text, *events;
    } cases[] = {
        {{"0 hung up", "503 x", "200 {\"verdict\":\"pass\"}"}, 3, "One.", ""},
        {{"429 x", "200 {\"verdict\":\"pass\"}"}, 2, "One.", ""},
        {{"0 gave no answer"}, 3, "", "fail 0-0 @0 filter_failed: gave no answer (3 tries)\n"},
        {{"500 x"}, 3, "", "fail 0-0 @0 filter_failed: the service answered 500 (3 tries)\n"},
        {{"404 x"}, 1, "", "fail 0-0 @0 filter_failed: the service answered 404\n"},
        {{"302 x"}, 1, "", "fail 0-0 @0 filter_failed: the service answered 302\n"},
        {{"204 "}, 1, "", "fail 0-0 @0 filter_failed: the service answered 204\n"},
    };
    struct chain *chain = single_chain(URL ",\"retries\":2,\"breaker_failures\":0");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct script s = {0};
        memcpy(s.answers, cases[i].answers, sizeof(s.answers));
        struct outcome o;
        run(chain, "One.", true, &s, &o);
        assert_int_equal(s.next, cases[i].asked);
        assert_string_equal(trace_string(&o.text), cases[i].text);
        assert_string_equal(o.events, cases[i].events);
        assert_int_equal(s.delays[0], 0);
        assert_int_equal(s.delays[1], cases[i].asked > 1 ? 100 : 0);
        assert_int_equal(s.delays[2], cases[i].asked > 2 ? 200 : 0);
        forget(&s, &o);
    }
    chain_unref(chain);
}

static void a_failure_that_is_open_lets_the_rest_of_the_text_pass(void **state)
{
    (void)state;
    struct chain *chain = single_chain(URL ",\"retries\":0,\"fail\":\"open\"");
    struct script s = {.answers = {"200 {\"verdict\":\"pass\"}", "0 hung up"}};
    struct outcome o;
    run(chain, "One. Two. Three.", true, &s, &o);
    assert_string_equal(trace_string(&o.text), "One. Two. Three.");
    assert_string_equal(o.events, "fail 5-5 @5 filter_failed: hung up\n");
    assert_int_equal(s.next, 2);
    forget(&s, &o);
    chain_unref(chain);
}

static void a_service_that_keeps_failing_is_not_asked(void **state)
{
    (void)state;
    struct chain *chain =
        single_chain(URL ",\"retries\":0,\"breaker_failures\":2,\"breaker_seconds\":3600");
    struct script s = {.answers = {"0 hung up"}};
    struct outcome o;
    for (int i = 0; i < 2; i++) {
        run(chain, "One.", true, &s, &o);
        assert_int_equal(s.next, 1);
        forget(&s, &o);
    }
    run(chain, "One.", true, &s, &o);
    assert_int_equal(s.next, 0);
    assert_string_equal(o.events,
                        "fail 0-0 @0 filter_failed: the service failed too often and is "
                        "not asked for now\n");
    forget(&s, &o);
    chain_unref(chain);

    /* What opens it is not tried again. */
    chain = single_chain(URL ",\"retries\":5,\"breaker_failures\":2,\"breaker_seconds\":3600");
    run(chain, "One.", true, &s, &o);
    assert_int_equal(s.next, 2);
    assert_string_equal(o.events, "fail 0-0 @0 filter_failed: hung up (2 tries)\n");
    forget(&s, &o);
    chain_unref(chain);
}

static void the_breaker_lets_one_trial_through(void **state)
{
    (void)state;
    struct webhook_breaker b = {.limit = 2, .pause_ns = 100};
    assert_int_equal(webhook_breaker_admit(&b, 0), WEBHOOK_ASK);
    assert_false(webhook_breaker_failed(&b, 0));
    webhook_breaker_succeeded(&b); /* not in a row */
    assert_false(webhook_breaker_failed(&b, 5));
    assert_int_equal(webhook_breaker_admit(&b, 6), WEBHOOK_ASK);
    assert_true(webhook_breaker_failed(&b, 10));
    assert_int_equal(webhook_breaker_admit(&b, 10), WEBHOOK_REFUSE);
    assert_int_equal(webhook_breaker_admit(&b, 109), WEBHOOK_REFUSE);
    assert_int_equal(webhook_breaker_admit(&b, 110), WEBHOOK_TRY);
    assert_int_equal(webhook_breaker_admit(&b, 111), WEBHOOK_REFUSE);
    assert_false(webhook_breaker_failed(&b, 150)); /* said once */
    assert_int_equal(webhook_breaker_admit(&b, 249), WEBHOOK_REFUSE);
    assert_int_equal(webhook_breaker_admit(&b, 250), WEBHOOK_TRY);
    webhook_breaker_give_up_trial(&b, 260);
    assert_int_equal(webhook_breaker_admit(&b, 260), WEBHOOK_TRY);
    webhook_breaker_succeeded(&b);
    assert_int_equal(webhook_breaker_admit(&b, 261), WEBHOOK_ASK);
    assert_false(webhook_breaker_failed(&b, 262));
    struct webhook_breaker never = {.limit = 0};
    for (int i = 0; i < 100; i++) {
        assert_false(webhook_breaker_failed(&never, 0));
        assert_int_equal(webhook_breaker_admit(&never, 0), WEBHOOK_ASK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_checked_by_name),
        cmocka_unit_test(secrets_of_headers_are_in_no_message),
        cmocka_unit_test(pieces_are_sentences_lines_or_as_much_as_fits),
        cmocka_unit_test(a_question_says_where_the_text_stands),
        cmocka_unit_test(answers_are_obeyed),
        cmocka_unit_test(an_answer_that_is_none_is_a_failure),
        cmocka_unit_test(too_many_verdicts_are_a_failure),
        cmocka_unit_test(a_long_replacement_is_one_change),
        cmocka_unit_test(what_may_pass_is_tried_again),
        cmocka_unit_test(a_failure_that_is_open_lets_the_rest_of_the_text_pass),
        cmocka_unit_test(a_service_that_keeps_failing_is_not_asked),
        cmocka_unit_test(the_breaker_lets_one_trial_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
