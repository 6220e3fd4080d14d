/* model_store.h: what was decided is there after the file was opened again, with its rows */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "runtime/base/mem.h"
#include "runtime/registry/model_store.h"
#include "tests/unit/registry/store_fixture.h"

static struct version_database *must_open(const char *path)
{
    struct err e = {0};
    struct version_database *d = version_database_open(path, &e);
    if (!d) {
        fail_msg("%s", e.message);
    }
    return d;
}

/* The model "tiny" as it is then; the caller's. */
static struct model_record change(struct version_database *d, struct model_change c)
{
    struct err e = {0};
    struct model_record after;
    if (model_store_change(d, "tiny", &c, &after, &e) != 0) {
        fail_msg("%s: %s", model_action_name(c.action), e.message);
    }
    return after;
}

static void do_change(struct version_database *d, struct model_change c)
{
    struct model_record after = change(d, c);
    model_record_deinit(&after);
}

static struct model_record load(struct version_database *d, const char *name)
{
    struct err e = {0};
    struct model_record r;
    if (model_store_load(d, name, &r, &e) != 0) {
        fail_msg("%s", e.message);
    }
    return r;
}

static void serve(struct version_database *d, enum model_action action, const char *version,
                  const char *replaced)
{
    do_change(d, (struct model_change){.action = action,
                                       .who = action == MODEL_ACTION_PUBLISH ? NULL : "anna",
                                       .version = version,
                                       .sha256 = "abcd",
                                       .stamp = 7,
                                       .replaced = replaced,
                                       .replaced_sha256 = "efgh"});
}

/* Of models, newest first; the caller's. */
static struct version_audit *audit(struct version_database *d, size_t *n)
{
    const struct version_audit_filter filter = {.kind = VERSION_MODELS};
    struct version_audit *rows;
    struct err e = {0};
    assert_int_equal(version_database_audit(d, &filter, 0, 1000, &rows, n, &e), 0);
    return rows;
}

static void a_model_that_nobody_has_told_anything_is_not_known(void **state)
{
    (void)state;
    struct version_database *d = must_open(NULL);
    struct model_record r = load(d, "tiny");
    assert_int_equal(r.revision, 0);
    assert_string_equal(r.name, "tiny");
    assert_string_equal(r.active.version, "");
    assert_string_equal(r.canary_plan, "");
    model_record_deinit(&r);
    struct model_store_known *known;
    size_t n;
    struct err e = {0};
    assert_int_equal(model_store_known(d, "tiny", &known, &n, &e), 0);
    assert_int_equal(n, 0);
    assert_null(known);
    version_database_close(d);
}

static void check_all(const struct model_record *r)
{
    assert_int_equal(r->revision, 9);
    assert_string_equal(r->active.version, "2");
    assert_string_equal(r->active.sha256, "abcd");
    assert_true(r->is_chosen);
    assert_int_equal(r->n_past, 2);
    assert_string_equal(r->past[0].version, "2");
    assert_string_equal(r->past[1].version, "3");
    assert_string_equal(r->past[1].sha256, "efgh");
    assert_int_equal(r->split.percent, 0); /* the canary has taken its place */
    assert_string_equal(r->shadow.version, "4");
    assert_int_equal(r->shadow.percent, 100);
    assert_int_equal(r->n_labels, 2);
    assert_string_equal(r->labels[0].name, "canary");
    assert_string_equal(r->labels[0].version, "4");
    assert_string_equal(r->labels[1].name, "stable");
    assert_string_equal(r->canary, "4");
    assert_string_equal(r->canary_plan, "{\"requests\":12}");
    assert_string_equal(r->canary_report, "");
}

