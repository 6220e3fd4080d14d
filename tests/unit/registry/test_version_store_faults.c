/* version_store.h: disks that are full, files that are damaged, foreign or not writable */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "runtime/base/mem.h"
#include "tests/unit/registry/store_fixture.h"

/* --- a disk on which one write fails --- */

static sqlite3_vfs *real_vfs;
static sqlite3_vfs test_vfs;
static int writes_left = -1; /* until they fail; -1: they work */
static int write_error;
static int n_syncs;

/* SQLite has methods for each kind of file; two are replaced in a copy of them. */
#define N_KINDS 4
static const sqlite3_io_methods *real_methods[N_KINDS];
static sqlite3_io_methods test_methods[N_KINDS];

static int test_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    if (writes_left == 0) {
        return write_error;
    }
    writes_left -= writes_left > 0;
    return real_methods[file->pMethods - test_methods]->xWrite(file, data, len, at);
}

static int test_sync(sqlite3_file *file, int flags)
{
    n_syncs++;
    return real_methods[file->pMethods - test_methods]->xSync(file, flags);
}

static int test_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                     int *out_flags)
{
    (void)vfs;
    int rc = real_vfs->xOpen(real_vfs, name, file, flags, out_flags);
    if (rc != SQLITE_OK || !file->pMethods) {
        return rc;
    }
    size_t kind = 0;
    while (real_methods[kind] && real_methods[kind] != file->pMethods) {
        kind++;
        assert_true(kind < N_KINDS);
    }
    real_methods[kind] = file->pMethods;
    test_methods[kind] = *file->pMethods;
    test_methods[kind].xWrite = test_write;
    test_methods[kind].xSync = test_sync;
    file->pMethods = &test_methods[kind];
    return rc;
}

static void use_test_disk(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    test_vfs = *real_vfs;
    test_vfs.zName = "test";
    test_vfs.xOpen = test_open;
    assert_int_equal(sqlite3_vfs_register(&test_vfs, 1), SQLITE_OK);
}

static void use_real_disk(void)
{
    writes_left = -1;
    sqlite3_vfs_unregister(&test_vfs);
    sqlite3_vfs_register(real_vfs, 1);
}

static void a_change_that_cannot_be_written_did_not_happen(void **state)
{
    (void)state;
    static const int errors[] = {SQLITE_FULL, SQLITE_IOERR_WRITE};
    use_test_disk();
    for (size_t i = 0; i < 2; i++) {
        struct store_folder f;
        store_folder_make(&f);
        struct version_store *s = store_must_open(f.file);
        store_put_text(s, "a", "one", true);
        struct version_state before = store_state(s, "a");
        write_error = errors[i];
        int n_failed = 0;
        for (int nth = 0;; nth++) {
            struct err e = {0};
            writes_left = nth;
            int rc = store_put(s, "a", "two", true, &any_change, NULL, &e);
            writes_left = -1;
            if (rc == 0) {
                break;
            }
            n_failed++;
            assert_int_equal(e.kind, ERR_IO);
            assert_non_null(strstr(e.message, f.file));
            assert_true((errors[i] == SQLITE_FULL) ==
                        (strstr(e.message, "disk is full") != NULL));
            struct version_state now = store_state(s, "a");
            assert_true(store_same_state(&now, &before));
        }
        assert_true(n_failed > 0);
        struct version_state now = store_state(s, "a");
        assert_int_equal(now.active, 2);
        assert_int_equal(now.revision, 2);
        store_close(s);
        s = store_must_open(f.file);
        assert_int_equal(store_state(s, "a").active, 2);
        store_close(s);
        store_folder_remove(&f);
    }
    use_real_disk();
}

static void a_change_is_on_the_disk_when_it_returns(void **state)
{
    (void)state;
    struct store_folder f;
    store_folder_make(&f);
    use_test_disk();
    struct version_store *s = store_must_open(f.file);
    for (int i = 0; i < 10; i++) {
        int before = n_syncs;
        store_put_text(s, "a", "text", true);
        assert_true(n_syncs > before);
    }
    store_close(s);
    use_real_disk();
    store_folder_remove(&f);
}

/* --- files --- */

