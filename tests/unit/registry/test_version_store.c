/* version_store.h, with objects of each kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/mem.h"
#include "tests/unit/registry/store_fixture.h"

static void assert_refused(int rc, const struct err *e, enum err_kind kind, const char *param)
{
    assert_int_equal(rc, -1);
    if (e->kind != kind || strcmp(e->param, param) != 0) {
        fail_msg("kind %d, param %s: %s", e->kind, e->param, e->message);
    }
}

static const char *param(void)
{
    return store_kind == VERSION_PROMPTS ? "profile" : "chain";
}

static void assert_text(struct version_store *s, const char *name, const char *which,
                        const char *text)
{
    struct err e = {0};
    struct version_text t;
    if (version_store_get(s, name, which, &t, &e) != 0) {
        fail_msg("%s@%s: %s", name, which ? which : "active", e.message);
    }
    assert_string_equal(t.content, content_of(text).json);
    assert_string_equal(t.name, name);
    version_text_deinit(&t);
}

static void assert_missing(struct version_store *s, const char *name, const char *which,
                           const char *what)
{
    struct err e = {0};
    struct version_text t;
    assert_refused(version_store_get(s, name, which, &t, &e), &e, ERR_NOT_FOUND, what);
}

static void versions_are_numbered_and_read_back(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    const struct version_draft draft = {
        .content = "content \xC3\xA9 '\"", .sha256 = "abc", .author = "eve", .note = "why"};
    struct err e = {0};
    struct version_state after;
    struct version_stored stored;
    assert_int_equal(
        version_store_put(s, "support", &draft, false, &any_change, &stored, &after, &e), 0);
    assert_int_equal(stored.number, 1);
    assert_true(stored.created > 0);
    assert_int_equal(after.latest, 1);
    assert_int_equal(after.active, 0);
    assert_int_equal(after.revision, 1);
    assert_int_equal(after.n_versions, 1);
    assert_missing(s, "support", NULL, "version");

    struct version_text back;
    assert_int_equal(version_store_get(s, "support", "1", &back, &e), 0);
    assert_string_equal(back.sha256, "abc");
    assert_string_equal(back.content, draft.content);
    assert_string_equal(back.author, "eve");
    assert_string_equal(back.note, "why");
    assert_int_equal(back.created, stored.created);
    version_text_deinit(&back);

    assert_int_equal(store_put_text(s, "support", "two", true), 2);
    assert_int_equal(store_put_text(s, "other", "one", true), 1);
    assert_text(s, "support", NULL, "two");
    assert_text(s, "support", "active", "two");
    assert_int_equal(store_put_text(s, "support", "three", false), 3);
    assert_text(s, "support", "active", "two");
    assert_text(s, "support", "latest", "three");
    assert_missing(s, "support", "4", "version");
    assert_missing(s, "support", "0", "version");
    assert_missing(s, "support", "99999999999999999999", "version");
    assert_missing(s, "support", "stable", "label");
    assert_missing(s, "support", "", "label");
    assert_missing(s, "none", "1", param());
    store_close(s);
}

static void a_number_can_be_asked_to_be_greater(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    static const uint64_t above[] = {7, 0, 3, 20};
    static const uint64_t wanted[] = {8, 9, 10, 21};
    for (size_t i = 0; i < 4; i++) {
        const struct version_draft draft = {
            .content = "x", .sha256 = "", .author = "", .note = "", .above = above[i]};
        struct version_stored stored;
        struct version_state now;
        assert_int_equal(
            version_store_put(s, "a", &draft, true, &any_change, &stored, &now, &e), 0);
        assert_int_equal(stored.number, wanted[i]);
        assert_int_equal(now.active, wanted[i]);
        assert_int_equal(now.n_versions, i + 1);
    }
    store_close(s);
}

static void what_is_wrong_is_not_stored(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    assert_refused(store_put(s, "a/b", "Hi", true, &any_change, NULL, &e), &e, ERR_INVALID,
                   param());
    char actor[VERSION_ACTOR_MAX + 2];
    memset(actor, 'a', sizeof(actor) - 1);
    actor[VERSION_ACTOR_MAX + 1] = '\0';
    const struct version_change change = {.actor = actor};
    assert_refused(store_put(s, "a", "Hi", true, &change, NULL, &e), &e, ERR_INVALID, "actor");
    assert_missing(s, "a", NULL, param());
    store_close(s);
}

/* What happens to one is nothing to the other, though both have the same name. */
static void kinds_have_names_of_their_own(void **state)
{
    (void)state;
    struct store_folder f;
    store_folder_make(&f);
    struct err e = {0};
    struct version_database *d = version_database_open(f.file, &e);
    assert_non_null(d);
    struct version_store *prompts = version_database_store(d, VERSION_PROMPTS);
    struct version_store *filters = version_database_store(d, VERSION_FILTERS);
    store_put_text(prompts, "a", "one", true);
    store_put_text(filters, "a", "two", false);
    store_put_text(filters, "a", "three", true);
    assert_text(prompts, "a", "active", "one");
    assert_text(filters, "a", "active", "three");
    assert_missing(prompts, "a", "2", "version");
    assert_int_equal(store_state(filters, "a").revision, 2);
    struct version_state *objects;
    size_t n;
    assert_int_equal(version_store_objects(prompts, NULL, 9, &objects, &n, &e), 0);
    assert_int_equal(n, 1);
    mem_free(objects);
    assert_int_equal(version_store_delete(prompts, "a", &any_change, NULL, &e), 0);
    assert_text(filters, "a", "active", "three");

    static const struct {
        struct version_audit_filter filter;
        size_t n;
    } wanted[] = {
        {{VERSION_KINDS, NULL}, 4}, {{VERSION_PROMPTS, NULL}, 2}, {{VERSION_FILTERS, NULL}, 2},
        {{VERSION_KINDS, "a"}, 4},  {{VERSION_FILTERS, "a"}, 2},  {{VERSION_FILTERS, "b"}, 0},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        struct version_audit *rows;
        assert_int_equal(version_database_audit(d, &wanted[i].filter, 0, 9, &rows, &n, &e), 0);
        assert_int_equal(n, wanted[i].n);
        for (size_t k = 0; k < n && wanted[i].filter.kind < VERSION_KINDS; k++) {
            assert_int_equal(rows[k].kind, wanted[i].filter.kind);
        }
        mem_free(rows);
    }
    version_database_close(d);
    store_folder_remove(&f);
}

