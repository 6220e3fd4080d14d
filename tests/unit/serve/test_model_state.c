/* model_state.h: changes are stored in their order, off the loop, also by a file that is held
 * for a while; and what an earlier server knew is known again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/model_state.h"

/* What a file that is held costs is tested here, not for how long it is waited for. */
int __real_sqlite3_busy_timeout(sqlite3 *database, int ms);
int __wrap_sqlite3_busy_timeout(sqlite3 *database, int ms);

int __wrap_sqlite3_busy_timeout(sqlite3 *database, int ms)
{
    assert_true(ms > 0);
    return __real_sqlite3_busy_timeout(database, 100);
}

struct fixture {
    char folder[64];
    char path[96];
    uv_loop_t loop;
    struct version_database *database;
    struct model_journal *state;
};

static void begin(struct fixture *f)
{
    struct err e = {0};
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->database = version_database_open(f->path, &e);
    assert_non_null(f->database);
    f->state = model_state_open(&f->loop, f->database, true, "tiny", &e);
    assert_non_null(f->state);
}

static void make(struct fixture *f)
{
    snprintf(f->folder, sizeof(f->folder), "/tmp/weir-state-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/state.db", f->folder);
    begin(f);
}

/* As the server ends. */
static void end(struct fixture *f)
{
    model_state_close(f->state, NULL, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    version_database_close(f->database);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void remove_files(struct fixture *f)
{
    char path[128];
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s%s", f->path, ends[i]);
        unlink(path);
    }
    rmdir(f->folder);
}

/* The subjects of all rows, oldest first: "1 2 3". */
static void read_audit(struct fixture *f, char *out, size_t size)
{
    const struct version_audit_filter filter = {.kind = VERSION_MODELS, .name = "tiny"};
    struct version_audit *rows;
    size_t n;
    struct err e = {0};
    assert_int_equal(version_database_audit(f->database, &filter, 0, 1000, &rows, &n, &e), 0);
    out[0] = '\0';
    while (n-- > 0) {
        size_t len = strlen(out);
        snprintf(out + len, size - len, "%s%s", len ? " " : "", rows[n].subject);
    }
    mem_free(rows);
}

struct outcome {
    int n;      /* calls */
    int n_good; /* of them */
    enum err_kind kind;
};

static void note_outcome(void *ctx, struct http_exchange *ex, const struct err *e)
{
    (void)ex;
    struct outcome *o = ctx;
    o->n++;
    o->n_good += !e;
    o->kind = e ? e->kind : ERR_NONE;
}

static void activate(struct fixture *f, const char *version, struct outcome *o)
{
    const struct model_change c = {
        .action = MODEL_ACTION_ACTIVATE, .who = "anna", .version = version};
    model_state_store(f->state, &c, NULL, note_outcome, o);
}

static void note(struct fixture *f, const char *version)
{
    const struct model_change c = {.action = MODEL_ACTION_LOAD, .version = version};
    model_state_note(f->state, &c);
}

static void run_until(struct fixture *f, const int *n, int wanted)
{
    while (*n < wanted) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static void changes_are_stored_in_the_order_of_the_calls(void **state)
{
    (void)state;
    struct fixture f;
    struct outcome o = {0};
    char text[1024], wanted[1024] = "";
    make(&f);
    for (int i = 0; i < 100; i++) {
        /* The caller's strings are its own again at once. */
        char version[16];
        snprintf(version, sizeof(version), "%d", i);
        if (i % 3 == 0) {
            note(&f, version);
        } else {
            activate(&f, version, &o);
        }
        snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), "%s%d", i ? " " : "",
                 i);
        memset(version, 'x', sizeof(version) - 1);
        if (i % 10 == 0) {
            uv_run(&f.loop, UV_RUN_NOWAIT);
        }
    }
    run_until(&f, &o.n, 66);
    assert_int_equal(o.n_good, 66);
    assert_string_equal(model_state_record(f.state)->active.version, "98");
    read_audit(&f, text, sizeof(text)); /* the last one, a note, waits perhaps */
    end(&f);
    begin(&f);
    read_audit(&f, text, sizeof(text));
    assert_string_equal(text, wanted);
    assert_string_equal(model_state_record(f.state)->active.version, "98");
    end(&f);
    remove_files(&f);
}

static void what_waits_at_the_end_is_written(void **state)
{
    (void)state;
    struct fixture f;
    struct outcome o = {0};
    char text[256];
    make(&f);
    note(&f, "1");
    activate(&f, "2", &o);
    note(&f, "3");
    end(&f);
    assert_int_equal(o.n_good, 1);
    begin(&f);
    read_audit(&f, text, sizeof(text));
    assert_string_equal(text, "1 2 3");
    end(&f);
    remove_files(&f);
}

/* It makes no sense for ever, and must not stand in the way. */
static void a_change_that_is_refused_does_not_hold_up_others(void **state)
{
    (void)state;
    struct fixture f;
    struct outcome bad = {0}, good = {0};
    char text[256];
    make(&f);
    note(&f, "1");
    note(&f, "not a name");
    activate(&f, "../x", &bad);
    activate(&f, "2", &good);
    run_until(&f, &good.n, 1);
    assert_int_equal(good.n_good, 1);
    assert_int_equal(bad.n, 1);
    assert_int_equal(bad.kind, ERR_INVALID);
    read_audit(&f, text, sizeof(text));
    assert_string_equal(text, "1 2");
    end(&f);
    remove_files(&f);
}

