/* drift_desk.h over a file: what is stored, and when, and what is made of what was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/serve/drift_desk.h"
#include "runtime/serve/server_metrics.h"
#include "tests/unit/registry/store_fixture.h"

#define WINDOW   50
#define BASELINE 100

static struct store_folder folder;

struct fixture {
    uv_loop_t loop;
    struct metrics *metrics;
    struct drift_desk *desk;
};

static int set_up(void **state)
{
    (void)state;
    store_folder_make(&folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_folder_remove(&folder);
    return 0;
}

static void begin(struct fixture *f)
{
    struct err e = {0};
    struct drift_desk_settings set = {.path = folder.file, .test = drift_settings_default()};
    set.test.window = WINDOW;
    set.test.baseline = BASELINE;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->metrics = server_metrics_create("test", &e);
    f->desk = drift_desk_start(&f->loop, &set, f->metrics, &e);
    assert_non_null(f->desk);
    assert_int_equal(drift_desk_load(f->desk, &e), 0);
}

/* Until nothing is being stored. */
static void store(struct fixture *f)
{
    while (drift_desk_is_storing(f->desk)) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static void end(struct fixture *f)
{
    drift_desk_stop(f->desk);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    drift_desk_save(f->desk);
    drift_desk_destroy(f->desk);
    metrics_destroy(f->metrics);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static struct drift_key key(int version)
{
    struct drift_key k = {.model = "tiny", .hashes = "ab-cd", .prompt = "shop@3"};
    snprintf(k.version, sizeof(k.version), "%d", version);
    return k;
}

static void answer(struct fixture *f, int version, int n)
{
    const struct drift_key k = key(version);
    const struct answer_seen a = {.tokens = 5, .entropy = 1};
    for (int i = 0; i < n; i++) {
        assert_int_not_equal(drift_desk_note(f->desk, &k, &a).series, 0);
    }
}

/* What the admin sees, as it is parsed; version "": of all. */
static cJSON *list(struct fixture *f, const char *name, const char *version)
{
    struct buf out;
    struct err e = {0};
    struct drift_asked asked = {0};
    snprintf(asked.version, sizeof(asked.version), "%s", version);
    buf_init(&out, 16 << 20);
    int rc = strcmp(name, "series") == 0
                 ? drift_desk_list(f->desk, &asked, false, &out)
                 : drift_desk_list_alerts(f->desk, &asked, 0, DRIFT_ALERTS_MAX, &out);
    assert_int_equal(rc, 0);
    cJSON *root = json_parse_object(out.data, out.len, &e);
    if (!root) {
        fail_msg("%s: %s", e.message, out.data);
    }
    buf_deinit(&out);
    cJSON *items = cJSON_DetachItemFromObjectCaseSensitive(root, name);
    cJSON_Delete(root);
    return items;
}

/* Of the baseline of the one series of this version; -1: there is none. */
static int baseline_answers(struct fixture *f, const char *version)
{
    cJSON *items = list(f, "series", version);
    const cJSON *baseline = cJSON_GetObjectItem(cJSON_GetArrayItem(items, 0), "baseline");
    int n = baseline ? cJSON_GetObjectItem(baseline, "answers")->valueint : -1;
    cJSON_Delete(items);
    return n;
}

struct taking {
    int n, failed;
};

static void on_taken(void *ctx, uint64_t series, const struct err *e)
{
    struct taking *t = ctx;
    (void)series;
    t->n++;
    t->failed += e != NULL;
}

static void take(struct fixture *f, int version, enum drift_take how, const char *by,
                 struct taking *t)
{
    struct err e = {0};
    struct drift_asked asked = {0};
    snprintf(asked.version, sizeof(asked.version), "%d", version);
    if (drift_desk_take(f->desk, &asked, how, NULL, by, on_taken, t, &e) != 0) {
        fail_msg("%s", e.message);
    }
}

static void what_is_new_is_there_after_a_restart(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    answer(&f, 1, BASELINE + 3);
    answer(&f, 2, 7);
    end(&f);
    begin(&f);
    assert_int_equal(baseline_answers(&f, "1"), BASELINE);
    assert_int_equal(baseline_answers(&f, "2"), 7);
    end(&f);
}

static void the_longest_unused_series_leaves(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    answer(&f, 1, BASELINE);
    for (int i = 2; i <= DRIFT_SERIES_MAX; i++) {
        answer(&f, i, 1);
    }
    uv_sleep(2); /* the time of the last answer has milliseconds */
    for (int i = 2; i <= DRIFT_SERIES_MAX; i++) {
        answer(&f, i, 1);
    }
    answer(&f, 1000, 1);
    assert_int_equal(baseline_answers(&f, "1"), -1);
    end(&f);
    begin(&f);
    assert_int_equal(baseline_answers(&f, "1"), -1);
    assert_int_equal(baseline_answers(&f, "2"), 2);
    assert_int_equal(baseline_answers(&f, "1000"), 1);
    end(&f);
}

/* The sequence of an upgrade, as the old process sees it. */
static void a_desk_that_is_retired_leaves_the_file_alone(void **state)
{
    (void)state;
    struct fixture old, new;
    struct taking t = {0};
    begin(&old);
    answer(&old, 1, BASELINE - 1);
    drift_desk_settle(old.desk);
    store(&old);
    drift_desk_retire(old.desk);

    begin(&new);
    assert_int_equal(baseline_answers(&new, "1"), BASELINE - 1);
    take(&new, 1, DRIFT_TAKE_NEXT, "ann", &t);
    store(&new);
    assert_true(t.n == 1 && t.failed == 0);

    answer(&old, 1, 10 * WINDOW);
    assert_false(drift_desk_is_storing(old.desk));
    end(&old);
    end(&new);
    begin(&new);
    assert_int_equal(baseline_answers(&new, "1"), 0);
    end(&new);
}

static void an_upgrade_that_fails_changes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    answer(&f, 1, BASELINE - 1);
    drift_desk_settle(f.desk);
    store(&f);
    drift_desk_retire(f.desk);
    answer(&f, 1, 1);
    drift_desk_resume(f.desk);
    assert_true(drift_desk_is_storing(f.desk)); /* the baseline is complete */
    end(&f);
    begin(&f);
    assert_int_equal(baseline_answers(&f, "1"), BASELINE);
    end(&f);
}

/* The second one still waits when the loop ends. */
static void baselines_that_wait_at_the_end_are_stored_and_told(void **state)
{
    (void)state;
    struct fixture f;
    struct taking t = {0};
    begin(&f);
    answer(&f, 1, BASELINE + 10);
    answer(&f, 2, BASELINE + 10);
    store(&f);
    take(&f, 1, DRIFT_TAKE_NEXT, "ann", &t);
    take(&f, 2, DRIFT_TAKE_NEXT, "ann", &t);
    answer(&f, 2, 1); /* something of it is new */
    end(&f);
    assert_true(t.n == 2 && t.failed == 0);
    begin(&f);
    assert_int_equal(baseline_answers(&f, "1"), 0);
    assert_int_equal(baseline_answers(&f, "2"), 0);
    end(&f);
}

static void the_longest_name_of_an_actor_stays_whole(void **state)
{
    (void)state;
    struct fixture f;
    struct taking t = {0};
    char by[VERSION_ACTOR_MAX + 1] = "";
    while (strlen(by) + 3 <= VERSION_ACTOR_MAX) {
        strcat(by, "€");
    }
    begin(&f);
    answer(&f, 1, BASELINE);
    take(&f, 1, DRIFT_TAKE_NEXT, by, &t);
    store(&f);
    for (int i = 0; i < 2; i++) {
        cJSON *items = list(&f, "series", "1");
        const cJSON *baseline = cJSON_GetObjectItem(cJSON_GetArrayItem(items, 0), "baseline");
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(baseline, "by")), by);
        cJSON_Delete(items);
        end(&f);
        begin(&f);
    }
    end(&f);
}

