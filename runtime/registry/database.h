/* database.h: an SQLite file, with errors that a user can act on and short queries.
 *
 * Threads: one at a time; the owner holds a lock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "runtime/base/err.h"

struct database {
    sqlite3 *handle;
    char *path; /* for messages */
    int form;   /* user_version as it was left; 0 while it is opened */
};

/* How a file becomes one of this kind: the number of steps taken is its user_version. Steps
 * that were released never change. */
struct database_schema {
    int32_t application_id;
    const char *const *steps; /* (n_steps) SQL */
    int n_steps;
};

/* NULL: in memory. After a failure *d needs no database_close. */
int database_open(struct database *d, const char *path, const struct database_schema *schema,
                  struct err *e);
void database_close(struct database *d);

/* Fills *e from the connection's last error and returns -1. */
int database_error(struct database *d, struct err *e);

/* --- queries ---
 *
 * One statement with its parameters ?1, ?2 ... by `types`: 't' a text (const char *, NULL is
 * SQL's NULL), 'i' an int64_t. Texts must live until the query ends. A failure is remembered
 * and comes out of the next query_next or query_end. */
struct query {
    sqlite3_stmt *statement;
    struct database *database;
    struct err *e;
    bool failed;
};

void query_begin(struct query *q, struct database *d, struct err *e, const char *sql,
                 const char *types, ...);
/* Whether there is a row; false at the end and after a failure. */
bool query_next(struct query *q);
/* Releases the statement; 0, or -1 when anything failed. */
int query_end(struct query *q);

int64_t query_int(const struct query *q, int column); /* NULL reads as 0 */
/* Never NULL: SQL's NULL reads as "". Until the next row. */
const char *query_text(const struct query *q, int column);
void query_copy(const struct query *q, int column, char *out, size_t size);

/* A statement without rows. */
int database_run(struct database *d, struct err *e, const char *sql, const char *types, ...);

/* --- transactions: begin, then exactly one of the others ---
 *
 * None begins once a newer program has brought the file to its own form. */

int database_begin(struct database *d, struct err *e);
int database_commit(struct database *d, struct err *e); /* on failure it is rolled back */
void database_rollback(struct database *d);
/* Commits if all that was done has succeeded, rc 0, else rolls back and returns -1. */
int database_end(struct database *d, int rc, struct err *e);