static void all_that_was_decided_is_there_again(void **state)
{
    (void)state;
    struct store_folder f;
    store_folder_make(&f);
    struct version_database *d = must_open(f.file);
    serve(d, MODEL_ACTION_PUBLISH, "2", NULL);
    serve(d, MODEL_ACTION_PUBLISH, "3", "2");
    serve(d, MODEL_ACTION_ACTIVATE, "2", "3");
    do_change(d,
              (struct model_change){
                  .action = MODEL_ACTION_SPLIT, .who = "anna", .version = "3", .percent = 10});
    do_change(
        d, (struct model_change){
               .action = MODEL_ACTION_SHADOW, .who = "anna", .version = "4", .percent = 100});
    do_change(
        d, (struct model_change){
               .action = MODEL_ACTION_LABEL, .who = "anna", .label = "stable", .version = "2"});
    do_change(
        d, (struct model_change){
               .action = MODEL_ACTION_LABEL, .who = "anna", .label = "canary", .version = "4"});
    do_change(d, (struct model_change){.action = MODEL_ACTION_CANARY_BEGIN,
                                       .who = "anna",
                                       .version = "4",
                                       .text = "{\"steps\":[5]}"});
    struct model_record r =
        change(d, (struct model_change){.action = MODEL_ACTION_CANARY_PROGRESS,
                                        .text = "{\"requests\":12}"});
    check_all(&r);
    model_record_deinit(&r);
    version_database_close(d);
    d = must_open(f.file);
    r = load(d, "tiny");
    check_all(&r);
    model_record_deinit(&r);

    size_t n;
    struct version_audit *rows = audit(d, &n);
    static const char *const wanted[][5] = {
        /* action, actor, subject, before, after */
        {"canary_begin", "anna", "4", "2 and 10% 3, shadow 100% 4",
         "2, shadow 100% 4, canary 4"},
        {"label", "anna", "canary", "", "4"},
        {"label", "anna", "stable", "", "2"},
        {"shadow", "anna", "4", "2 and 10% 3", "2 and 10% 3, shadow 100% 4"},
        {"split", "anna", "3", "2", "2 and 10% 3"},
        {"activate", "anna", "2", "3", "2"},
        {"publish", "weir", "3", "2", "3"},
        {"publish", "weir", "2", "", "2"},
    };
    assert_int_equal(n, sizeof(wanted) / sizeof(wanted[0]));
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(rows[i].action, wanted[i][0]);
        assert_string_equal(rows[i].actor, wanted[i][1]);
        assert_string_equal(rows[i].subject, wanted[i][2]);
        assert_string_equal(rows[i].before, wanted[i][3]);
        assert_string_equal(rows[i].after, wanted[i][4]);
        assert_string_equal(rows[i].name, "tiny");
        assert_int_equal(rows[i].kind, VERSION_MODELS);
        assert_int_equal(rows[i].revision, n - i);
    }
    mem_free(rows);

    /* All of it ends. */
    do_change(d, (struct model_change){.action = MODEL_ACTION_SPLIT, .version = "3"});
    do_change(d, (struct model_change){.action = MODEL_ACTION_SHADOW});
    do_change(d, (struct model_change){.action = MODEL_ACTION_UNLABEL, .label = "canary"});
    r = change(d, (struct model_change){.action = MODEL_ACTION_CANARY_ROLLBACK,
                                        .version = "4",
                                        .text = "{\"requests\":99}",
                                        .reason = "errors: 12 of 99, 1 of 880 before"});
    assert_int_equal(r.split.percent, 0);
    assert_string_equal(r.split.version, "");
    assert_int_equal(r.shadow.percent, 0);
    assert_int_equal(r.n_labels, 1);
    assert_string_equal(r.canary, "");
    assert_string_equal(r.canary_plan, "");
    assert_string_equal(r.canary_report, "{\"requests\":99}");
    model_record_deinit(&r);
    rows = audit(d, &n);
    assert_string_equal(rows[0].reason, "errors: 12 of 99, 1 of 880 before");
    assert_string_equal(rows[0].actor, "weir");
    assert_string_equal(rows[1].before, "4");
    assert_string_equal(rows[1].after, "");
    mem_free(rows);
    version_database_close(d);
    store_folder_remove(&f);
}

