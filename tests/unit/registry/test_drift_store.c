/* drift_store.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "runtime/registry/drift_store.h"
#include "tests/unit/registry/store_fixture.h"

static struct store_folder folder;

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

static struct drift_store *open_store(void)
{
    struct err e = {0};
    struct drift_store *s = drift_store_open(folder.file, &e);
    if (!s) {
        fail_msg("%s", e.message);
    }
    return s;
}

static struct drift_row row(const char *version, int64_t used_ms, char *baseline)
{
    struct drift_row r = {.has_baseline = true,
                          .taken_ms = 5,
                          .used_ms = used_ms,
                          .looks = 7,
                          .by = "ann",
                          .baseline = baseline,
                          .key = {.model = "tiny", .hashes = "ab-cd", .prompt = "shop@3"}};
    snprintf(r.key.version, sizeof(r.key.version), "%s", version);
    return r;
}

/* Versions, in the order in which they are shown. */
static int note_row(void *ctx, const struct drift_row *r, struct err *e)
{
    (void)e;
    strcat(ctx, r->key.version);
    strcat(ctx, ":");
    strcat(ctx, r->baseline);
    strcat(ctx, " ");
    assert_string_equal(r->key.prompt, "shop@3");
    assert_string_equal(r->by, "ann");
    assert_true(r->has_baseline && r->taken_ms == 5 && r->looks == 7);
    return 0;
}

static void rows_are(struct drift_store *s, const char *wanted)
{
    char seen[512] = "";
    struct err e = {0};
    assert_int_equal(drift_store_each(s, note_row, seen, &e), 0);
    assert_string_equal(seen, wanted);
}

static void put(struct drift_store *s, const char *version, int64_t used_ms, const char *text)
{
    struct err e = {0};
    const struct drift_row r = row(version, used_ms, (char *)text);
    if (drift_store_put(s, &r, &e) != 0) {
        fail_msg("%s", e.message);
    }
}

static void rows_are_replaced_by_their_keys_and_stay(void **state)
{
    (void)state;
    struct err e = {0};
    struct drift_store *s = open_store();
    put(s, "1", 30, "one");
    put(s, "2", 20, "two");
    put(s, "3", 10, "three");
    put(s, "1", 5, "more");
    rows_are(s, "1:more 3:three 2:two ");
    drift_store_close(s);
    s = open_store();
    const struct drift_row gone = row("3", 0, NULL);
    assert_int_equal(drift_store_delete(s, &gone.key, &e), 0);
    rows_are(s, "1:more 2:two ");
    drift_store_close(s);
}

static int note_alert(void *ctx, const struct drift_alert *a, struct err *e)
{
    uint64_t *seen = ctx; /* first, last, how many, ended */
    (void)e;
    seen[0] = seen[2] == 0 ? a->number : seen[0];
    seen[1] = a->number;
    seen[2]++;
    seen[3] += a->ended_ms != 0;
    assert_string_equal(a->text, "{\"x\":1}");
    assert_int_equal(a->measure, 2);
    return 0;
}

static void the_newest_alerts_stay(void **state)
{
    (void)state;
    struct err e = {0};
    struct drift_store *s = open_store();
    struct drift_alert a = {.measure = 2, .began_ms = 1, .text = (char *)"{\"x\":1}"};
    for (a.number = 1; a.number <= DRIFT_ALERTS_MAX + 10; a.number++) {
        assert_int_equal(drift_store_put_alert(s, &a, &e), 0);
    }
    a.number = DRIFT_ALERTS_MAX;
    a.ended_ms = 9;
    assert_int_equal(drift_store_put_alert(s, &a, &e), 0);
    uint64_t seen[4] = {0};
    assert_int_equal(drift_store_each_alert(s, note_alert, seen, &e), 0);
    assert_true(seen[0] == 11 && seen[1] == DRIFT_ALERTS_MAX + 10);
    assert_true(seen[2] == DRIFT_ALERTS_MAX && seen[3] == 1);
    drift_store_close(s);
}

static void on_a_full_disk_nothing_is_lost(void **state)
{
    (void)state;
    struct err e = {0};
    struct rlimit limit, full;
    struct drift_store *s = open_store();
    put(s, "1", 30, "one");
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    full = limit;
    full.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    const struct drift_row r = row("2", 20, (char *)"two");
    int rc = drift_store_put(s, &r, &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(rc, -1);
    assert_non_null(strstr(e.message, folder.file));
    rows_are(s, "1:one ");
    put(s, "2", 20, "two");
    rows_are(s, "2:two 1:one ");
    drift_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_replaced_by_their_keys_and_stay, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_newest_alerts_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(on_a_full_disk_nothing_is_lost, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
