/* feedback_counts.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/serve/feedback_counts.h"
#include "runtime/serve/server.h"
#include "runtime/serve/server_metrics.h"

/* While it was stored, newer answers have come. */
static void what_was_stored_counts_also_when_the_answer_is_forgotten(void **state)
{
    (void)state;
    static struct server s;
    struct err e = {0};
    s.metrics = server_metrics_create("test", &e);
    struct answer_memory *memory = answer_memory_create(1, NULL, NULL);
    const struct feedback f = {.answer = "gone",
                               .model = "tiny@3",
                               .thumb = -1,
                               .over = "gone too",
                               .correction = (char *)"better"};
    feedback_count(&s, memory, &f, 0);
    static const char *const kinds[] = {"up", "down", "correction", "preferred"};
    for (int i = 0; i < 4; i++) {
        const char *values[] = {"tiny", "3", kinds[i]};
        assert_int_equal((int)metrics_value(s.metrics, SERVER_METRIC_FEEDBACK, values), i > 0);
    }
    answer_memory_destroy(memory);
    metrics_destroy(s.metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_stored_counts_also_when_the_answer_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
