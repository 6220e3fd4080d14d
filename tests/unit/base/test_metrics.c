/* metrics.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/metrics.h"
#include "runtime/base/utf8.h"

enum { VERDICTS, TEMPERATURE, HELD, BARE, N_FAMILIES };

static const double bounds[] = {1, 10.5, 1000};

static const struct metric_family families[N_FAMILIES] = {
    [VERDICTS] = {.name = "a_verdicts_total",
                  .kind = METRIC_COUNTER,
                  .help = "with a \\ and a\nline break",
                  .labels = "chain,code,side",
                  .open = "code"},
    [TEMPERATURE] = {.name = "a_temperature_celsius",
                     .kind = METRIC_GAUGE,
                     .help = "h",
                     .labels = "room"},
    [HELD] = {.name = "a_held_bytes",
              .kind = METRIC_HISTOGRAM,
              .help = "h",
              .labels = "chain",
              .bounds = bounds,
              .n_bounds = 3},
    [BARE] = {.name = "a_total", .kind = METRIC_COUNTER, .help = "h", .labels = ""},
};

static struct metrics *make(void)
{
    struct err e;
    struct metrics *m = metrics_create(families, N_FAMILIES, &e);
    assert_non_null(m);
    return m;
}

static void assert_text(const struct metrics *m, const char *wanted)
{
    struct buf out;
    buf_init(&out, (size_t)16 << 20);
    assert_int_equal(metrics_write(m, &out), 0);
    assert_string_equal(out.data ? out.data : "", wanted);
    buf_deinit(&out);
}

#define V(...) ((const char *const[]){__VA_ARGS__})

static void nothing_is_written_before_something_is_counted(void **state)
{
    (void)state;
    struct metrics *m = make();
    assert_text(m, "");
    assert_true(metrics_value(m, VERDICTS, V("a", "b", "c")) == 0.0);
    metrics_destroy(m);
    metrics_destroy(NULL);
}

static void the_text_is_as_the_format_says(void **state)
{
    (void)state;
    struct metrics *m = make();
    metrics_add(m, BARE, NULL, 3);
    metrics_add(m, VERDICTS, V("x", "email", "input"), 1);
    metrics_add(m, VERDICTS, V("x", "a\"b\\c\nd", "output"), 2);
    metrics_add(m, VERDICTS, V("x", "email", "input"), 41);
    metrics_add(m, VERDICTS, V("x", NULL, "input"), 0);
    metrics_set(m, TEMPERATURE,
                V("k\xc3\xbc"
                  "che"),
                21.25);
    metrics_set(m, TEMPERATURE,
                V("k\xc3\xbc"
                  "che"),
                -0.5);
    metrics_set(m, TEMPERATURE, V("nan"), (double)NAN);
    metrics_set(m, TEMPERATURE, V("hot"), (double)INFINITY);
    metrics_set(m, TEMPERATURE, V("cold"), -(double)INFINITY);
    metrics_set(m, TEMPERATURE, V("many"), 9007199254740991.0 / 16);
    metrics_set(m, TEMPERATURE, V("bad \xff"), 1);
    metrics_observe(m, HELD, V("x"), 0);
    metrics_observe(m, HELD, V("x"), 1);
    metrics_observe(m, HELD, V("x"), 1.5);
    metrics_observe(m, HELD, V("x"), 5000);
    assert_text(m, "# HELP a_verdicts_total with a \\\\ and a\\nline break\n"
                   "# TYPE a_verdicts_total counter\n"
                   "a_verdicts_total{chain=\"x\",code=\"email\",side=\"input\"} 42\n"
                   "a_verdicts_total{chain=\"x\",code=\"a\\\"b\\\\c\\nd\",side=\"output\"} 2\n"
                   "a_verdicts_total{chain=\"x\",code=\"\",side=\"input\"} 0\n"
                   "# HELP a_temperature_celsius h\n"
                   "# TYPE a_temperature_celsius gauge\n"
                   "a_temperature_celsius{room=\"k\xc3\xbc"
                   "che\"} -0.5\n"
                   "a_temperature_celsius{room=\"nan\"} NaN\n"
                   "a_temperature_celsius{room=\"hot\"} +Inf\n"
                   "a_temperature_celsius{room=\"cold\"} -Inf\n"
                   "a_temperature_celsius{room=\"many\"} 562949953421312\n"
                   "a_temperature_celsius{room=\"not UTF-8\"} 1\n"
                   "# HELP a_held_bytes h\n"
                   "# TYPE a_held_bytes histogram\n"
                   "a_held_bytes_bucket{chain=\"x\",le=\"1\"} 2\n"
                   "a_held_bytes_bucket{chain=\"x\",le=\"10.5\"} 3\n"
                   "a_held_bytes_bucket{chain=\"x\",le=\"1000\"} 3\n"
                   "a_held_bytes_bucket{chain=\"x\",le=\"+Inf\"} 4\n"
                   "a_held_bytes_sum{chain=\"x\"} 5002.5\n"
                   "a_held_bytes_count{chain=\"x\"} 4\n"
                   "# HELP a_total h\n"
                   "# TYPE a_total counter\n"
                   "a_total 3\n");
    assert_true(metrics_value(m, VERDICTS, V("x", "email", "input")) == 42.0);
    assert_true(metrics_value(m, HELD, V("x")) == 4.0);
    metrics_destroy(m);
}

static void values_are_not_joined_by_mistake(void **state)
{
    (void)state;
    struct metrics *m = make();
    metrics_add(m, VERDICTS, V("ab", "c", ""), 1);
    metrics_add(m, VERDICTS, V("a", "bc", ""), 2);
    metrics_add(m, VERDICTS, V("", "ab", "c"), 3);
    assert_int_equal(metrics_series_count(m, VERDICTS), 3);
    assert_true(metrics_value(m, VERDICTS, V("a", "bc", "")) == 2.0);
    metrics_destroy(m);
}

static void invented_codes_come_under_other(void **state)
{
    (void)state;
    struct metrics *m = make();
    char code[32];
    for (int i = 0; i < 100000; i++) {
        snprintf(code, sizeof(code), "code %d", i);
        metrics_add(m, VERDICTS, V("x", code, "input"), 1);
        metrics_add(m, VERDICTS, V("x", "email", "output"), 1);
    }
    assert_int_equal(metrics_series_count(m, VERDICTS), METRICS_OPEN_MAX + 2);
    assert_true(metrics_value(m, VERDICTS, V("x", METRICS_OTHER, "input")) ==
                100000.0 - METRICS_OPEN_MAX);
    assert_true(metrics_value(m, VERDICTS, V("x", "code 31", "input")) == 1.0);
    assert_true(metrics_value(m, VERDICTS, V("x", "code 32", "input")) == 0.0);
    assert_true(metrics_value(m, VERDICTS, V("x", "email", "output")) == 100000.0);
    metrics_destroy(m);
}

static void series_that_stand_still_make_room(void **state)
{
    (void)state;
    struct metrics *m = make();
    size_t live = mem_live();
    char room[32];
    for (int i = 0; i < 3 * METRICS_SERIES_MAX; i++) {
        snprintf(room, sizeof(room), "%d", i);
        metrics_set(m, TEMPERATURE, V(room), i);
        metrics_set(m, TEMPERATURE, V("0"), 7); /* changes all the time */
        size_t n = metrics_series_count(m, TEMPERATURE);
        assert_true(n <= METRICS_SERIES_MAX);
    }
    assert_true(metrics_value(m, TEMPERATURE, V("0")) == 7.0);
    assert_true(metrics_value(m, TEMPERATURE, V("1")) == 0.0);
    snprintf(room, sizeof(room), "%d", 2 * METRICS_SERIES_MAX + 1);
    assert_true(metrics_value(m, TEMPERATURE, V(room)) == 2 * METRICS_SERIES_MAX + 1);
    assert_true(mem_live() > live);
    metrics_destroy(m);
}

