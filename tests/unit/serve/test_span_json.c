/* span_json.h and filter_hold.h: what becomes of times and texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/serve/filter_hold.h"
#include "runtime/serve/span_json.h"

static const struct span_source source = {"weir \"x\"", "1.0", "abc"};

static struct request_record record(void)
{
    struct request_record r = {.method = "POST",
                               .route = "/v1/completions",
                               .status = 200,
                               .outcome = "complete",
                               .operation = "text_completion",
                               .model = "tiny",
                               .finish = "stop",
                               .received_ns = 1000,
                               .submitted_ns = 1100,
                               .started_ns = 1300,
                               .first_ns = 2000,
                               .last_ns = 2500,
                               .ended_ns = 2600,
                               .begin_unix_ns = 1700000000000000000};
    trace_context_begin(&r.trace);
    snprintf(r.id, sizeof(r.id), "a\"\\b\xff");
    return r;
}

/* The spans of that document. */
static cJSON *spans_of(const struct request_record *records, size_t n, cJSON **document)
{
    struct buf out;
    struct err e;
    buf_init(&out, SIZE_MAX / 2);
    assert_int_equal(span_json_append(&out, &source, records, n), 0);
    *document = json_parse(out.data, out.len, &e);
    buf_deinit(&out);
    assert_non_null(*document);
    cJSON *all = cJSON_GetArrayItem(cJSON_GetObjectItem(*document, "resourceSpans"), 0);
    cJSON *scope = cJSON_GetArrayItem(cJSON_GetObjectItem(all, "scopeSpans"), 0);
    return cJSON_GetObjectItem(scope, "spans");
}

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
}

static const char *attribute(const cJSON *span, const char *key, const char *kind)
{
    const cJSON *a;
    cJSON_ArrayForEach(a, cJSON_GetObjectItem(span, "attributes"))
    {
        if (strcmp(text_of(a, "key"), key) == 0) {
            return text_of(cJSON_GetObjectItem(a, "value"), kind);
        }
    }
    return NULL;
}

static void an_answer_is_a_span_with_its_stages(void **state)
{
    (void)state;
    cJSON *document;
    struct request_record r = record();
    cJSON *spans = spans_of(&r, 1, &document);
    static const char *const names[] = {"text_completion tiny", "queue", "prefill", "decode"};
    static const char *const ends[] = {"1700000000000001600", "1700000000000000300",
                                       "1700000000000001000", "1700000000000001500"};
    assert_int_equal(cJSON_GetArraySize(spans), 4);
    for (int i = 0; i < 4; i++) {
        const cJSON *span = cJSON_GetArrayItem(spans, i);
        assert_string_equal(text_of(span, "name"), names[i]);
        assert_string_equal(text_of(span, "traceId"), r.trace.trace);
        assert_string_equal(text_of(span, "endTimeUnixNano"), ends[i]);
        assert_string_equal(i ? text_of(span, "parentSpanId") : text_of(span, "spanId"),
                            r.trace.span);
    }
    const cJSON *first = cJSON_GetArrayItem(spans, 0);
    assert_null(text_of(first, "parentSpanId"));
    assert_string_equal(attribute(first, "weir.request_id", "stringValue"), "a\"\\b");
    assert_string_equal(attribute(first, "http.response.status_code", "intValue"), "200");
    assert_null(cJSON_GetObjectItem(first, "status"));
    cJSON_Delete(document);
}

static void what_never_happened_has_no_span(void **state)
{
    (void)state;
    cJSON *document;
    struct request_record r[2] = {record(), record()};
    r[0].first_ns = r[0].last_ns = 0; /* it failed while its prompt was read */
    r[0].status = 503;
    r[0].outcome = "failed";
    r[1].operation = NULL;
    r[1].submitted_ns = r[1].started_ns = r[1].first_ns = r[1].last_ns = 0;
    memcpy(r[1].caller, "00f067aa0ba902b7", sizeof(r[1].caller));
    cJSON *spans = spans_of(r, 2, &document);
    assert_int_equal(cJSON_GetArraySize(spans), 3);
    const cJSON *failed = cJSON_GetArrayItem(spans, 0);
    assert_string_equal(attribute(failed, "error.type", "stringValue"), "503");
    assert_non_null(cJSON_GetObjectItem(failed, "status"));
    assert_string_equal(text_of(cJSON_GetArrayItem(spans, 1), "name"), "queue");
    const cJSON *plain = cJSON_GetArrayItem(spans, 2);
    assert_string_equal(text_of(plain, "name"), "POST /v1/completions");
    assert_string_equal(text_of(plain, "parentSpanId"), "00f067aa0ba902b7");
    assert_null(attribute(plain, "gen_ai.operation.name", "stringValue"));
    cJSON_Delete(document);
}

static void no_requests_are_a_document_too(void **state)
{
    (void)state;
    cJSON *document;
    assert_int_equal(cJSON_GetArraySize(spans_of(NULL, 0, &document)), 0);
    cJSON_Delete(document);
}

static void a_document_that_does_not_fit_is_an_error(void **state)
{
    (void)state;
    struct buf out;
    struct request_record r = record();
    buf_init(&out, 500);
    assert_int_equal(span_json_append(&out, &source, &r, 1), -1);
    buf_deinit(&out);
}

static void held_text_is_timed_until_nothing_older_is_held(void **state)
{
    (void)state;
    struct filter_hold h = {0};
    filter_hold_look(&h, 0, 10, 100); /* all passed */
    assert_int_equal(h.longest_ns, 0);
    filter_hold_look(&h, 4, 10, 200); /* a tail of it stays */
    filter_hold_look(&h, 8, 4, 300);  /* and is still among what stays */
    filter_hold_look(&h, 3, 5, 450);  /* now all that is held is new */
    assert_int_equal(h.longest_ns, 250);
    filter_hold_look(&h, 0, 0, 500);
    assert_int_equal(h.longest_ns, 250);
    assert_int_equal(h.bytes, 8);
    filter_hold_look(&h, 1, 1, 1000);
    filter_hold_look(&h, 0, 0, 2000);
    assert_int_equal(h.longest_ns, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_a_span_with_its_stages),
        cmocka_unit_test(what_never_happened_has_no_span),
        cmocka_unit_test(no_requests_are_a_document_too),
        cmocka_unit_test(a_document_that_does_not_fit_is_an_error),
        cmocka_unit_test(held_text_is_timed_until_nothing_older_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