static void a_split_is_kept_with_what_it_goes_by(void **state)
{
    (void)state;
    struct version_database *d = must_open(NULL);
    serve(d, MODEL_ACTION_PUBLISH, "1", NULL);
    struct model_record r = change(d, (struct model_change){.action = MODEL_ACTION_SPLIT,
                                                            .version = "2",
                                                            .percent = 99,
                                                            .is_by_conversation = true});
    assert_string_equal(r.split.version, "2");
    assert_int_equal(r.split.percent, 99);
    assert_true(r.split.is_by_conversation);
    model_record_deinit(&r);
    r = change(d, (struct model_change){.action = MODEL_ACTION_SPLIT, .version = "2"});
    assert_false(r.split.is_by_conversation);
    model_record_deinit(&r);
    version_database_close(d);
}

static void a_canary_ends_in_one_step_with_what_comes_of_it(void **state)
{
    (void)state;
    struct version_database *d = must_open(NULL);
    serve(d, MODEL_ACTION_PUBLISH, "1", NULL);
    /* Promoted: it serves, by nobody's choice. */
    const struct model_change begins = {
        .action = MODEL_ACTION_CANARY_BEGIN, .version = "2", .stamp = 5, .text = "{}"};
    do_change(d, begins);
    struct model_record r =
        change(d, (struct model_change){.action = MODEL_ACTION_CANARY_PROMOTE,
                                        .version = "2",
                                        .stamp = 5,
                                        .replaced = "1"});
    assert_string_equal(r.active.version, "2");
    assert_string_equal(r.canary, "");
    assert_int_equal(r.n_past, 1);
    assert_false(r.is_chosen);
    model_record_deinit(&r);
    /* By somebody, who has activated it before: no step more. */
    serve(d, MODEL_ACTION_ACTIVATE, "3", "2");
    r = change(d, (struct model_change){.action = MODEL_ACTION_CANARY_PROMOTE,
                                        .who = "anna",
                                        .version = "3",
                                        .replaced = "2"});
    assert_int_equal(r.n_past, 2);
    assert_true(r.is_chosen);
    model_record_deinit(&r);
    /* Rolled back: it has failed. */
    do_change(d, begins);
    do_change(d, (struct model_change){.action = MODEL_ACTION_CANARY_ROLLBACK,
                                       .version = "2",
                                       .stamp = 5,
                                       .reason = "canary: worse"});
    struct model_store_known *known;
    size_t n;
    struct err e = {0};
    assert_int_equal(model_store_known(d, "tiny", &known, &n, &e), 0);
    for (size_t i = 0; i < n; i++) {
        bool is_it = strcmp(known[i].version, "2") == 0;
        assert_string_equal(known[i].problem, is_it ? "canary: worse" : "");
    }
    model_store_known_free(known, n);
    /* Kept beside: its share is a split from then on. */
    do_change(d, begins);
    r = change(d, (struct model_change){
                      .action = MODEL_ACTION_CANARY_END, .version = "2", .percent = 30});
    assert_string_equal(r.split.version, "2");
    assert_int_equal(r.split.percent, 30);
    model_record_deinit(&r);
    version_database_close(d);
}

