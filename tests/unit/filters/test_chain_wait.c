/* Chains that wait for services outside: text, events, order and stops are the same however
 * long answers take, in whatever order they come, and however the text was cut.
 *
 *     test_chain_wait [CASES [SEED]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filters/chain_queue.h"
#include "filters/regex.h"
#include "filters/webhook.h"
#include "filters/webhook_answer.h"
#include "filters/webhook_batch.h"
#include "filters/wordlist.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "tests/unit/filters/fake_outside.h"
#include "tests/unit/filters/toy_filters.h"
#include "tests/unit/filters/trace.h"

#define MAX_OPS 24

static size_t case_count = 4000;
static uint64_t first_seed = 11;

static const struct filter_type *const types[] = {
    &toy_swap, &toy_fail, &toy_chaos, &filter_wordlist, &filter_regex, &filter_webhook, NULL};

/* ---- one run ---- */

/* A text, the end of one (text is ""), or something that goes around. */
struct op {
    enum filter_channel channel;
    bool around;
    char text[200];
};

/* When questions are answered. */
enum pace {
    AT_ONCE,      /* after each call, until none is left */
    NOW_AND_THEN, /* some, after some calls */
    AT_THE_END,
};

struct run {
    struct chain_stream *stream;
    struct fake_outside outside;
    struct rng *rng;
    enum pace pace;
    bool resumes_later; /* wake only takes note */
    bool woken;
    int channel; /* of the last bytes in the log; 9: they went around */
    struct buf log;
    struct buf events;
    int status;
};

static int log_bytes(struct run *run, int channel, const char *text, size_t len)
{
    assert_int_not_equal(run->status, CHAIN_STOPPED);
    if (run->channel != channel) {
        buf_printf(&run->log, "[%d]", channel);
        run->channel = channel;
    }
    return buf_append(&run->log, text, len);
}

static int emit(void *context, enum filter_channel channel, const char *text, size_t len)
{
    assert_true(len > 0 && utf8_is_valid(text, len));
    return log_bytes(context, (int)channel, text, len);
}

static int around(void *context, uint64_t tag, const char *bytes, size_t len)
{
    assert_int_equal(tag, 7);
    return log_bytes(context, 9, bytes, len);
}

static void resume(struct run *run)
{
    struct chain_sink sink = {.emit = emit, .around = around, .context = run};
    struct err e;
    int status = chain_resume(run->stream, &sink, &e);
    run->woken = false;
    run->status = status;
}

static void wake(void *ctx)
{
    struct run *run = ctx;
    run->woken = true;
    if (!run->resumes_later) {
        resume(run);
    }
}

static void answer_one(struct run *run)
{
    fake_outside_answer(&run->outside, rng_below(run->rng, (uint32_t)run->outside.count));
    if (run->woken) {
        resume(run);
    }
}

static void answer_all(struct run *run)
{
    while (run->outside.count > 0) {
        assert_true(chain_stream_is_waiting(run->stream));
        answer_one(run);
    }
}

static void after_call(struct run *run)
{
    if (run->pace == AT_ONCE) {
        answer_all(run);
    } else if (run->pace == NOW_AND_THEN) {
        uint32_t n = rng_below(run->rng, 4);
        while (n-- > 0 && run->outside.count > 0) {
            answer_one(run);
        }
    }
}

static size_t next_cut(const char *text, size_t at, size_t len, enum trace_cuts cuts,
                       struct rng *rng)
{
    size_t n = cuts == TRACE_WHOLE        ? len - at
               : cuts == TRACE_CHARACTERS ? 1
                                          : 1 + rng_below(rng, 9);
    n = n < len - at ? n : len - at;
    while (at + n < len && ((unsigned char)text[at + n] & 0xC0u) == 0x80u) {
        n++;
    }
    return at + n;
}

static void feed(struct run *run, const struct op *op, enum trace_cuts cuts)
{
    struct chain_sink sink = {.emit = emit, .around = around, .context = run};
    struct err e;
    size_t len = strlen(op->text);
    if (op->around) {
        run->status = chain_around(run->stream, 7, op->text, len, &sink, &e);
        after_call(run);
    } else if (len == 0) {
        run->status = chain_end_text(run->stream, op->channel, &sink, &e);
        after_call(run);
    }
    for (size_t at = 0; !op->around && at < len && run->status == CHAIN_GOES_ON;) {
        size_t end = next_cut(op->text, at, len, cuts, run->rng);
        run->status = chain_feed(run->stream, op->channel, op->text + at, end - at, &sink, &e);
        at = end;
        after_call(run);
    }
}

