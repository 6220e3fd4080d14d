#include "runtime/registry/database.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/mem.h"

#define BUSY_TIMEOUT_MS 5000
#define IN_MEMORY       ":memory:"

/* --- errors --- */

int database_error(struct database *d, struct err *e)
{
    int code = sqlite3_errcode(d->handle) & 0xFF;
    const char *why = sqlite3_errmsg(d->handle);
    switch (code) {
    case SQLITE_NOMEM:
        return err_nomem(e);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        err_set(e, ERR_BUSY, "%s: another process has held the file for %d s; try again",
                d->path, BUSY_TIMEOUT_MS / 1000);
        e->retry_after_s = 1;
        return -1;
    case SQLITE_FULL:
        return err_set(e, ERR_IO, "%s: the disk is full; nothing was changed: make room",
                       d->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return err_set(e, ERR_IO,
                       "%s: cannot be written; give Weir write access to the file and its "
                       "folder",
                       d->path);
    case SQLITE_CORRUPT:
        return err_set(e, ERR_IO, "%s: the file is damaged (%s); put a backup in its place",
                       d->path, why);
    case SQLITE_NOTADB:
        return err_set(e, ERR_IO, "%s: is no SQLite database", d->path);
    default:
        return err_set(e, ERR_IO, "%s: %s", d->path, why);
    }
}

/* --- queries --- */

static void fail(struct query *q)
{
    if (!q->failed) {
        q->failed = true;
        database_error(q->database, q->e);
    }
}

static void begin(struct query *q, struct database *d, struct err *e, const char *sql,
                  const char *types, va_list args)
{
    *q = (struct query){.database = d, .e = e};
    if (sqlite3_prepare_v2(d->handle, sql, -1, &q->statement, NULL) != SQLITE_OK) {
        fail(q);
        return;
    }
    for (int i = 0; types[i]; i++) {
        int rc = types[i] == 't'
                     ? sqlite3_bind_text(q->statement, i + 1, va_arg(args, const char *), -1,
                                         SQLITE_STATIC)
                     : sqlite3_bind_int64(q->statement, i + 1, va_arg(args, int64_t));
        if (rc != SQLITE_OK) {
            fail(q);
            return;
        }
    }
}

void query_begin(struct query *q, struct database *d, struct err *e, const char *sql,
                 const char *types, ...)
{
    va_list args;
    va_start(args, types);
    begin(q, d, e, sql, types, args);
    va_end(args);
}

bool query_next(struct query *q)
{
    if (q->failed) {
        return false;
    }
    int rc = sqlite3_step(q->statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        fail(q);
    }
    return rc == SQLITE_ROW;
}

int query_end(struct query *q)
{
    sqlite3_finalize(q->statement);
    q->statement = NULL;
    return q->failed ? -1 : 0;
}

int64_t query_int(const struct query *q, int column)
{
    return sqlite3_column_int64(q->statement, column);
}

const char *query_text(const struct query *q, int column)
{
    const unsigned char *text = sqlite3_column_text(q->statement, column);
    return text ? (const char *)text : "";
}

void query_copy(const struct query *q, int column, char *out, size_t size)
{
    snprintf(out, size, "%s", query_text(q, column));
}

int database_run(struct database *d, struct err *e, const char *sql, const char *types, ...)
{
    struct query q;
    va_list args;
    va_start(args, types);
    begin(&q, d, e, sql, types, args);
    va_end(args);
    while (query_next(&q)) {
    }
    return query_end(&q);
}

/* Several statements, none with parameters. */
static int run_script(struct database *d, struct err *e, const char *sql)
{
    return sqlite3_exec(d->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                       : database_error(d, e);
}

static int read_pragma(struct database *d, struct err *e, const char *sql, int64_t *out)
{
    struct query q;
    query_begin(&q, d, e, sql, "");
    *out = query_next(&q) ? query_int(&q, 0) : 0;
    return query_end(&q);
}

/* --- transactions --- */

void database_rollback(struct database *d)
{
    /* Some failures have ended the transaction already. */
    if (!sqlite3_get_autocommit(d->handle)) {
        sqlite3_exec(d->handle, "ROLLBACK", NULL, NULL, NULL);
    }
}

static int check_form(struct database *d, struct err *e)
{
    int64_t form;
    if (read_pragma(d, e, "PRAGMA user_version", &form) != 0) {
        return -1;
    }
    return d->form == 0 || form <= d->form
               ? 0
               : err_set(e, ERR_IO,
                         "%s: a newer Weir has the file now; nothing was changed: run that one",
                         d->path);
}

int database_begin(struct database *d, struct err *e)
{
    /* IMMEDIATE: a transaction that reads first and then cannot write would have to start
     * again. */
    if (database_run(d, e, "BEGIN IMMEDIATE", "") != 0) {
        return -1;
    }
    if (check_form(d, e) != 0) {
        database_rollback(d);
        return -1;
    }
    return 0;
}

int database_commit(struct database *d, struct err *e)
{
    int rc = database_run(d, e, "COMMIT", "");
    if (rc != 0) {
        database_rollback(d);
    }
    return rc;
}

int database_end(struct database *d, int rc, struct err *e)
{
    if (rc == 0) {
        return database_commit(d, e);
    }
    database_rollback(d);
    return -1;
}

/* --- opening --- */

/* SQLite would make it readable by everybody. Its other files take this one's mode. */
static int create_private(const char *path, struct err *e)
{
    if (path[0] == ':' || path[0] == '\0') {
        return err_set(e, ERR_INVALID, "\"%s\" is no name of a database file", path);
    }
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno == EEXIST ? 0 : err_set_errno(e, errno, "%s: cannot create", path);
    }
    close(fd);
    return 0;
}

/* WAL with FULL: a commit is on the disk when it returns. */
static int set_pragmas(struct database *d, bool in_memory, struct err *e)
{
    if (run_script(d, e, "PRAGMA synchronous=FULL") != 0) {
        return -1;
    }
    struct query q;
    query_begin(&q, d, e, "PRAGMA journal_mode=WAL", "");
    bool is_wal = query_next(&q) && strcmp(query_text(&q, 0), "wal") == 0;
    if (query_end(&q) != 0) {
        return -1;
    }
    return is_wal || in_memory
               ? 0
               : err_set(e, ERR_IO,
                         "%s: write-ahead logging does not work here; use a local file system",
                         d->path);
}

static int check_kind(struct database *d, const struct database_schema *schema, int *version,
                      struct err *e)
{
    int64_t user_version;
    int64_t application;
    int64_t n_tables;
    if (read_pragma(d, e, "PRAGMA user_version", &user_version) != 0 ||
        read_pragma(d, e, "PRAGMA application_id", &application) != 0 ||
        read_pragma(d, e, "SELECT count(*) FROM sqlite_schema", &n_tables) != 0) {
        return -1;
    }
    bool is_new = user_version == 0 && application == 0 && n_tables == 0;
    if (!is_new && application != schema->application_id) {
        return err_set(e, ERR_FORMAT, "%s: is a database of another program; name another file",
                       d->path);
    }
    if (user_version > schema->n_steps) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: was written by a newer Weir (format %" PRId64
                       ", this one reads up to %d); use that version or an older backup",
                       d->path, user_version, schema->n_steps);
    }
    *version = (int)user_version;
    return 0;
}

