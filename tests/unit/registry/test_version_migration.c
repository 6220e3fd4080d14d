/* version_store.h: files that an older Weir wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <sqlite3.h>

#include "runtime/base/mem.h"
#include "runtime/registry/model_store.h"
#include "runtime/registry/prompt_store.h"
#include "tests/unit/registry/store_fixture.h"

/* What format 1 was. */
static const char format_1[] =
    "CREATE TABLE profile("
    " id INTEGER PRIMARY KEY,"
    " name TEXT NOT NULL UNIQUE,"
    " revision INTEGER NOT NULL,"
    " latest INTEGER NOT NULL,"
    " active INTEGER,"
    " split INTEGER,"
    " split_percent INTEGER NOT NULL DEFAULT 0,"
    " activation INTEGER REFERENCES activation(id),"
    " updated INTEGER NOT NULL,"
    " deleted INTEGER NOT NULL DEFAULT 0,"
    " FOREIGN KEY(id, active) REFERENCES version(profile, number),"
    " FOREIGN KEY(id, split) REFERENCES version(profile, number)) STRICT;"
    "CREATE TABLE version("
    " profile INTEGER NOT NULL REFERENCES profile(id),"
    " number INTEGER NOT NULL,"
    " sha256 TEXT NOT NULL,"
    " created INTEGER NOT NULL,"
    " mode INTEGER NOT NULL,"
    " text_len INTEGER NOT NULL,"
    " author TEXT NOT NULL,"
    " note TEXT NOT NULL,"
    " content TEXT NOT NULL,"
    " PRIMARY KEY(profile, number)) STRICT;"
    "CREATE TABLE label("
    " profile INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " version INTEGER NOT NULL,"
    " PRIMARY KEY(profile, name),"
    " FOREIGN KEY(profile, version) REFERENCES version(profile, number))"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX label_version ON label(profile, version);"
    "CREATE TABLE activation("
    " id INTEGER PRIMARY KEY,"
    " profile INTEGER NOT NULL REFERENCES profile(id),"
    " version INTEGER NOT NULL,"
    " previous INTEGER REFERENCES activation(id),"
    " time INTEGER NOT NULL) STRICT;"
    "CREATE TABLE audit("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " time INTEGER NOT NULL,"
    " actor TEXT NOT NULL,"
    " action TEXT NOT NULL,"
    " profile TEXT NOT NULL,"
    " subject TEXT NOT NULL,"
    " before TEXT NOT NULL,"
    " after TEXT NOT NULL,"
    " revision INTEGER NOT NULL) STRICT;"
    "CREATE INDEX audit_profile ON audit(profile, id);"
    "PRAGMA application_id=1466263922; PRAGMA user_version=1;";

/* What format 2 made of it. */
static const char format_2[] =
    "CREATE TABLE profile_of_kind("
    " id INTEGER PRIMARY KEY,"
    " kind TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " revision INTEGER NOT NULL,"
    " latest INTEGER NOT NULL,"
    " active INTEGER,"
    " split INTEGER,"
    " split_percent INTEGER NOT NULL DEFAULT 0,"
    " activation INTEGER REFERENCES activation(id),"
    " updated INTEGER NOT NULL,"
    " deleted INTEGER NOT NULL DEFAULT 0,"
    " UNIQUE(kind, name),"
    " FOREIGN KEY(id, active) REFERENCES version(profile, number),"
    " FOREIGN KEY(id, split) REFERENCES version(profile, number)) STRICT;"
    "PRAGMA foreign_keys=OFF;"
    "INSERT INTO profile_of_kind SELECT id, 'prompt', name, revision, latest, active, split,"
    " split_percent, activation, updated, deleted FROM profile;"
    "DROP TABLE profile;"
    "ALTER TABLE profile_of_kind RENAME TO profile;"
    "ALTER TABLE version ADD COLUMN content_sha256 TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE audit ADD COLUMN kind TEXT NOT NULL DEFAULT 'prompt';"
    "DROP INDEX audit_profile;"
    "CREATE INDEX audit_object ON audit(profile, kind, id);"
    "PRAGMA user_version=2;";

/* "shop" has three versions, a label, a split and a way back; "gone" was deleted; hashes are
 * those of the texts. */
static const char content[] =
    "PRAGMA foreign_keys=ON;"
    "INSERT INTO profile(id, name, revision, latest, updated, deleted) VALUES"
    " (1, 'shop', 7, 3, 1767225600, 0), (2, 'gone', 4, 2, 1767225601, 1);"
    "INSERT INTO version VALUES"
    " (1, 1, '7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed', 1767225600, "
    "0, 3,"
    "  'anna', 'first', '{\"text\":\"one\",\"author\":\"anna\",\"note\":\"first\"}'),"
    " (1, 2, '3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3', 1767225601, "
    "0, 3,"
    "  '', '', '{\"text\":\"two\"}'),"
    " (1, 3, '8b5b9db0c13db24256c829aa364aa90c6d2eba318b9232a4ab9313b954d3555f', 1767225602, "
    "0, 5,"
    "  '', '', '{\"text\":\"three\"}');"
    "INSERT INTO label VALUES(1, 'stable', 1);"
    "INSERT INTO activation VALUES(1, 1, 1, NULL, 1767225600), (2, 1, 2, 1, 1767225601);"
    "UPDATE profile SET active = 2, activation = 2, split = 3, split_percent = 10 WHERE id = 1;"
    "INSERT INTO audit(time, actor, action, profile, subject, before, after, revision) VALUES"
    " (1767225600, 'anna', 'put', 'shop', '1', '', '1', 1),"
    " (1767225601, 'berta', 'put', 'shop', '2', '1', '2', 2);";