static void a_gauge_can_be_cleared(void **state)
{
    (void)state;
    struct metrics *m = make();
    metrics_set(m, TEMPERATURE, V("hall"), 20);
    metrics_set(m, TEMPERATURE, V("cellar"), 12);
    metrics_add(m, BARE, NULL, 1);
    metrics_clear(m, TEMPERATURE);
    assert_int_equal(metrics_series_count(m, TEMPERATURE), 0);
    assert_true(metrics_value(m, BARE, NULL) == 1.0);
    metrics_clear(m, TEMPERATURE);
    metrics_set(m, TEMPERATURE, V("cellar"), 13);
    assert_int_equal(metrics_series_count(m, TEMPERATURE), 1);
    assert_true(metrics_value(m, TEMPERATURE, V("cellar")) == 13.0);
    assert_true(metrics_value(m, TEMPERATURE, V("hall")) == 0.0);
    metrics_destroy(m);
}

static void a_long_value_is_cut_between_characters(void **state)
{
    (void)state;
    struct metrics *m = make();
    struct buf out;
    char room[4 * METRICS_VALUE_MAX];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(room, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof(room); i += 3) {
            memcpy(room + i, "\xe2\x82\xac", 4);
        }
        metrics_set(m, TEMPERATURE, V(room), 1);
    }
    assert_int_equal(metrics_series_count(m, TEMPERATURE), 3);
    buf_init(&out, (size_t)1 << 20);
    assert_int_equal(metrics_write(m, &out), 0);
    assert_true(utf8_is_valid(out.data, out.len));
    assert_null(strstr(out.data, "not UTF-8"));
    assert_true(out.len < 4 * (size_t)METRICS_VALUE_MAX + 400);
    buf_deinit(&out);
    metrics_destroy(m);
}

static void without_memory_nothing_is_counted_and_nothing_breaks(void **state)
{
    (void)state;
    size_t live = mem_live();
    for (size_t nth = 1; nth < 20; nth++) {
        struct metrics *m = make();
        metrics_add(m, VERDICTS, V("a", "b", "c"), 1);
        mem_fail_at(nth);
        metrics_add(m, VERDICTS, V("a", "b", "c"), 1);
        metrics_add(m, VERDICTS, V("a", "new", "c"), 1);
        metrics_observe(m, HELD, V("a"), 1);
        mem_fail_at(0);
        assert_true(metrics_value(m, VERDICTS, V("a", "b", "c")) == 2.0);
        metrics_add(m, VERDICTS, V("a", "new", "c"), 1);
        assert_true(metrics_value(m, VERDICTS, V("a", "new", "c")) >= 1.0);
        metrics_destroy(m);
    }
    assert_int_equal(mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_written_before_something_is_counted),
        cmocka_unit_test(the_text_is_as_the_format_says),
        cmocka_unit_test(values_are_not_joined_by_mistake),
        cmocka_unit_test(invented_codes_come_under_other),
        cmocka_unit_test(series_that_stand_still_make_room),
        cmocka_unit_test(a_gauge_can_be_cleared),
        cmocka_unit_test(a_long_value_is_cut_between_characters),
        cmocka_unit_test(without_memory_nothing_is_counted_and_nothing_breaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
