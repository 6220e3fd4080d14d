/* server_metrics.h: what is counted of requests. With a server: tests/e2e/metrics.test.js. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "runtime/serve/request_record.h"
#include "runtime/serve/server_metrics.h"

#define VERSIONS (METRICS_OPEN_MAX + 8)

/* Their names are the owner's, and there are more of them with each publication. */
static void each_version_has_series_of_its_own(void **state)
{
    (void)state;
    struct err e = {0};
    struct metrics *m = server_metrics_create("test", &e);
    assert_non_null(m);
    for (int i = 0; i < VERSIONS; i++) {
        struct request_record r = {.operation = "chat",
                                   .outcome = "complete",
                                   .model = "a",
                                   .status = 200,
                                   .n_timed = 2,
                                   .received_ns = 1,
                                   .first_ns = 2,
                                   .last_ns = 3,
                                   .ended_ns = 4};
        snprintf(r.version, sizeof(r.version), "%d", i);
        snprintf(r.answered_by, sizeof(r.answered_by), "a@%d", i);
        server_metrics_note_request(m, &r);
        const char *const values[] = {"chat", "weir", "a", r.answered_by, ""};
        assert_int_equal(metrics_value(m, SERVER_METRIC_GEN_AI_DURATION, values), 1);
        assert_int_equal(metrics_value(m, SERVER_METRIC_GEN_AI_FIRST_TOKEN, values), 1);
        assert_int_equal(metrics_value(m, SERVER_METRIC_GEN_AI_TOKEN, values), 1);
    }
    assert_int_equal(metrics_series_count(m, SERVER_METRIC_GEN_AI_DURATION), VERSIONS);
    metrics_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_version_has_series_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