static void a_file_that_is_held_refuses_admins_and_gets_the_rest_later(void **state)
{
    (void)state;
    struct fixture f;
    struct outcome refused = {0}, after = {0};
    char text[256];
    sqlite3 *other;
    make(&f);
    assert_int_equal(sqlite3_open(f.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    note(&f, "1");
    activate(&f, "2", &refused);
    note(&f, "3");
    run_until(&f, &refused.n, 1);
    assert_int_equal(refused.n_good, 0);
    assert_int_equal(refused.kind, ERR_BUSY);
    assert_string_equal(model_state_record(f.state)->active.version, "");
    note(&f, "4");
    sqlite3_close(other);
    activate(&f, "5", &after);
    run_until(&f, &after.n, 1);
    assert_int_equal(after.n_good, 1);
    read_audit(&f, text, sizeof(text));
    assert_string_equal(text, "1 3 4 5");

    /* Nothing waits after this one: the next change begins anew. */
    assert_int_equal(sqlite3_open(f.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    activate(&f, "x", &refused);
    run_until(&f, &refused.n, 2);
    sqlite3_close(other);
    for (int i = 0; i < 60; i++) { /* until the time for another try is over */
        usleep(50000);
        uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    note(&f, "5a");
    for (int i = 0; i < 100 && !strstr(text, "5a"); i++) {
        usleep(10000);
        uv_run(&f.loop, UV_RUN_NOWAIT);
        read_audit(&f, text, sizeof(text));
    }
    assert_string_equal(text, "1 3 4 5 5a");

    /* And by itself, without anybody who asks. */
    assert_int_equal(sqlite3_open(f.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    note(&f, "6");
    activate(&f, "7", &refused);
    run_until(&f, &refused.n, 3);
    sqlite3_close(other);
    for (int i = 0; i < 100 && !strstr(text, "6"); i++) {
        usleep(50000);
        uv_run(&f.loop, UV_RUN_NOWAIT);
        read_audit(&f, text, sizeof(text));
    }
    assert_string_equal(text, "1 3 4 5 5a 6");
    end(&f);
    remove_files(&f);
}

static void what_waits_for_a_file_that_is_held_is_bounded(void **state)
{
    (void)state;
    struct fixture f;
    struct outcome first = {0}, last = {0};
    make(&f);
    for (int i = 0; i < MODEL_STATE_WAITING_MAX + 2; i++) {
        activate(&f, "1", i < 2 ? &first : &last);
    }
    /* The first is with the worker, the second was given up. */
    assert_int_equal(first.n, 1);
    assert_int_equal(first.kind, ERR_BUSY);
    end(&f);
    assert_int_equal(first.n_good + last.n_good, MODEL_STATE_WAITING_MAX + 1);
    remove_files(&f);
}

/* --- what was known --- */

static void know(struct fixture *f, enum model_action action, const char *version,
                 uint64_t stamp, const char *reason)
{
    const struct model_change c = {
        .action = action, .version = version, .stamp = stamp, .reason = reason};
    model_state_note(f->state, &c);
}

static void add(struct model_list *list, const char *version, uint64_t stamp)
{
    struct listed_version *v = model_list_get(list, version);
    v->is_there = v->is_wanted = true;
    v->still = stamp;
}

/* Whether 2 (known), 3 (known, with other files), 4 (failed), 5 (failed, mended), 6 (new) are
 * wanted. */
static void check_recall(bool is_chosen, const char *wanted)
{
    struct fixture f;
    struct model_list list = {0};
    char got[8] = "";
    make(&f);
    know(&f, MODEL_ACTION_PUBLISH, "2", 20, NULL);
    know(&f, MODEL_ACTION_GATE_FAILED, "4", 40, "gate.golden: it is wrong");
    know(&f, MODEL_ACTION_LOAD_FAILED, "5", 50, "it is no model");
    know(&f, MODEL_ACTION_PUBLISH, "3", 30, NULL);
    if (is_chosen) {
        know(&f, MODEL_ACTION_ACTIVATE, "2", 20, NULL);
    }
    end(&f);
    begin(&f);
    add(&list, "2", 20);
    add(&list, "3", 31);
    add(&list, "4", 40);
    add(&list, "5", 51);
    add(&list, "6", 60);
    model_state_recall(f.state, &list);
    for (size_t i = 0; i < list.count; i++) {
        got[i] = list.items[i].is_wanted ? '1' : '0';
        assert_int_equal(list.items[i].has_failed, i == 2);
    }
    assert_string_equal(got, wanted);
    assert_string_equal(list.items[2].problem, "gate.golden: it is wrong");
    model_list_deinit(&list);
    end(&f);
    remove_files(&f);
}

static void versions_of_an_earlier_server_are_not_new(void **state)
{
    (void)state;
    check_recall(false, "01011");
    check_recall(true, "00011");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_stored_in_the_order_of_the_calls),
        cmocka_unit_test(what_waits_at_the_end_is_written),
        cmocka_unit_test(a_change_that_is_refused_does_not_hold_up_others),
        cmocka_unit_test(a_file_that_is_held_refuses_admins_and_gets_the_rest_later),
        cmocka_unit_test(what_waits_for_a_file_that_is_held_is_bounded),
        cmocka_unit_test(versions_of_an_earlier_server_are_not_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