static void a_rollback_goes_back_step_by_step(void **state)
{
    (void)state;
    struct version_database *d = must_open(NULL);
    char replaced[16], version[16];
    serve(d, MODEL_ACTION_PUBLISH, "0", NULL);
    for (int i = 1; i <= MODEL_STORE_PAST_MAX + 4; i++) {
        snprintf(replaced, sizeof(replaced), "%d", i - 1);
        snprintf(version, sizeof(version), "%d", i);
        serve(d, MODEL_ACTION_ACTIVATE, version, replaced);
    }
    struct model_record r = load(d, "tiny");
    assert_int_equal(r.n_past, MODEL_STORE_PAST_MAX);
    assert_string_equal(r.past[0].version, "4");
    assert_string_equal(r.past[r.n_past - 1].version, "19");
    model_record_deinit(&r);
    serve(d, MODEL_ACTION_ROLLBACK, "19", "20");
    /* One that cannot be had any more is passed over, with what came after it. */
    serve(d, MODEL_ACTION_ROLLBACK, "17", "19");
    r = load(d, "tiny");
    assert_string_equal(r.active.version, "17");
    assert_true(r.is_chosen);
    assert_int_equal(r.n_past, MODEL_STORE_PAST_MAX - 3);
    assert_string_equal(r.past[r.n_past - 1].version, "16");
    model_record_deinit(&r);
    /* Files of the version that serves are no step. */
    serve(d, MODEL_ACTION_RELOAD, "17", "17");
    r = load(d, "tiny");
    assert_int_equal(r.n_past, MODEL_STORE_PAST_MAX - 3);
    assert_true(r.is_chosen);
    model_record_deinit(&r);
    /* What comes by itself is nobody's choice. */
    serve(d, MODEL_ACTION_PUBLISH, "21", "17");
    r = load(d, "tiny");
    assert_false(r.is_chosen);
    assert_string_equal(r.past[r.n_past - 1].version, "17");
    model_record_deinit(&r);
    version_database_close(d);
}

static void versions_that_were_seen_or_tried_are_known(void **state)
{
    (void)state;
    struct version_database *d = must_open(NULL);
    serve(d, MODEL_ACTION_PUBLISH, "1", NULL);
    do_change(d, (struct model_change){.action = MODEL_ACTION_GATE_FAILED,
                                       .version = "3",
                                       .stamp = UINT64_MAX,
                                       .text = "{\"passed\":false}",
                                       .reason = "a golden prompt"});
    do_change(d, (struct model_change){.action = MODEL_ACTION_LOAD_FAILED,
                                       .version = "4",
                                       .reason = "no memory: not for good"});
    const struct model_store_seen seen[] = {{"1", 7}, {"2", 8}, {"3", UINT64_MAX}};
    do_change(d, (struct model_change){.action = MODEL_ACTION_ACTIVATE,
                                       .who = "anna",
                                       .version = "2",
                                       .stamp = 8,
                                       .replaced = "1",
                                       .text = "{\"passed\":true}",
                                       .seen = seen,
                                       .n_seen = 3});
    struct model_store_known *known;
    size_t n;
    struct err e = {0};
    assert_int_equal(model_store_known(d, "tiny", &known, &n, &e), 0);
    assert_int_equal(n, 3);
    assert_string_equal(known[0].version, "1");
    assert_int_equal(known[0].stamp, 7);
    assert_string_equal(known[0].problem, "");
    assert_string_equal(known[1].version, "3");
    assert_true(known[1].stamp == UINT64_MAX);
    assert_string_equal(known[1].problem, "a golden prompt");
    assert_string_equal(known[1].report, "{\"passed\":false}");
    assert_string_equal(known[2].version, "2");
    assert_string_equal(known[2].report, "{\"passed\":true}");
    model_store_known_free(known, n);
    /* Its files are others. */
    const struct model_store_seen changed[] = {{"3", 9}};
    do_change(
        d, (struct model_change){
               .action = MODEL_ACTION_ACTIVATE, .version = "1", .seen = changed, .n_seen = 1});
    assert_int_equal(model_store_known(d, "tiny", &known, &n, &e), 0);
    assert_int_equal(known[1].stamp, 9);
    assert_string_equal(known[1].problem, "");
    model_store_known_free(known, n);
    /* Another model has its own. */
    assert_int_equal(model_store_known(d, "other", &known, &n, &e), 0);
    assert_int_equal(n, 0);
    version_database_close(d);
}