static void a_stale_revision_changes_nothing(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    struct version_state now;
    store_put_text(s, "a", "one", true);
    store_put_text(s, "a", "two", false);
    assert_int_equal(store_state(s, "a").revision, 2);

    const struct version_change fresh = {.actor = "x", .if_match = 2};
    assert_int_equal(version_store_activate(s, "a", 2, &fresh, &now, &e), 0);
    assert_int_equal(now.revision, 3);
    assert_refused(version_store_activate(s, "a", 1, &fresh, &now, &e), &e, ERR_CONFLICT,
                   "if-match");
    assert_refused(version_store_rollback(s, "a", &fresh, &now, &e), &e, ERR_CONFLICT,
                   "if-match");
    assert_refused(version_store_split(s, "a", 1, 5, &fresh, &now, &e), &e, ERR_CONFLICT,
                   "if-match");
    assert_refused(version_store_set_label(s, "a", "l", 1, &fresh, &now, &e), &e, ERR_CONFLICT,
                   "if-match");
    assert_refused(version_store_remove_label(s, "a", "l", &fresh, &now, &e), &e, ERR_CONFLICT,
                   "if-match");
    assert_refused(version_store_delete_version(s, "a", 1, &fresh, &now, &e), &e, ERR_CONFLICT,
                   "if-match");
    assert_refused(version_store_delete(s, "a", &fresh, NULL, &e), &e, ERR_CONFLICT,
                   "if-match");
    assert_refused(store_put(s, "a", "three", true, &fresh, &now, &e), &e, ERR_CONFLICT,
                   "if-match");
    assert_refused(store_put(s, "b", "three", true, &fresh, &now, &e), &e, ERR_CONFLICT,
                   "if-match");
    const struct version_change new_only = {.if_new = true};
    assert_refused(store_put(s, "a", "three", true, &new_only, &now, &e), &e, ERR_CONFLICT,
                   "if-none-match");
    now = store_state(s, "a");
    assert_int_equal(now.revision, 3);
    assert_int_equal(now.active, 2);
    assert_int_equal(now.latest, 2);
    assert_int_equal(store_put(s, "b", "three", true, &new_only, &now, &e), 0);
    store_close(s);
}