static int check_pages(struct database *d, struct err *e)
{
    struct query q;
    query_begin(&q, d, e, "PRAGMA quick_check(1)", "");
    if (query_next(&q) && strcmp(query_text(&q, 0), "ok") != 0) {
        q.failed = true;
        err_set(e, ERR_IO, "%s: the file is damaged (%s); put a backup in its place", d->path,
                query_text(&q, 0));
    }
    return query_end(&q);
}

/* What the steps, which are taken without such checks, have left. */
static int check_references(struct database *d, struct err *e)
{
    struct query q;
    query_begin(&q, d, e, "PRAGMA foreign_key_check", "");
    if (query_next(&q)) {
        q.failed = true;
        err_set(e, ERR_IO, "%s: the file is damaged (table %s); put a backup in its place",
                d->path, query_text(&q, 0));
    }
    return query_end(&q);
}

/* In one transaction, so that two processes do not both take the same step. References are not
 * checked on the way: a step may make a table anew that others refer to. */
static int migrate(struct database *d, const struct database_schema *schema, struct err *e)
{
    int version = 0;
    if (database_begin(d, e) != 0) {
        return -1;
    }
    int rc = check_kind(d, schema, &version, e);
    for (int i = version; rc == 0 && i < schema->n_steps; i++) {
        rc = run_script(d, e, schema->steps[i]);
    }
    char sql[96];
    snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d",
             (int)schema->application_id, schema->n_steps);
    if (rc == 0) {
        rc = run_script(d, e, sql) == 0 ? check_references(d, e) : -1;
    }
    return database_end(d, rc, e);
}

static int open_file(struct database *d, const char *path, const struct database_schema *schema,
                     struct err *e)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path ? path : IN_MEMORY, &d->handle, flags, NULL) != SQLITE_OK) {
        return d->handle ? database_error(d, e) : err_nomem(e);
    }
    sqlite3_extended_result_codes(d->handle, 1);
    sqlite3_busy_timeout(d->handle, BUSY_TIMEOUT_MS);
    if (run_script(d, e, "PRAGMA foreign_keys=OFF") != 0) { /* some builds begin with ON */
        return -1;
    }
    if (sqlite3_db_readonly(d->handle, "main") == 1) {
        return err_set(e, ERR_IO,
                       "%s: cannot be written; give Weir write access to the file and its "
                       "folder",
                       d->path);
    }
    /* Nothing is written to a file that is not ours. */
    int version = 0;
    if (check_kind(d, schema, &version, e) != 0 || set_pragmas(d, !path, e) != 0 ||
        check_pages(d, e) != 0) {
        return -1;
    }
    if (version < schema->n_steps && migrate(d, schema, e) != 0) {
        return -1;
    }
    d->form = schema->n_steps;
    return run_script(d, e, "PRAGMA foreign_keys=ON");
}

int database_open(struct database *d, const char *path, const struct database_schema *schema,
                  struct err *e)
{
    *d = (struct database){0};
    if (path && create_private(path, e) != 0) {
        return -1;
    }
    d->path = mem_strdup(path ? path : IN_MEMORY);
    if (!d->path) {
        return err_nomem(e);
    }
    if (open_file(d, path, schema, e) != 0) {
        database_close(d);
        return -1;
    }
    return 0;
}

void database_close(struct database *d)
{
    sqlite3_close(d->handle);
    mem_free(d->path);
    *d = (struct database){0};
}