static void changes_that_make_no_sense_change_nothing(void **state)
{
    (void)state;
    struct version_database *d = must_open(NULL);
    char long_name[VERSION_NAME_MAX + 2];
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    const struct {
        struct model_change change;
        const char *param;
    } cases[] = {
        {{.action = MODEL_ACTION_ACTIVATE}, "version"},
        {{.action = MODEL_ACTION_ACTIVATE, .version = long_name}, "version"},
        {{.action = MODEL_ACTION_ACTIVATE, .version = "1", .replaced = "../2"}, "replaced"},
        {{.action = MODEL_ACTION_SPLIT, .percent = 5}, "version"},
        {{.action = MODEL_ACTION_SPLIT, .version = "2", .percent = 101}, "percent"},
        {{.action = MODEL_ACTION_SHADOW, .version = "2", .percent = -1}, "percent"},
        {{.action = MODEL_ACTION_LABEL, .version = "2"}, "label"},
        {{.action = MODEL_ACTION_LABEL, .label = "a"}, "version"},
        {{.action = MODEL_ACTION_UNLABEL}, "label"},
        {{.action = MODEL_ACTION_CANARY_BEGIN}, "version"},
        {{.action = MODEL_ACTION_LOAD, .who = "\xff"}, "actor"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = {0};
        assert_int_equal(model_store_change(d, "tiny", &cases[i].change, NULL, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_string_equal(e.param, cases[i].param);
    }
    struct err e = {0};
    const struct model_change ok = {.action = MODEL_ACTION_LOAD};
    assert_int_equal(model_store_change(d, "no/name", &ok, NULL, &e), -1);
    struct model_record r = load(d, "tiny");
    assert_int_equal(r.revision, 0);
    model_record_deinit(&r);
    size_t n;
    mem_free(audit(d, &n));
    assert_int_equal(n, 0);

    char name[16];
    for (int i = 0; i < MODEL_STORE_LABELS_MAX; i++) {
        snprintf(name, sizeof(name), "l%d", i);
        do_change(d, (struct model_change){
                         .action = MODEL_ACTION_LABEL, .label = name, .version = "1"});
    }
    const struct model_change more = {
        .action = MODEL_ACTION_LABEL, .label = "m", .version = "1"};
    assert_int_equal(model_store_change(d, "tiny", &more, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    do_change(
        d, (struct model_change){.action = MODEL_ACTION_LABEL, .label = "l3", .version = "2"});
    version_database_close(d);
}

static void a_long_reason_is_cut_between_characters(void **state)
{
    (void)state;
    struct version_database *d = must_open(NULL);
    char reason[VERSION_REASON_MAX + 20];
    memset(reason, 'a', sizeof(reason));
    memcpy(reason + VERSION_REASON_MAX - 1, "\xe2\x82\xac", 3);
    reason[sizeof(reason) - 1] = '\0';
    do_change(d, (struct model_change){
                     .action = MODEL_ACTION_UNLOAD, .version = "1", .reason = reason});
    size_t n;
    struct version_audit *rows = audit(d, &n);
    assert_int_equal(strlen(rows[0].reason), VERSION_REASON_MAX - 1);
    mem_free(rows);
    version_database_close(d);
}

/* --- what may fail --- */

static const struct model_store_seen some_seen[] = {{"1", 7}, {"2", 8}};
static const struct model_change some_changes[] = {
    {.action = MODEL_ACTION_ACTIVATE,
     .version = "2",
     .stamp = 8,
     .replaced = "1",
     .text = "{}",
     .seen = some_seen,
     .n_seen = 2},
    {.action = MODEL_ACTION_LABEL, .label = "stable", .version = "2"},
    {.action = MODEL_ACTION_CANARY_BEGIN, .version = "3", .text = "{\"plan\":1}"},
    {.action = MODEL_ACTION_CANARY_PROMOTE, .version = "3", .text = "{\"report\":1}"},
};

static void a_failed_allocation_changes_nothing(void **state)
{
    (void)state;
    struct version_database *d = must_open(NULL);
    serve(d, MODEL_ACTION_PUBLISH, "1", NULL);
    for (size_t i = 0; i < sizeof(some_changes) / sizeof(some_changes[0]); i++) {
        size_t live = mem_live();
        for (size_t nth = 1;; nth++) {
            struct err e = {0};
            struct model_record before = load(d, "tiny");
            struct model_record after = {.revision = 0};
            mem_fail_at(nth);
            int rc = model_store_change(d, "tiny", &some_changes[i], &after, &e);
            bool failed = mem_fail_reached();
            mem_fail_at(0);
            assert_int_equal(rc, failed ? -1 : 0);
            struct model_record now = load(d, "tiny");
            assert_int_equal(now.revision, before.revision + (failed ? 0 : 1));
            model_record_deinit(&before);
            model_record_deinit(&after);
            model_record_deinit(&now);
            assert_int_equal(mem_live(), live);
            if (!failed) {
                break;
            }
            assert_int_equal(e.kind, ERR_NOMEM);
        }
    }
    for (size_t nth = 1;; nth++) {
        struct err e = {0};
        struct model_store_known *known;
        size_t n;
        mem_fail_at(nth);
        int rc = model_store_known(d, "tiny", &known, &n, &e);
        bool failed = mem_fail_reached();
        mem_fail_at(0);
        assert_int_equal(rc, failed ? -1 : 0);
        model_store_known_free(known, n);
        if (!failed) {
            break;
        }
    }
    version_database_close(d);
}

static void sqlite_out_of_memory_changes_nothing(void **state)
{
    (void)state;
    struct version_database *d = must_open(NULL);
    serve(d, MODEL_ACTION_PUBLISH, "1", NULL);
    int n_failed = 0;
    for (size_t i = 0; i < sizeof(some_changes) / sizeof(some_changes[0]); i++) {
        for (sqlite3_int64 room = 0;; room += 256) {
            struct err e = {0};
            struct model_record before = load(d, "tiny");
            sqlite3_hard_heap_limit64(sqlite3_memory_used() + room + 1);
            int rc = model_store_change(d, "tiny", &some_changes[i], NULL, &e);
            sqlite3_hard_heap_limit64(0);
            struct model_record now = load(d, "tiny");
            assert_int_equal(now.revision, before.revision + (rc == 0));
            model_record_deinit(&before);
            model_record_deinit(&now);
            if (rc == 0) {
                break;
            }
            assert_int_equal(e.kind, ERR_NOMEM);
            n_failed++;
        }
    }
    assert_true(n_failed > 0);
    version_database_close(d);
}

static void a_file_that_another_process_holds_is_waited_for(void **state)
{
    (void)state;
    struct store_folder f;
    store_folder_make(&f);
    struct version_database *d = must_open(f.file);
    serve(d, MODEL_ACTION_PUBLISH, "1", NULL);
    sqlite3 *other;
    assert_int_equal(sqlite3_open(f.file, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    struct err e = {0};
    assert_int_equal(model_store_change(d, "tiny", &some_changes[0], NULL, &e), -1);
    assert_int_equal(e.kind, ERR_BUSY);
    assert_non_null(strstr(e.message, f.file));
    struct model_record r = load(d, "tiny"); /* reading goes on */
    assert_string_equal(r.active.version, "1");
    model_record_deinit(&r);
    sqlite3_close(other);
    serve(d, MODEL_ACTION_ACTIVATE, "2", "1");
    version_database_close(d);
    store_folder_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_that_nobody_has_told_anything_is_not_known),
        cmocka_unit_test(all_that_was_decided_is_there_again),
        cmocka_unit_test(a_split_is_kept_with_what_it_goes_by),
        cmocka_unit_test(a_canary_ends_in_one_step_with_what_comes_of_it),
        cmocka_unit_test(a_rollback_goes_back_step_by_step),
        cmocka_unit_test(versions_that_were_seen_or_tried_are_known),
        cmocka_unit_test(changes_that_make_no_sense_change_nothing),
        cmocka_unit_test(a_long_reason_is_cut_between_characters),
        cmocka_unit_test(a_failed_allocation_changes_nothing),
        cmocka_unit_test(sqlite_out_of_memory_changes_nothing),
        cmocka_unit_test(a_file_that_another_process_holds_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