static void a_number_that_was_given_elsewhere_is_kept(void **state)
{
    (void)state;
    struct err e = {0};
    struct version_state now;
    struct version_text t;
    struct version_store *s = store_must_open(NULL);
    const struct version_change fifth = {.number = 5}, third = {.number = 3};
    assert_int_equal(store_put(s, "a", "five", true, &fifth, &now, &e), 0);
    assert_int_equal(now.active, 5);
    assert_int_equal(now.latest, 5);
    /* One that others had before; numbers of this store go on above all. */
    assert_int_equal(store_put(s, "a", "three", true, &third, &now, &e), 0);
    assert_int_equal(now.active, 3);
    assert_int_equal(now.latest, 5);
    assert_int_equal(now.n_versions, 2);
    assert_refused(store_put(s, "a", "other", true, &fifth, &now, &e), &e, ERR_CONFLICT,
                   "version");
    assert_int_equal(store_put_text(s, "a", "six", true), 6);
    e = (struct err){0};
    assert_int_equal(version_store_get(s, "a", "5", &t, &e), 0);
    assert_int_equal(t.number, 5);
    version_text_deinit(&t);
    assert_int_equal(version_store_rollback(s, "a", &any_change, &now, &e), 0);
    assert_int_equal(now.active, 3);
    store_close(s);
}

static uint64_t roll_back(struct version_store *s, const char *profile)
{
    struct err e = {0};
    struct version_state after;
    return version_store_rollback(s, profile, &any_change, &after, &e) == 0 ? after.active : 0;
}

static void a_rollback_goes_back_step_by_step(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    for (int i = 0; i < 5; i++) {
        store_put_text(s, "a", "text", true);
    }
    assert_int_equal(version_store_activate(s, "a", 2, &any_change, NULL, &e), 0);
    assert_int_equal(roll_back(s, "a"), 5);
    assert_int_equal(roll_back(s, "a"), 4);
    /* What is activated then is what the next one goes back from. */
    assert_int_equal(version_store_activate(s, "a", 1, &any_change, NULL, &e), 0);
    assert_int_equal(roll_back(s, "a"), 4);
    /* One that was deleted is passed over. */
    assert_int_equal(version_store_delete_version(s, "a", 3, &any_change, NULL, &e), 0);
    assert_int_equal(roll_back(s, "a"), 2);
    assert_int_equal(roll_back(s, "a"), 1);
    assert_refused(version_store_rollback(s, "a", &any_change, NULL, &e), &e, ERR_INVALID,
                   "version");
    assert_int_equal(store_state(s, "a").active, 1);
    store_put_text(s, "b", "text", false);
    assert_refused(version_store_rollback(s, "b", &any_change, NULL, &e), &e, ERR_INVALID,
                   "version");
    store_close(s);
}

static void a_split_ends_with_the_next_activation(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    struct version_state now;
    store_put_text(s, "a", "one", false);
    store_put_text(s, "a", "two", false);
    assert_refused(version_store_split(s, "a", 2, 10, &any_change, &now, &e), &e, ERR_INVALID,
                   "version");
    assert_int_equal(version_store_activate(s, "a", 1, &any_change, &now, &e), 0);
    assert_refused(version_store_split(s, "a", 1, 10, &any_change, &now, &e), &e, ERR_INVALID,
                   "version");
    assert_refused(version_store_split(s, "a", 3, 10, &any_change, &now, &e), &e, ERR_NOT_FOUND,
                   "version");
    assert_refused(version_store_split(s, "a", 2, 100, &any_change, &now, &e), &e, ERR_INVALID,
                   "percent");
    assert_refused(version_store_split(s, "a", 2, -1, &any_change, &now, &e), &e, ERR_INVALID,
                   "percent");

    assert_int_equal(version_store_split(s, "a", 2, 10, &any_change, &now, &e), 0);
    struct version_text active;
    struct version_text split;
    assert_int_equal(version_store_load(s, "a", &now, &active, &split, &e), 0);
    assert_int_equal(now.split, 2);
    assert_int_equal(now.split_percent, 10);
    assert_string_equal(active.content, content_of("one").json);
    assert_string_equal(split.content, content_of("two").json);
    version_text_deinit(&active);
    version_text_deinit(&split);
    assert_refused(version_store_delete_version(s, "a", 2, &any_change, &now, &e), &e,
                   ERR_INVALID, "version");

    /* The active one, activated, is then the only one. */
    assert_int_equal(version_store_activate(s, "a", 1, &any_change, &now, &e), 0);
    assert_int_equal(now.split, 0);
    assert_int_equal(now.split_percent, 0);
    uint64_t revision = now.revision;
    assert_int_equal(version_store_activate(s, "a", 1, &any_change, &now, &e), 0);
    assert_int_equal(now.revision, revision);

    assert_int_equal(version_store_split(s, "a", 2, 99, &any_change, &now, &e), 0);
    assert_int_equal(version_store_split(s, "a", 0, 0, &any_change, &now, &e), 0);
    assert_int_equal(now.split, 0);
    assert_int_equal(version_store_split(s, "a", 2, 50, &any_change, &now, &e), 0);
    assert_int_equal(version_store_activate(s, "a", 2, &any_change, &now, &e), 0);
    assert_int_equal(now.split, 0);
    store_close(s);
}