static void put_alert(struct drift_store *s, uint64_t number, int version, const char *text)
{
    struct err e = {0};
    const struct drift_alert a = {
        .number = number, .key = key(version), .began_ms = 1000, .text = (char *)text};
    assert_int_equal(drift_store_put_alert(s, &a, &e), 0);
}

static void stored_alerts_that_are_damaged_are_left_out(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "", "{", "{}", "[{\"x\":1}]", " {\"x\":1}", "{x", "{\"x\":", "1", "{\"x\":\"\xc3\"}"};
    struct fixture f;
    struct err e = {0};
    begin(&f);
    answer(&f, 1, BASELINE);
    end(&f);
    struct drift_store *s = drift_store_open(folder.file, &e);
    put_alert(s, 1, 1, "{\"x\":1}");
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        put_alert(s, 2 + i, 1, damaged[i]);
    }
    drift_store_close(s);
    begin(&f);
    cJSON *items = list(&f, "alerts", "");
    assert_int_equal(cJSON_GetArraySize(items), 1);
    const cJSON *alert = cJSON_GetArrayItem(items, 0);
    assert_int_equal(cJSON_GetObjectItem(alert, "number")->valueint, 1);
    assert_int_equal(cJSON_GetObjectItem(alert, "x")->valueint, 1);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(alert, "ended"))); /* its series is there */
    cJSON_Delete(items);
    end(&f);
}

static void an_alert_whose_series_is_gone_is_over(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = {0};
    struct drift_store *s = drift_store_open(folder.file, &e);
    put_alert(s, 1, 1, "{\"x\":1}");
    drift_store_close(s);
    double ended = 0;
    for (int i = 0; i < 2; i++) { /* and is so from then on */
        begin(&f);
        cJSON *items = list(&f, "alerts", "");
        const cJSON *at = cJSON_GetObjectItem(cJSON_GetArrayItem(items, 0), "ended");
        assert_true(cJSON_IsNumber(at) && (i == 0 || at->valuedouble == ended));
        ended = at->valuedouble;
        cJSON_Delete(items);
        end(&f);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_new_is_there_after_a_restart),
        TEST(the_longest_unused_series_leaves),
        TEST(a_desk_that_is_retired_leaves_the_file_alone),
        TEST(an_upgrade_that_fails_changes_nothing),
        TEST(baselines_that_wait_at_the_end_are_stored_and_told),
        TEST(the_longest_name_of_an_actor_stays_whole),
        TEST(stored_alerts_that_are_damaged_are_left_out),
        TEST(an_alert_whose_series_is_gone_is_over),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
