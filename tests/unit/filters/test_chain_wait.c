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

#include "filters/regex.h"
#include "filters/webhook.h"
#include "filters/webhook_answer.h"
#include "filters/webhook_batch.h"
#include "filters/wordlist.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "tests/unit/filters/outside_run.h"
#include "tests/unit/filters/toy_filters.h"

#define MAX_OPS 24

static size_t case_count = 4000;
static uint64_t first_seed = 11;

static const struct filter_type *const types[] = {
    &toy_swap, &toy_fail, &toy_chaos, &filter_wordlist, &filter_regex, &filter_webhook, NULL};

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

static size_t random_ops(struct rng *rng, struct outside_op ops[MAX_OPS])
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
        struct outside_op ops[MAX_OPS];
        size_t count = random_ops(&rng, ops);
        uint64_t seed = at_once_seed = rng_next(&rng);
        struct outside_run plain, other;
        outside_run_begin(&plain, plain_chain, AT_ONCE, &rng, rule, &seed);
        outside_run_ops(&plain, ops, count, TRACE_WHOLE);
        assert_int_equal(plain.outside.asked, 0);
        stops += plain.status == CHAIN_STOPPED;
        recorded += strstr(trace_string(&plain.events), "recorded") != NULL;
        for (int k = 0; k < 6; k++) {
            outside_run_begin(&other, chain, (enum outside_pace)(k % 3), &rng, rule, &seed);
            other.resumes_later = rng_below(&rng, 2) == 0;
            outside_run_ops(&other, ops, count, (enum trace_cuts)(rng_below(&rng, 3)));
            assert_string_equal(trace_string(&other.log), trace_string(&plain.log));
            assert_string_equal(trace_string(&other.events), trace_string(&plain.events));
            assert_int_equal(other.status, plain.status);
            asked += other.outside.asked;
            with_many += other.outside.asked > 5;
            outside_run_end(&other);
        }
        outside_run_end(&plain);
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
        struct outside_op ops[MAX_OPS];
        size_t count = random_ops(&rng, ops);
        uint64_t seed = rng_next(&rng);
        struct outside_run run;
        outside_run_begin(&run, chain, i % 2 ? AT_THE_END : NOW_AND_THEN, &rng, rule, &seed);
        for (size_t k = 0; k < count && run.status == CHAIN_GOES_ON; k++) {
            outside_run_feed(&run, &ops[k], TRACE_RANDOM);
        }
        struct fake_outside *o = &run.outside;
        chain_stream_destroy(run.stream);
        run.stream = NULL;
        taken_back += o->taken_back;
        outside_run_end(&run);
        chain_unref(chain);
    }
    assert_true(taken_back > 50);
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
        cmocka_unit_test(nothing_depends_on_when_answers_come),
        cmocka_unit_test(a_stream_may_be_destroyed_while_it_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