static void labels_point_and_move(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "1", "007", "active", "latest", "a b"};
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    store_put_text(s, "a", "one", true);
    store_put_text(s, "a", "two", false);
    assert_int_equal(version_store_set_label(s, "a", "stable", 1, &any_change, NULL, &e), 0);
    assert_int_equal(version_store_set_label(s, "a", "beta", 2, &any_change, NULL, &e), 0);
    assert_text(s, "a", "stable", "one");
    assert_refused(version_store_delete_version(s, "a", 2, &any_change, NULL, &e), &e,
                   ERR_INVALID, "version");
    assert_non_null(strstr(e.message, "beta"));
    assert_int_equal(version_store_set_label(s, "a", "stable", 2, &any_change, NULL, &e), 0);
    assert_text(s, "a", "stable", "two");
    assert_int_equal(version_store_remove_label(s, "a", "beta", &any_change, NULL, &e), 0);
    assert_missing(s, "a", "beta", "label");
    assert_refused(version_store_remove_label(s, "a", "beta", &any_change, NULL, &e), &e,
                   ERR_NOT_FOUND, "label");
    assert_refused(version_store_set_label(s, "a", "x", 3, &any_change, NULL, &e), &e,
                   ERR_NOT_FOUND, "version");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_refused(version_store_set_label(s, "a", bad[i], 1, &any_change, NULL, &e), &e,
                       ERR_INVALID, "label");
    }
    struct version_label *labels;
    size_t n;
    assert_int_equal(version_store_labels(s, "a", &labels, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_string_equal(labels[0].name, "stable");
    assert_int_equal(labels[0].version, 2);
    mem_free(labels);

    for (int i = 1; i < VERSION_LABELS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "l%d", i);
        assert_int_equal(version_store_set_label(s, "a", name, 1, &any_change, NULL, &e), 0);
    }
    assert_refused(version_store_set_label(s, "a", "more", 1, &any_change, NULL, &e), &e,
                   ERR_LIMIT, "label");
    assert_int_equal(version_store_set_label(s, "a", "l1", 2, &any_change, NULL, &e), 0);
    store_close(s);
}

static void a_number_is_never_given_twice(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    struct version_state now;
    store_put_text(s, "a", "one", true);
    store_put_text(s, "a", "two", false);
    assert_refused(version_store_delete_version(s, "a", 1, &any_change, &now, &e), &e,
                   ERR_INVALID, "version");
    assert_refused(version_store_delete_version(s, "a", 3, &any_change, &now, &e), &e,
                   ERR_NOT_FOUND, "version");
    assert_int_equal(version_store_delete_version(s, "a", 2, &any_change, &now, &e), 0);
    assert_int_equal(now.latest, 2);
    assert_int_equal(now.n_versions, 1);
    assert_text(s, "a", "latest", "one");
    assert_int_equal(store_put_text(s, "a", "three", false), 3);

    assert_int_equal(version_store_set_label(s, "a", "x", 3, &any_change, &now, &e), 0);
    assert_int_equal(version_store_split(s, "a", 3, 10, &any_change, &now, &e), 0);
    uint64_t revision = now.revision;
    assert_int_equal(version_store_delete(s, "a", &any_change, &now, &e), 0);
    assert_string_equal(now.name, "a");
    assert_int_equal(now.active, 0);
    assert_int_equal(now.revision, revision + 1);
    assert_missing(s, "a", "1", param());
    assert_refused(version_store_delete(s, "a", &any_change, NULL, &e), &e, ERR_NOT_FOUND,
                   param());
    assert_int_equal(store_put_text(s, "a", "four", false), 4);
    now = store_state(s, "a");
    assert_int_equal(now.revision, revision + 2);
    assert_int_equal(now.active, 0);
    assert_int_equal(now.n_versions, 1);
    assert_missing(s, "a", "1", "version");
    assert_missing(s, "a", "x", "label");
    assert_int_equal(roll_back(s, "a"), 0);

    store_put_text(s, "default", "one", true);
    assert_refused(version_store_delete(s, "default", &any_change, NULL, &e), &e, ERR_INVALID,
                   param());
    store_close(s);
}