static void write_events(struct run *run)
{
    size_t count;
    bool truncated;
    const struct chain_event *events = chain_stream_events(run->stream, &count, &truncated);
    for (size_t i = 0; i < count; i++) {
        const struct chain_event *v = &events[i];
        buf_printf(&run->events, "%s%s %zu %d#%u %ju-%ju @%ju %s: %s\n",
                   v->is_recorded ? "recorded " : "", chain_event_name(v->kind), v->filter,
                   (int)v->channel, v->ordinal, (uintmax_t)v->from, (uintmax_t)v->to,
                   (uintmax_t)v->at, v->code, v->message);
    }
}

static void begin(struct run *run, struct chain *chain, enum pace pace, struct rng *rng,
                  uint32_t (*serve)(const struct fake_question *, char *, void *), void *ctx)
{
    *run = (struct run){.pace = pace, .rng = rng, .channel = -1};
    struct err e;
    run->stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    assert_non_null(run->stream);
    fake_outside_init(&run->outside, serve, ctx);
    chain_stream_set_outside(run->stream, &run->outside.face, wake, run);
    buf_init(&run->log, 1 << 24);
    buf_init(&run->events, 1 << 24);
}

static void end(struct run *run)
{
    chain_stream_destroy(run->stream);
    assert_int_equal(run->outside.count, 0); /* what was under way was taken back */
    buf_deinit(&run->log);
    buf_deinit(&run->events);
}

static void run_ops(struct run *run, const struct op *ops, size_t count, enum trace_cuts cuts)
{
    struct chain_sink sink = {.emit = emit, .around = around, .context = run};
    struct err e;
    for (size_t i = 0; i < count && run->status == CHAIN_GOES_ON; i++) {
        feed(run, &ops[i], cuts);
    }
    if (run->status == CHAIN_GOES_ON) {
        run->status = chain_finish(run->stream, &sink, &e);
    }
    answer_all(run);
    assert_false(chain_stream_is_waiting(run->stream));
    assert_int_equal(run->status == CHAIN_STOPPED, chain_stream_stop(run->stream) != NULL);
    assert_int_equal(run->outside.count, 0);
    write_events(run);
}

/* ---- the service ---- */

/* Rules by what it is asked alone, as every service is asked to. */
static uint32_t rule(const struct fake_question *q, char *out, void *ctx)
{
    const char *text = fake_question_text(q);
    size_t len = strcspn(text, "\"");
    struct rng rng;
    uint64_t seed = *(const uint64_t *)ctx;
    for (size_t i = 0; i < len; i++) {
        seed = seed * 31 + (unsigned char)text[i];
    }
    rng_seed(&rng, seed);
    size_t characters = 0;
    for (size_t i = 0; i < len; i++) {
        characters += ((unsigned char)text[i] & 0xC0u) != 0x80u;
    }
    uint32_t from = rng_below(&rng, (uint32_t)characters + 1);
    uint32_t to = from + rng_below(&rng, (uint32_t)characters - from + 1);
    switch (rng_below(&rng, 12)) {
    case 0:
        snprintf(out, FAKE_MAX_ANSWER, "{\"verdict\":\"stop\",\"code\":\"s\",\"from\":%u}",
                 from);
        break;
    case 1:
    case 2:
        snprintf(out, FAKE_MAX_ANSWER,
                 "{\"verdict\":\"replace\",\"text\":\"b. a\",\"from\":%u,\"to\":%u}", from, to);
        break;
    case 3:
        snprintf(out, FAKE_MAX_ANSWER, "{\"verdict\":\"note\",\"code\":\"n\"}");
        break;
    case 4:
        snprintf(out, FAKE_MAX_ANSWER,
                 "{\"verdicts\":[{\"verdict\":\"note\",\"to\":%u},{\"verdict\":\"replace\","
                 "\"text\":\"\",\"from\":%u,\"to\":%u}]}",
                 from, from, to);
        break;
    case 5:
        snprintf(out, FAKE_MAX_ANSWER, "hung up");
        return rng_below(&rng, 3) == 0 ? 0 : 500;
    default:
        snprintf(out, FAKE_MAX_ANSWER, "{\"verdict\":\"pass\"}");
    }
    return 200;
}