static void run_sql(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
        fail_msg("%s", message);
    }
}

static void make_old_file(const char *path, int format)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    run_sql(db, "PRAGMA journal_mode=WAL");
    run_sql(db, format_1);
    run_sql(db, content);
    if (format == 2) {
        run_sql(db, format_2);
    }
    sqlite3_close(db);
}

static void assert_text(struct version_store *s, const char *which, const char *text)
{
    struct err e = {0};
    struct prompt *p = prompt_store_get(s, "shop", which, &e);
    assert_string_equal(p ? p->text : e.message, text);
    prompt_unref(p);
}

static void check_all(struct version_store *s)
{
    struct err e = {0};
    struct version_state now = store_state(s, "shop");
    assert_int_equal(now.revision, 7);
    assert_int_equal(now.latest, 3);
    assert_int_equal(now.active, 2);
    assert_int_equal(now.split, 3);
    assert_int_equal(now.split_percent, 10);
    assert_int_equal(now.n_versions, 3);
    assert_int_equal(now.updated, 1767225600);
    assert_text(s, "1", "one");
    assert_text(s, "active", "two");
    assert_text(s, "latest", "three");
    assert_text(s, "stable", "one");

    struct version_info *versions;
    size_t n;
    assert_int_equal(version_store_versions(s, "shop", 0, 9, &versions, &n, &e), 0);
    assert_int_equal(n, 3);
    assert_string_equal(versions[2].author, "anna");
    assert_string_equal(versions[2].note, "first");
    assert_int_equal(versions[0].size, 5);
    mem_free(versions);
    struct version_audit *rows;
    assert_int_equal(store_audit(s, "shop", 0, 9, &rows, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_string_equal(rows[0].actor, "berta");
    assert_string_equal(rows[1].after, "1");
    mem_free(rows);
    struct version_text t;
    assert_int_equal(version_store_get(s, "gone", "1", &t, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

/* Models are new to it. */
static void check_models(const char *file)
{
    struct err e = {0};
    struct model_record r;
    struct version_database *d = version_database_open(file, &e);
    assert_int_equal(model_store_load(d, "tiny", &r, &e), 0);
    assert_int_equal(r.revision, 0);
    model_record_deinit(&r);
    const struct model_change c = {
        .action = MODEL_ACTION_ACTIVATE, .who = "carla", .version = "2", .reason = "why"};
    assert_int_equal(model_store_change(d, "tiny", &c, &r, &e), 0);
    assert_string_equal(r.active.version, "2");
    model_record_deinit(&r);
    const struct version_audit_filter all = {.kind = VERSION_KINDS};
    struct version_audit *rows;
    size_t n;
    assert_int_equal(version_database_audit(d, &all, 0, 9, &rows, &n, &e), 0);
    assert_int_equal(rows[0].kind, VERSION_MODELS);
    assert_int_equal(rows[0].id, rows[1].id + 1);
    assert_string_equal(rows[0].reason, "why");
    assert_string_equal(rows[1].reason, "");
    mem_free(rows);
    version_database_close(d);
}

static void check_old_file(int format)
{
    struct store_folder f;
    store_folder_make(&f);
    make_old_file(f.file, format);
    struct version_store *s = NULL;
    for (int i = 0; i < 2; i++) {
        store_close(s);
        s = store_must_open(f.file);
        check_all(s);
    }
    /* And it goes on from there. */
    struct err e = {0};
    struct version_state now;
    assert_int_equal(version_store_rollback(s, "shop", &any_change, &now, &e), 0);
    assert_int_equal(now.active, 1);
    assert_int_equal(now.revision, 8);
    assert_int_equal(store_put_text(s, "gone", "three", true), 3);
    assert_int_equal(store_state(s, "gone").revision, 5);
    assert_int_equal(version_store_delete_version(s, "shop", 1, &any_change, NULL, &e), -1);
    assert_int_equal(version_store_delete(s, "shop", &any_change, NULL, &e), 0);
    store_close(s);
    check_models(f.file);
    store_folder_remove(&f);
}

static void all_of_an_old_file_is_there(void **state)
{
    (void)state;
    check_old_file(1);
    check_old_file(2);
}

/* References that the steps do not check are checked at the end. */
static void an_old_file_with_a_broken_reference_is_refused(void **state)
{
    (void)state;
    struct store_folder f;
    struct err e = {0};
    sqlite3 *db;
    store_folder_make(&f);
    make_old_file(f.file, 1);
    assert_int_equal(sqlite3_open(f.file, &db), SQLITE_OK);
    run_sql(db, "PRAGMA foreign_keys=OFF; DELETE FROM version WHERE number = 2");
    sqlite3_close(db);
    for (int i = 0; i < 2; i++) {
        assert_null(version_database_open(f.file, &e));
        assert_int_equal(e.kind, ERR_IO);
        assert_non_null(strstr(e.message, "damaged"));
    }
    store_folder_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_an_old_file_is_there),
        cmocka_unit_test(an_old_file_with_a_broken_reference_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