static void lists_come_in_pages(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    for (int i = 0; i < 7; i++) {
        char name[16];
        snprintf(name, sizeof(name), "p%d", i);
        store_put_text(s, name, "text", i % 2 == 0);
        store_put_text(s, "p3", "more", false);
    }
    struct version_state *profiles;
    size_t n;
    assert_int_equal(version_store_objects(s, NULL, 5, &profiles, &n, &e), 0);
    assert_int_equal(n, 5);
    assert_string_equal(profiles[0].name, "p0");
    char last[VERSION_NAME_MAX + 1];
    strcpy(last, profiles[4].name);
    mem_free(profiles);
    assert_int_equal(version_store_objects(s, last, 5, &profiles, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_string_equal(profiles[1].name, "p6");
    mem_free(profiles);
    assert_int_equal(version_store_objects(s, "p6", 5, &profiles, &n, &e), 0);
    assert_int_equal(n, 0);
    assert_null(profiles);

    struct version_info *versions;
    uint64_t before = 0;
    uint64_t wanted = 8;
    do {
        assert_int_equal(version_store_versions(s, "p3", before, 3, &versions, &n, &e), 0);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(versions[i].version, wanted--);
            assert_int_equal(versions[i].size, 4);
        }
        before = n > 0 ? versions[n - 1].version : 0;
        mem_free(versions);
    } while (n == 3);
    assert_int_equal(wanted, 0);
    assert_int_equal(version_store_versions(s, "p3", 0, SIZE_MAX, &versions, &n, &e), 0);
    assert_int_equal(n, 8);
    mem_free(versions);
    assert_refused(version_store_versions(s, "q", 0, 3, &versions, &n, &e), &e, ERR_NOT_FOUND,
                   param());
    store_close(s);
}

static void each_change_has_its_audit_row(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    const struct version_change by_eve = {.actor = "eve"};
    store_put_text(s, "a", "one", true);
    store_put_text(s, "b", "one", false);
    store_put_text(s, "a", "two", false);
    assert_int_equal(version_store_split(s, "a", 2, 10, &by_eve, NULL, &e), 0);
    assert_int_equal(version_store_activate(s, "a", 2, &by_eve, NULL, &e), 0);
    assert_int_equal(version_store_rollback(s, "a", &by_eve, NULL, &e), 0);
    assert_int_equal(version_store_set_label(s, "a", "x", 1, &by_eve, NULL, &e), 0);
    assert_int_equal(version_store_set_label(s, "a", "x", 2, &by_eve, NULL, &e), 0);
    assert_int_equal(version_store_remove_label(s, "a", "x", &by_eve, NULL, &e), 0);
    assert_int_equal(version_store_delete_version(s, "a", 2, &by_eve, NULL, &e), 0);
    assert_int_equal(version_store_delete(s, "a", &by_eve, NULL, &e), 0);
    /* No row of what changed nothing. */
    assert_int_equal(version_store_activate(s, "b", 9, &by_eve, NULL, &e), -1);

    static const struct {
        const char *action;
        const char *subject;
        const char *before;
        const char *after;
    } wanted[] = {
        {"put", "1", "", "1"},
        {"put", "2", "1", "1"},
        {"split", "2", "1", "1 and 10% 2"},
        {"activate", "2", "1 and 10% 2", "2"},
        {"rollback", "1", "2", "1"},
        {"label", "x", "", "1"},
        {"label", "x", "1", "2"},
        {"unlabel", "x", "2", ""},
        {"delete_version", "2", "1", "1"},
        {"", "", "1", ""}, /* its name is the kind's */
    };
    enum { N = sizeof(wanted) / sizeof(wanted[0]) };
    struct version_audit *rows;
    size_t n;
    assert_int_equal(store_audit(s, "a", 0, 100, &rows, &n, &e), 0);
    assert_int_equal(n, N);
    for (size_t i = 0; i < N; i++) {
        const struct version_audit *row = &rows[N - 1 - i];
        char deletion[16];
        snprintf(deletion, sizeof(deletion), "delete_%s", param());
        assert_string_equal(row->action, wanted[i].action[0] ? wanted[i].action : deletion);
        assert_int_equal(row->kind, store_kind);
        assert_string_equal(row->subject, wanted[i].subject);
        assert_string_equal(row->before, wanted[i].before);
        assert_string_equal(row->after, wanted[i].after);
        assert_string_equal(row->actor, i < 2 ? "tester" : "eve");
        assert_string_equal(row->name, "a");
        assert_int_equal(row->revision, i + 1);
        assert_true(row->time > 0);
    }
    uint64_t third = rows[2].id;
    mem_free(rows);
    assert_int_equal(store_audit(s, NULL, third, 2, &rows, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_true(rows[0].id < third && rows[1].id < rows[0].id);
    mem_free(rows);
    store_close(s);
}

struct seen {
    int n;
    struct version_store *store;
    char names[64];
};

static int see(void *ctx, const struct version_state *profile,
               const struct version_text *active, const struct version_text *split,
               struct err *e)
{
    struct seen *seen = ctx;
    size_t len = strlen(seen->names);
    snprintf(seen->names + len, sizeof(seen->names) - len, "%s@%d/%d ", profile->name,
             (int)active->number, split ? (int)split->number : 0);
    /* It may call the store. */
    assert_int_equal(store_state(seen->store, profile->name).revision, profile->revision);
    return --seen->n == 0 ? err_set(e, ERR_LIMIT, "enough") : 0;
}

static int count_active(void *ctx, const struct version_state *profile,
                        const struct version_text *active, const struct version_text *split,
                        struct err *e)
{
    (void)profile;
    (void)active;
    (void)split;
    (void)e;
    ++*(int *)ctx;
    return 0;
}

static void there_is_a_most_of_profiles(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    struct err e = {0};
    for (int i = 0; i < VERSION_OBJECTS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "p%d", i);
        store_put_text(s, name, "text", true);
    }
    assert_refused(store_put(s, "more", "text", true, &any_change, NULL, &e), &e, ERR_LIMIT,
                   param());
    int n = 0;
    assert_int_equal(version_store_load_active(s, count_active, &n, &e), 0);
    assert_int_equal(n, VERSION_OBJECTS_MAX);
    assert_int_equal(version_store_delete(s, "p7", &any_change, NULL, &e), 0);
    assert_int_equal(store_put(s, "more", "text", true, &any_change, NULL, &e), 0);
    store_close(s);
}

static void everything_is_there_after_a_restart(void **state)
{
    (void)state;
    struct store_folder f;
    store_folder_make(&f);
    struct err e = {0};
    struct version_store *s = store_must_open(f.file);
    store_put_text(s, "a", "one", true);
    store_put_text(s, "a", "two", false);
    store_put_text(s, "b", "none active", false);
    store_put_text(s, "c", "one", true);
    assert_int_equal(version_store_split(s, "a", 2, 30, &any_change, NULL, &e), 0);
    struct version_state before = store_state(s, "a");
    store_close(s);

    struct stat info;
    assert_int_equal(stat(f.file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);

    s = store_must_open(f.file);
    struct version_state after = store_state(s, "a");
    assert_true(store_same_state(&before, &after));
    struct seen seen = {.store = s};
    assert_int_equal(version_store_load_active(s, see, &seen, &e), 0);
    assert_string_equal(seen.names, "a@1/2 c@1/0 ");
    seen = (struct seen){.store = s, .n = 1};
    assert_int_equal(version_store_load_active(s, see, &seen, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(seen.names, "a@1/2 ");
    store_close(s);
    store_folder_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_numbered_and_read_back),
        cmocka_unit_test(a_number_can_be_asked_to_be_greater),
        cmocka_unit_test(a_number_that_was_given_elsewhere_is_kept),
        cmocka_unit_test(kinds_have_names_of_their_own),
        cmocka_unit_test(what_is_wrong_is_not_stored),
        cmocka_unit_test(a_stale_revision_changes_nothing),
        cmocka_unit_test(a_rollback_goes_back_step_by_step),
        cmocka_unit_test(a_split_ends_with_the_next_activation),
        cmocka_unit_test(labels_point_and_move),
        cmocka_unit_test(a_number_is_never_given_twice),
        cmocka_unit_test(lists_come_in_pages),
        cmocka_unit_test(each_change_has_its_audit_row),
        cmocka_unit_test(there_is_a_most_of_profiles),
        cmocka_unit_test(everything_is_there_after_a_restart),
    };
    int n_failed = cmocka_run_group_tests_name("prompts", tests, NULL, NULL);
    store_kind = VERSION_FILTERS;
    return n_failed + cmocka_run_group_tests_name("filters", tests, NULL, NULL);
}