/* ---- the same filter without any waiting ---- */

/* Cuts and rules as the webhook does, at once: what a chain that never waits makes of a text.
 */
struct at_once {
    struct webhook_batch batch;
    uint64_t begin;
};

static uint64_t at_once_seed;

static int at_once_configure(void **config, const struct filter_value *values,
                             struct filter_error *error)
{
    (void)error;
    size_t *max = malloc(sizeof(*max));
    *max = values[3].choice == 0 ? 1024 : 0;
    *config = max;
    return 0;
}

static int at_once_open(void **filter, const void *config, const struct filter_text *text)
{
    (void)text;
    struct at_once *t = calloc(1, sizeof(*t));
    t->batch.max = *(const size_t *)config;
    *filter = t;
    return 0;
}

static int at_once_rule(struct at_once *t, uint64_t end, const struct filter_span *span,
                        struct filter_host *host)
{
    char out[FAKE_MAX_ANSWER], error[64];
    size_t len = (size_t)(end - t->begin);
    struct buf body;
    buf_init(&body, 100000);
    buf_append_str(&body, "\"text\":");
    json_append_string(&body, span->text, len);
    const struct fake_question q = {.body = body.data};
    uint32_t status = rule(&q, out, &at_once_seed);
    buf_deinit(&body);
    if (status != 200) {
        snprintf(error, sizeof(error), "the service answered %u", status);
        return (host->fail)(host, status ? error : out);
    }
    struct webhook_answer a;
    const char *problem;
    int rc = webhook_answer_read(&a, out, strlen(out), span->text, len, &problem);
    if (rc != 0) {
        webhook_answer_deinit(&a);
        return (host->fail)(host, problem);
    }
    bool stops = false;
    for (size_t i = 0; i < a.count && rc == 0; i++) {
        const struct webhook_verdict *v = &a.verdicts[i];
        struct filter_reason why = {.size = sizeof(why),
                                    .code = v->code,
                                    .message = v->message,
                                    .from = t->begin + v->from,
                                    .to = t->begin + v->to};
        stops = v->kind == WEBHOOK_STOP;
        rc = v->kind == WEBHOOK_PASS   ? host->pass(host, why.to)
             : v->kind == WEBHOOK_NOTE ? host->note(host, why.to, &why)
             : stops                   ? host->stop(host, why.from, &why)
             : host->pass(host, why.from) == 0
                 ? host->replace(host, why.to, v->text, strlen(v->text), &why)
                 : -1;
    }
    webhook_answer_deinit(&a);
    t->begin = end;
    return rc == 0 && !stops ? host->pass(host, end) : rc;
}

static int at_once_feed(void *filter, const struct filter_span *span, struct filter_host *host)
{
    struct at_once *t = filter;
    uint64_t cut;
    return webhook_batch_feed(&t->batch, span->text + span->fresh, span->len - span->fresh,
                              &cut)
               ? at_once_rule(t, cut, span, host)
               : 0;
}

static int at_once_finish(void *filter, const struct filter_span *span,
                          struct filter_host *host)
{
    struct at_once *t = filter;
    return t->batch.has_words ? at_once_rule(t, span->start + span->len, span, host) : 0;
}

static const char *const at_once_batches[] = {"sentence", "text", NULL};
static const struct filter_key at_once_keys[] = {
    {.name = "url", .kind = FILTER_KEY_STRING},
    {.name = "retries", .kind = FILTER_KEY_NUMBER},
    {.name = "breaker_failures", .kind = FILTER_KEY_NUMBER},
    {.name = "batch", .kind = FILTER_KEY_CHOICE, .choices = at_once_batches},
    {.name = NULL},
};

static const struct filter_type at_once = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "webhook",
    .sides = FILTER_OUTPUT,
    .keys = at_once_keys,
    .configure = at_once_configure,
    .release = free,
    .open = at_once_open,
    .feed = at_once_feed,
    .finish = at_once_finish,
    .close = free,
};