static void assert_not_opened(const char *path, enum err_kind kind, const char *message)
{
    struct err e = {0};
    assert_null(version_database_open(path, &e));
    if (e.kind != kind || !strstr(e.message, message) || !strstr(e.message, path)) {
        fail_msg("kind %d: %s", e.kind, e.message);
    }
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void make_file(const char *path)
{
    struct version_store *s = store_must_open(path);
    for (int i = 0; i < 50; i++) {
        store_put_text(s, "a", "a text that takes some room", true);
    }
    store_close(s);
}

static void files_that_are_not_ours_are_left_alone(void **state)
{
    (void)state;
    struct store_folder f;
    store_folder_make(&f);
    run_sql(f.file, "CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    assert_not_opened(f.file, ERR_FORMAT, "another program");
    run_sql(f.file, "SELECT x FROM t");
    unlink(f.file);

    make_file(f.file);
    run_sql(f.file, "PRAGMA user_version = 1000");
    assert_not_opened(f.file, ERR_UNSUPPORTED, "newer Weir");
    run_sql(f.file, "PRAGMA user_version = 3");
    store_close(store_must_open(f.file));
    unlink(f.file);

    FILE *file = fopen(f.file, "w");
    for (int i = 0; i < 1000; i++) {
        fputs("this is a text and no database\n", file);
    }
    fclose(file);
    assert_not_opened(f.file, ERR_IO, "no SQLite database");
    unlink(f.file);

    char path[128];
    snprintf(path, sizeof(path), "%s/none/state.db", f.path);
    assert_not_opened(path, ERR_NOT_FOUND, "cannot create");
    assert_not_opened(f.path, ERR_IO, "");
    assert_not_opened(":memory:", ERR_INVALID, "");
    assert_not_opened("", ERR_INVALID, "");
    store_folder_remove(&f);
}

static void damage_is_found_at_the_start(void **state)
{
    (void)state;
    struct store_folder f;
    store_folder_make(&f);
    make_file(f.file);
    struct stat info;
    assert_int_equal(stat(f.file, &info), 0);
    int fd = open(f.file, O_WRONLY);
    char junk[512];
    memset(junk, 0xA5, sizeof(junk));
    for (off_t at = 4096; at < info.st_size; at += 4096) {
        assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
    }
    close(fd);
    assert_not_opened(f.file, ERR_IO, "damaged");
    store_folder_remove(&f);
}

static void a_content_that_is_not_what_was_stored_is_not_served(void **state)
{
    (void)state;
    struct store_folder f;
    store_folder_make(&f);
    make_file(f.file);
    run_sql(f.file, "UPDATE version SET content = replace(content, 'some', 'more')"
                    " WHERE number IN (3, 50)");
    struct version_store *s = store_must_open(f.file);
    struct err e = {0};
    struct version_text t;
    struct version_state now;
    assert_int_equal(version_store_get(s, "a", "3", &t, &e), -1);
    assert_int_equal(e.kind, ERR_IO);
    assert_non_null(strstr(e.message, "a@3"));
    assert_int_equal(version_store_load(s, "a", &now, &t, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_IO);
    assert_int_equal(version_store_load_active(s, NULL, NULL, &e), -1);
    assert_int_equal(version_store_get(s, "a", "4", &t, &e), 0);
    version_text_deinit(&t);
    store_close(s);
    store_folder_remove(&f);
}

/* In a child that is not root, whom no mode of a file holds back. */
static void a_file_that_cannot_be_written_is_refused(void **state)
{
    (void)state;
    struct store_folder f;
    store_folder_make(&f);
    make_file(f.file);
    assert_int_equal(chmod(f.path, 0755), 0);
    assert_int_equal(chmod(f.file, 0444), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct err e = {0};
        bool is_root = geteuid() == 0;
        bool refused = (!is_root || setuid(65534) == 0) && !version_database_open(f.file, &e) &&
                       e.kind == ERR_IO && strstr(e.message, "cannot be written");
        if (!refused) {
            fprintf(stderr, "%s\n", e.message);
        }
        _exit(refused ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    store_folder_remove(&f);
}

static void a_file_that_another_process_holds_is_waited_for(void **state)
{
    (void)state;
    struct store_folder f;
    store_folder_make(&f);
    struct version_store *s = store_must_open(f.file);
    struct version_store *other = store_must_open(f.file);
    /* Two connections take turns and see each other's changes. */
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(store_put_text(i % 2 ? s : other, "a", "text", true), i + 1);
        assert_int_equal(store_state(i % 2 ? other : s, "a").active, i + 1);
    }
    store_close(other);
    store_close(s);
    store_folder_remove(&f);
}

/* --- memory --- */

static int look(void *ctx, const struct version_state *profile,
                const struct version_text *active, const struct version_text *split,
                struct err *e)
{
    (void)profile;
    (void)split;
    (void)e;
    *(uint64_t *)ctx = active->number;
    return 0;
}

static void a_failed_allocation_changes_nothing(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    store_put_text(s, "a", "one", true);
    size_t live = mem_live();
    for (size_t nth = 1;; nth++) {
        struct err e = {0};
        struct version_state before = store_state(s, "a");
        struct version_state now = {.latest = 0};
        struct version_text back = {.number = 0};
        struct version_info *versions = NULL;
        size_t n = 0;
        mem_fail_at(nth);
        bool put = store_put(s, "a", "two", true, &any_change, &now, &e) == 0;
        bool got = put && version_store_get(s, "a", NULL, &back, &e) == 0;
        bool listed = got && version_store_versions(s, "a", 0, 10, &versions, &n, &e) == 0;
        uint64_t seen = 0;
        bool loaded = listed && version_store_load_active(s, look, &seen, &e) == 0;
        bool failed = mem_fail_reached();
        mem_fail_at(0);
        assert_int_equal(loaded, !failed);
        assert_true(!loaded || seen == now.latest);
        now = store_state(s, "a");
        assert_int_equal(now.active, before.active + (put ? 1 : 0));
        mem_free(versions);
        version_text_deinit(&back);
        assert_int_equal(mem_live(), live);
        if (!failed) {
            break;
        }
    }
    store_close(s);
    struct version_database *d;
    for (size_t nth = 1;; nth++) {
        struct err e = {0};
        mem_fail_at(nth);
        d = version_database_open(NULL, &e);
        mem_fail_at(0);
        if (d) {
            break;
        }
        assert_int_equal(e.kind, ERR_NOMEM);
    }
    version_database_close(d);
}

/* SQLite's own memory. */
static void sqlite_out_of_memory_changes_nothing(void **state)
{
    (void)state;
    struct version_store *s = store_must_open(NULL);
    store_put_text(s, "a", "one", true);
    struct version_state before = store_state(s, "a");
    int n_failed = 0;
    for (sqlite3_int64 room = 0;; room += 256) {
        struct err e = {0};
        sqlite3_hard_heap_limit64(sqlite3_memory_used() + room + 1);
        int rc = store_put(s, "a", "two", true, &any_change, NULL, &e);
        sqlite3_hard_heap_limit64(0);
        if (rc == 0) {
            break;
        }
        n_failed++;
        assert_int_equal(e.kind, ERR_NOMEM);
        struct version_state now = store_state(s, "a");
        assert_true(store_same_state(&now, &before));
    }
    assert_true(n_failed > 0);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_that_cannot_be_written_did_not_happen),
        cmocka_unit_test(a_change_is_on_the_disk_when_it_returns),
        cmocka_unit_test(files_that_are_not_ours_are_left_alone),
        cmocka_unit_test(damage_is_found_at_the_start),
        cmocka_unit_test(a_content_that_is_not_what_was_stored_is_not_served),
        cmocka_unit_test(a_file_that_cannot_be_written_is_refused),
        cmocka_unit_test(a_file_that_another_process_holds_is_waited_for),
        cmocka_unit_test(a_failed_allocation_changes_nothing),
        cmocka_unit_test(sqlite_out_of_memory_changes_nothing),
    };
    int n_failed = cmocka_run_group_tests_name("prompts", tests, NULL, NULL);
    store_kind = VERSION_FILTERS;
    return n_failed + cmocka_run_group_tests_name("filters", tests, NULL, NULL);
}
