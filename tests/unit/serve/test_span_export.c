/* span_export.h: what holds without a collector. With one: tests/e2e/tracing.test.js. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <uv.h>

#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/serve/span_export.h"

#define NOBODY  "http://127.0.0.1:1" /* a port at which nobody listens */
#define THREADS 4
#define EACH    1000

static struct span_export *start(const char *endpoint, const char *headers)
{
    struct err e = {0};
    const struct span_settings set = {
        .endpoint = endpoint, .headers = headers, .service = "weir", .version = "1"};
    log_set_level(LOG_LEVEL_OFF);
    struct span_export *x = span_export_start(&set, &e);
    assert_non_null(x);
    return x;
}

static struct request_record record(void)
{
    struct request_record r = {.method = "GET", .route = "/", .status = 200, .outcome = ""};
    trace_context_begin(&r.trace);
    return r;
}

static void add_many(void *x)
{
    struct request_record r = record();
    for (int i = 0; i < EACH; i++) {
        span_export_add(x, &r);
    }
}

static void what_goes_beyond_the_queue_is_counted(void **state)
{
    (void)state;
    uv_thread_t threads[THREADS];
    struct span_export *x = start(NOBODY, NULL);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(uv_thread_create(&threads[i], add_many, x), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        uv_thread_join(&threads[i]);
    }
    struct span_stats s = span_export_stats(x);
    assert_int_equal(s.exported, 0);
    /* One batch may be on its way. */
    assert_true(s.waiting >= SPAN_QUEUE_MAX && s.waiting <= SPAN_QUEUE_MAX + SPAN_BATCH_MAX);
    assert_int_equal(s.waiting + s.dropped_full, THREADS * EACH);
    uint64_t begin = clock_now_ns();
    span_export_stop(x);
    assert_true(clock_now_ns() - begin < (uint64_t)(SPAN_STOP_MS + 8000) * 1000000);
}

static void one_without_work_ends_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        uint64_t begin = clock_now_ns();
        span_export_stop(start(NOBODY, "a=b,c=d=e"));
        assert_true(clock_now_ns() - begin < (uint64_t)SPAN_STOP_MS * 1000000);
    }
    span_export_stop(NULL);
}

static void assert_check(const char *endpoint, const char *headers, int wanted)
{
    struct err e = {0};
    const struct span_settings set = {.endpoint = endpoint, .headers = headers};
    if (span_settings_check(&set, &e) != wanted) {
        fail_msg("\"%s\", \"%s\": %s", endpoint, headers ? headers : "", e.message);
    }
    assert_true(wanted == 0 || strstr(e.message, "wanted") || strstr(e.message, "is none") ||
                strstr(e.message, "at most"));
}

static void settings_that_cannot_work_are_refused(void **state)
{
    (void)state;
    static const char *const good[] = {"http://a", "https://a:1/", "http://[::1]:4318",
                                       "http://a/otlp", "http://a/v1/traces"};
    static const char *const bad[] = {"",          "a",          "ftp://a",      "http://",
                                      "http:///x", "http://a b", "http://u:p@a", "http://a?b",
                                      "http://a#b"};
    static const char *const bad_headers[] = {
        "a", "=b", " =b", "a b=c", "a:b=c", "a=\x01", "a=b\nc", "a=b,,c=d",
        /* Percent-encoded: no digits, and what no header may have. */
        "a=%", "a=b%4", "a=%,c=d", "a=%4g", "a=%g4", "a=%00", "a=b%0D%0Ac:d", "a=%7f",
        /* More than SPAN_HEADERS_MAX of them. */
        "a=,a=,a=,a=,a=,a=,a=,a=,a=,a=,a=,a=,a=,a=,a=,a=,a="};
    static const char *const good_headers[] = {"a=b,c=",       "Authorization=Basic%20YTpi",
                                               "a=Basic YTpi", " a\t= b , c =\td ",
                                               "a=%2c%2C",     "a=%c3%a9=;+\"\\"};
    assert_check(NULL, "not looked at", 0);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_check(good[i], NULL, 0);
    }
    for (size_t i = 0; i < sizeof(good_headers) / sizeof(good_headers[0]); i++) {
        assert_check("http://a", good_headers[i], 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_check(bad[i], NULL, -1);
    }
    for (size_t i = 0; i < sizeof(bad_headers) / sizeof(bad_headers[0]); i++) {
        assert_check("http://a", bad_headers[i], -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_beyond_the_queue_is_counted),
        cmocka_unit_test(one_without_work_ends_at_once),
        cmocka_unit_test(settings_that_cannot_work_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