static const struct filter_type *const types_at_once[] = {
    &toy_swap, &toy_fail, &toy_chaos, &filter_wordlist, &filter_regex, &at_once, NULL};

/* ---- what holds ---- */

static size_t random_ops(struct rng *rng, struct op ops[MAX_OPS])
{
    /* The last ones are shown otherwise by the normalised view, or not at all. */
    static const char *const pieces[] = {
        "a", "b",     "ab",           " ",     ". ",           "a. b", "\n",
        "!", "&#97;", "\xE2\x80\x8B", "b.a.b", "\xEF\xAC\x81", "&",    "\xC3\xA9"};
    const uint32_t count_of_pieces = rng_below(rng, 2) ? 8 : 14;
    size_t count = 1 + rng_below(rng, MAX_OPS);
    for (size_t i = 0; i < count; i++) {
        ops[i].channel = (enum filter_channel)rng_below(rng, FILTER_CHANNELS);
        ops[i].around = rng_below(rng, 5) == 0;
        ops[i].text[0] = '\0';
        uint32_t length = rng_below(rng, 12);
        for (uint32_t k = 0; k < length; k++) {
            strcat(ops[i].text, pieces[rng_below(rng, count_of_pieces)]);
        }
        if (ops[i].around) {
            snprintf(ops[i].text, sizeof(ops[i].text), "<%zu>", i);
        }
    }
    return count;
}

/* What any filter may have, and whose combinations nobody thinks of. */
static const char *random_keys(struct rng *rng)
{
    static const char *const keys[] = {
        "",
        ",\"mode\":\"record\"",
        ",\"view\":\"normalised\"",
        ",\"mode\":\"record\",\"view\":\"normalised\"",
        ",\"channels\":[\"content\",\"tool_args\"]",
        ",\"channels\":[\"reasoning\"],\"mode\":\"record\"",
        ",\"channels\":[\"content\"],\"view\":\"normalised\"",
    };
    return keys[rng_below(rng, 2) * rng_below(rng, 7)];
}

static void add_filter(char *json, size_t room, struct rng *rng)
{
    size_t len = strlen(json);
    const char *fail = rng_below(rng, 3) ? "open" : "closed";
    const char *keys = random_keys(rng);
    switch (rng_below(rng, 6)) {
    case 0:
        snprintf(json + len, room - len, "{\"type\":\"chaos\",\"seed\":%u,\"fail\":\"%s\"%s}",
                 rng_below(rng, 1000000), fail, keys);
        break;
    case 1:
        snprintf(json + len, room - len,
                 "{\"type\":\"wordlist\",\"words\":[\"a b\",\"b. a\",\"bab\"],"
                 "\"action\":\"%s\"%s}",
                 rng_below(rng, 2) ? "replace" : "note", keys);
        break;
    case 2:
        snprintf(json + len, room - len,
                 "{\"type\":\"wordlist\",\"words\":[\"ab ab\"],\"action\":\"stop\"%s}", keys);
        break;
    default:
        snprintf(json + len, room - len,
                 "{\"type\":\"webhook\",\"url\":\"http://h/\",\"fail\":\"%s\","
                 "\"retries\":0,\"breaker_failures\":0,\"batch\":\"%s\"%s}",
                 fail, rng_below(rng, 5) ? "sentence" : "text", keys);
    }
}

/* *plain, unless it is NULL: the same one that does not wait. */
static struct chain *random_chain(struct rng *rng, struct chain **plain)
{
    char json[2048] = "{\"name\":\"t\",\"filters\":[";
    uint32_t filters = 1 + rng_below(rng, 4);
    for (uint32_t k = 0; k < filters; k++) {
        strcat(json, k ? "," : "");
        add_filter(json, sizeof(json), rng);
    }
    strcat(json, "]}");
    if (plain) {
        *plain = trace_chain(json, types_at_once);
    }
    return trace_chain(json, types);
}

static void nothing_depends_on_when_answers_come(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, first_seed);
    size_t stops = 0, asked = 0, with_many = 0, recorded = 0;
    for (size_t i = 0; i < case_count; i++) {
        struct chain *plain_chain;
        struct chain *chain = random_chain(&rng, &plain_chain);
        struct op ops[MAX_OPS];
        size_t count = random_ops(&rng, ops);
        uint64_t seed = at_once_seed = rng_next(&rng);
        struct run plain, other;
        begin(&plain, plain_chain, AT_ONCE, &rng, rule, &seed);
        run_ops(&plain, ops, count, TRACE_WHOLE);
        assert_int_equal(plain.outside.asked, 0);
        stops += plain.status == CHAIN_STOPPED;
        recorded += strstr(trace_string(&plain.events), "recorded") != NULL;
        for (int k = 0; k < 6; k++) {
            begin(&other, chain, (enum pace)(k % 3), &rng, rule, &seed);
            other.resumes_later = rng_below(&rng, 2) == 0;
            run_ops(&other, ops, count, (enum trace_cuts)(rng_below(&rng, 3)));
            assert_string_equal(trace_string(&other.log), trace_string(&plain.log));
            assert_string_equal(trace_string(&other.events), trace_string(&plain.events));
            assert_int_equal(other.status, plain.status);
            asked += other.outside.asked;
            with_many += other.outside.asked > 5;
            end(&other);
        }
        end(&plain);
        chain_unref(plain_chain);
        chain_unref(chain);
    }
    /* The script has some of all. */
    assert_true(stops > case_count / 20 && asked > case_count && with_many > case_count / 20 &&
                recorded > case_count / 20);
}

/* A stream may be let go at any moment: what is under way is taken back. */
static void a_stream_may_be_destroyed_while_it_waits(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 12);
    size_t taken_back = 0;
    for (int i = 0; i < 500; i++) {
        struct chain *chain = random_chain(&rng, NULL);
        struct op ops[MAX_OPS];
        size_t count = random_ops(&rng, ops);
        uint64_t seed = rng_next(&rng);
        struct run run;
        begin(&run, chain, i % 2 ? AT_THE_END : NOW_AND_THEN, &rng, rule, &seed);
        for (size_t k = 0; k < count && run.status == CHAIN_GOES_ON; k++) {
            feed(&run, &ops[k], TRACE_RANDOM);
        }
        struct fake_outside *o = &run.outside;
        chain_stream_destroy(run.stream);
        run.stream = NULL;
        taken_back += o->taken_back;
        end(&run);
        chain_unref(chain);
    }
    assert_true(taken_back > 50);
}

/* ---- single cases ---- */

#define HOOK "{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\",\"url\":\"http://h/\"}]}"

static uint32_t pass_all(const struct fake_question *q, char *out, void *ctx)
{
    (void)q, (void)ctx;
    strcpy(out, "{\"verdict\":\"pass\"}");
    return 200;
}

static int give(struct run *run, enum filter_channel channel, const char *text)
{
    struct chain_sink sink = {.emit = emit, .around = around, .context = run};
    struct err e;
    return chain_feed(run->stream, channel, text, strlen(text), &sink, &e);
}

static void nothing_leaves_before_it_was_ruled_on(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct chain *chain = trace_chain(HOOK, types);
    struct run run;
    begin(&run, chain, AT_THE_END, &rng, pass_all, NULL);
    struct chain_sink sink = {.emit = emit, .around = around, .context = &run};
    struct err e;
    give(&run, FILTER_CONTENT, "One. Two. Th");
    assert_true(chain_stream_is_waiting(run.stream));
    assert_int_equal(run.log.len, 0);
    give(&run, FILTER_REASONING, "hm");
    chain_around(run.stream, 7, "<x>", 3, &sink, &e);
    assert_int_equal(chain_stream_held(run.stream), strlen("One. Two. Th") + 2 + 3);
    answer_one(&run);
    assert_string_equal(trace_string(&run.log), "[0]One. ");
    assert_int_equal(chain_resume(run.stream, &sink, &e),
                     CHAIN_GOES_ON); /* too early: nothing */
    assert_string_equal(trace_string(&run.log), "[0]One. ");
    answer_one(&run);
    assert_string_equal(trace_string(&run.log), "[0]One. Two. [9]<x>");
    assert_false(chain_stream_is_waiting(run.stream));
    give(&run, FILTER_CONTENT, "ree.");
    assert_int_equal(chain_finish(run.stream, &sink, &e), CHAIN_GOES_ON);
    assert_true(chain_stream_is_waiting(run.stream));
    answer_one(&run);
    answer_one(&run);
    assert_string_equal(trace_string(&run.log), "[0]One. Two. [9]<x>[0]Three.[1]hm");
    assert_false(chain_stream_is_waiting(run.stream));
    assert_int_equal(give(&run, FILTER_CONTENT, "more"), -1);
    end(&run);
    chain_unref(chain);
}

static void a_stop_further_down_does_not_wait(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct chain *chain =
        trace_chain("{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\",\"url\":\"http://h/\"},"
                    "{\"type\":\"wordlist\",\"words\":[\"two\"]}]}",
                    types);
    struct run run;
    begin(&run, chain, AT_THE_END, &rng, pass_all, NULL);
    give(&run, FILTER_CONTENT, "One two. Three. Four");
    answer_one(&run);
    assert_int_equal(run.status, CHAIN_STOPPED);
    assert_string_equal(trace_string(&run.log), "[0]One ");
    assert_int_equal(run.outside.count, 0);
    end(&run);
    chain_unref(chain);
}

static void without_somebody_who_asks_the_filter_fails(void **state)
{
    (void)state;
    for (int open = 0; open < 2; open++) {
        char json[200];
        snprintf(json, sizeof(json),
                 "{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\",\"url\":\"http://h/\","
                 "\"fail\":\"%s\"}]}",
                 open ? "open" : "closed");
        struct chain *chain = trace_chain(json, types);
        struct trace trace;
        trace_run_text(&trace, chain, "One. Two.", TRACE_WHOLE, NULL);
        assert_string_equal(trace_string(&trace.text[0]), open ? "One. Two." : "");
        assert_non_null(strstr(trace_string(&trace.events),
                               "filter_failed: nothing is outside that could be asked here"));
        trace_deinit(&trace);
        chain_unref(chain);
    }
}

static void a_question_that_can_not_be_sent_is_a_failure(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct chain *chain = trace_chain(HOOK, types);
    struct run run;
    begin(&run, chain, AT_ONCE, &rng, pass_all, NULL);
    run.outside.refuse_at = 2;
    const struct op op = {.text = "One. Two. Three."};
    run_ops(&run, &op, 1, TRACE_WHOLE);
    assert_int_equal(run.status, CHAIN_STOPPED);
    assert_string_equal(trace_string(&run.log), "[0]One. ");
    assert_non_null(strstr(trace_string(&run.events), "could not be sent"));
    end(&run);
    chain_unref(chain);
}

static void what_gathers_is_bounded(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct chain *chain = trace_chain(HOOK, types);
    struct run run;
    begin(&run, chain, AT_THE_END, &rng, pass_all, NULL);
    static char text[100001];
    memset(text, 'x', sizeof(text) - 1);
    give(&run, FILTER_CONTENT, "One. ");
    int status = CHAIN_GOES_ON;
    size_t fed = 0;
    for (; status == CHAIN_GOES_ON && fed < 3 * CHAIN_MAX_FLOW; fed += sizeof(text) - 1) {
        status = give(&run, FILTER_CONTENT, text);
    }
    assert_int_equal(status, -1);
    assert_true(fed > CHAIN_MAX_FLOW - sizeof(text) && fed < CHAIN_MAX_FLOW + 2 * sizeof(text));
    assert_int_equal(run.outside.count, 0);
    assert_int_equal(give(&run, FILTER_CONTENT, "x"), -1);
    end(&run);

    begin(&run, chain, AT_THE_END, &rng, pass_all, NULL);
    struct chain_sink sink = {.emit = emit, .around = around, .context = &run};
    struct err e;
    give(&run, FILTER_CONTENT, "One. ");
    for (int i = 0; i < CHAIN_MAX_STEPS; i++) {
        assert_int_equal(chain_around(run.stream, 7, "", 0, &sink, &e), CHAIN_GOES_ON);
    }
    assert_int_equal(chain_around(run.stream, 7, "", 0, &sink, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    end(&run);
    chain_unref(chain);
}

/* Bounds are of what waits, not of all that ever did. */
static void a_queue_that_never_empties_does_not_fill_up(void **state)
{
    (void)state;
    size_t live = mem_live();
    struct chain_queue q;
    chain_queue_init(&q);
    static char bytes[CHAIN_MAX_FLOW];
    const struct chain_step around = {.kind = CHAIN_STEP_AROUND, .len = 100};
    const char *first;
    for (size_t i = 0; i < 2 * (size_t)CHAIN_MAX_STEPS; i++) {
        memset(bytes, (int)(i % 251), around.len);
        assert_int_equal(chain_queue_add(&q, &around, bytes), 0);
        if (i >= 3000) {
            assert_int_equal(chain_queue_first(&q, &first)->len, around.len);
            assert_int_equal((unsigned char)first[99], (i - 3000) % 251);
            chain_queue_drop(&q);
        }
    }
    assert_true(q.cap < 10000);
    chain_queue_deinit(&q);

    const struct chain_step most = {.kind = CHAIN_STEP_TEXT, .len = CHAIN_MAX_FLOW};
    assert_int_equal(chain_queue_add(&q, &most, bytes), 0);
    chain_queue_consume(&q, 1000);
    const struct chain_step more = {.kind = CHAIN_STEP_TEXT, .len = 1000};
    assert_int_equal(chain_queue_add(&q, &more, bytes), 0);
    const struct chain_step one = {.kind = CHAIN_STEP_TEXT, .len = 1};
    assert_int_equal(chain_queue_add(&q, &one, bytes), -1);
    assert_true(q.is_full);
    chain_queue_deinit(&q);
    assert_int_equal(mem_live(), live);
}

static void a_text_that_is_too_long_to_hold_is_a_failure(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct chain *chain =
        trace_chain("{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\",\"url\":\"http://h/\","
                    "\"batch\":\"text\"}]}",
                    types);
    struct run run;
    begin(&run, chain, AT_ONCE, &rng, pass_all, NULL);
    static char text[FILTER_MAX_HOLD + 2];
    memset(text, 'x', sizeof(text) - 1);
    assert_int_equal(give(&run, FILTER_CONTENT, text), CHAIN_STOPPED);
    assert_string_equal(chain_stream_stop(run.stream)->message, "it holds too much text");
    assert_int_equal(run.log.len, 0);
    end(&run);
    chain_unref(chain);
}

/* Each allocation in turn fails: nothing is lost, nothing is let out that should not be. */
static void expect_to_survive_lack_of_memory(const char *json, const char *log)
{
    struct rng rng;
    rng_seed(&rng, 5);
    struct chain *chain = trace_chain(json, types);
    struct op ops[] = {{.text = "One. Two. Three"},
                       {.around = true, .text = "<x>"},
                       {.channel = FILTER_REASONING, .text = "Hm. Ha."},
                       {.text = " four. Five."}};
    bool reached = true;
    for (size_t nth = 1; reached; nth++) {
        size_t live = mem_live();
        struct run run = {.pace = AT_THE_END, .rng = &rng, .channel = -1};
        struct err e;
        fake_outside_init(&run.outside, pass_all, NULL);
        buf_init(&run.log, 1 << 20);
        buf_init(&run.events, 1 << 20);
        mem_fail_at(nth);
        run.stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
        if (run.stream) {
            chain_stream_set_outside(run.stream, &run.outside.face, wake, &run);
            struct chain_sink sink = {.emit = emit, .around = around, .context = &run};
            for (size_t i = 0; i < 4 && run.status == CHAIN_GOES_ON; i++) {
                feed(&run, &ops[i], TRACE_WHOLE);
            }
            run.status =
                run.status == CHAIN_GOES_ON ? chain_finish(run.stream, &sink, &e) : run.status;
            while (run.outside.count > 0) {
                answer_one(&run);
            }
        }
        reached = mem_fail_reached();
        mem_fail_at(0);
        if (!reached) {
            assert_string_equal(trace_string(&run.log), log);
        }
        end(&run);
        assert_int_equal(mem_live(), live);
    }
    chain_unref(chain);
}

static void running_out_of_memory_ends_the_stream(void **state)
{
    (void)state;
    expect_to_survive_lack_of_memory(
        "{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\",\"url\":\"http://h/\"},"
        "{\"type\":\"wordlist\",\"words\":[\"Two\"],\"action\":\"mask\"}]}",
        "[0]One. ***. [9]<x>[1]Hm. [0]Three four. Five.[1]Ha.");
    expect_to_survive_lack_of_memory(
        "{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\",\"url\":\"http://h/\","
        "\"view\":\"normalised\"},{\"type\":\"wordlist\",\"words\":[\"Two\"],\"action\":"
        "\"mask\","
        "\"view\":\"normalised\"}]}",
        "[0]One. ***. [9]<x>[1]Hm. [0]Three four. Five.[1]Ha.");
    expect_to_survive_lack_of_memory(
        "{\"name\":\"t\",\"filters\":[{\"type\":\"webhook\",\"url\":\"http://h/\","
        "\"view\":\"normalised\",\"mode\":\"record\"},{\"type\":\"wordlist\",\"words\":["
        "\"Two\"],"
        "\"action\":\"mask\",\"mode\":\"record\"}]}",
        "[0]One. Two. Three[9]<x>[1]Hm. Ha.[0] four. Five.");
}

/* ---- types ---- */

static int asks(void *filter, const struct filter_span *span, struct filter_host *host)
{
    (void)filter;
    static const struct filter_question question = {
        .size = sizeof(question), .url = "http://h/", .body = "", .timeout_ms = 1};
    if (span->text[span->fresh] != '!') {
        return 0;
    }
    return host->ask(host, &question);
}

static int asks_and_passes(void *filter, const struct filter_span *span,
                           struct filter_host *host)
{
    asks(filter, span, host);
    return host->pass(host, span->start + span->len);
}

static int lets_pass(void *filter, const struct filter_span *span, struct filter_host *host,
                     const struct filter_answer *answer)
{
    (void)filter, (void)answer;
    return host->pass(host, span->start + span->len);
}

static void a_filter_that_asks_in_a_wrong_way_has_failed(void **state)
{
    (void)state;
    static const struct {
        struct filter_type type;
        const char *message;
    } cases[] = {
        {{.size = FILTER_TYPE_MIN_SIZE, .feed = asks, .answered = lets_pass},
         "wrong call: a question, and the type takes no answers"},
        {{.size = sizeof(struct filter_type), .feed = asks},
         "wrong call: a question, and the type takes no answers"},
        {{.size = sizeof(struct filter_type), .feed = asks_and_passes, .answered = lets_pass},
         "wrong call: nothing can be decided after a question"},
    };
    struct rng rng;
    rng_seed(&rng, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct filter_type type = cases[i].type;
        type.abi = FILTER_ABI;
        type.name = "asks";
        type.sides = FILTER_OUTPUT;
        const struct filter_type *const mine[] = {&type, NULL};
        struct chain *chain =
            trace_chain("{\"name\":\"t\",\"filters\":[{\"type\":\"asks\"}]}", mine);
        struct run run;
        begin(&run, chain, AT_ONCE, &rng, pass_all, NULL);
        assert_int_equal(give(&run, FILTER_CONTENT, "!"), CHAIN_STOPPED);
        assert_string_equal(chain_stream_stop(run.stream)->message, cases[i].message);
        assert_int_equal(run.outside.count, 0);
        assert_int_equal(run.log.len, 0);
        end(&run);
        chain_unref(chain);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        case_count = strtoull(argv[1], NULL, 10);
    }
    if (argc > 2) {
        first_seed = strtoull(argv[2], NULL, 10);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_leaves_before_it_was_ruled_on),
        cmocka_unit_test(nothing_depends_on_when_answers_come),
        cmocka_unit_test(a_stream_may_be_destroyed_while_it_waits),
        cmocka_unit_test(a_stop_further_down_does_not_wait),
        cmocka_unit_test(without_somebody_who_asks_the_filter_fails),
        cmocka_unit_test(a_question_that_can_not_be_sent_is_a_failure),
        cmocka_unit_test(what_gathers_is_bounded),
        cmocka_unit_test(a_queue_that_never_empties_does_not_fill_up),
        cmocka_unit_test(a_text_that_is_too_long_to_hold_is_a_failure),
        cmocka_unit_test(running_out_of_memory_ends_the_stream),
        cmocka_unit_test(a_filter_that_asks_in_a_wrong_way_has_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
