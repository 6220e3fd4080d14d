#include "runtime/registry/feedback_store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/registry/database.h"

struct feedback_store {
    pthread_mutex_t lock;
    struct database database;
    struct feedback_limits limits;
    atomic_ullong pruned;
};

static const char *const schema_steps[] = {
    "CREATE TABLE feedback("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " time INTEGER NOT NULL,"
    " key TEXT NOT NULL,"
    " user TEXT NOT NULL,"
    " answer TEXT NOT NULL,"
    " choice INTEGER NOT NULL,"
    " model TEXT NOT NULL,"
    " thumb INTEGER NOT NULL,"
    " worse TEXT NOT NULL,"
    " worse_choice INTEGER NOT NULL,"
    " comment TEXT,"
    " messages TEXT,"
    " content TEXT,"
    " correction TEXT,"
    " worse_content TEXT) STRICT;"
    "CREATE INDEX feedback_time ON feedback(time);"
    "CREATE INDEX feedback_user ON feedback(user);"
    "CREATE INDEX feedback_answer ON feedback(answer);",
};

static const struct database_schema schema = {
    .application_id = 0x57656942, /* "WeiB" */
    .steps = schema_steps,
    .n_steps = sizeof(schema_steps) / sizeof(schema_steps[0]),
};

void feedback_deinit(struct feedback *f)
{
    mem_free(f->comment);
    mem_free(f->messages);
    mem_free(f->text);
    mem_free(f->correction);
    mem_free(f->over_text);
    *f = (struct feedback){0};
}

/* --- opening --- */

struct feedback_store *feedback_store_open(const char *path,
                                           const struct feedback_limits *limits, struct err *e)
{
    struct feedback_store *s = mem_zalloc(sizeof(*s));
    if (!s) {
        err_nomem(e);
        return NULL;
    }
    if (database_open(&s->database, path, &schema, e) != 0) {
        mem_free(s);
        return NULL;
    }
    pthread_mutex_init(&s->lock, NULL);
    s->limits = *limits;
    if (database_run(&s->database, e, "PRAGMA secure_delete=ON", "") != 0) {
        feedback_store_close(s);
        return NULL;
    }
    return s;
}

void feedback_store_close(struct feedback_store *s)
{
    if (s) {
        database_close(&s->database);
        pthread_mutex_destroy(&s->lock);
        mem_free(s);
    }
}

/* --- changes --- */

static int prune(struct feedback_store *s, int64_t now_ms, uint64_t *n, struct err *e)
{
    if (database_run(&s->database, e, "DELETE FROM feedback WHERE time < ?1", "i",
                     now_ms - s->limits.age_ms) != 0) {
        return -1;
    }
    *n = (uint64_t)sqlite3_changes(s->database.handle);
    int rc = database_run(&s->database, e,
                          "DELETE FROM feedback WHERE number <= "
                          "(SELECT number FROM feedback ORDER BY number DESC "
                          "LIMIT 1 OFFSET ?1)",
                          "i", (int64_t)s->limits.rows);
    *n += rc == 0 ? (uint64_t)sqlite3_changes(s->database.handle) : 0;
    return rc;
}

static int insert(struct feedback_store *s, const struct feedback *f, struct err *e)
{
    return database_run(&s->database, e,
                        "INSERT INTO feedback(id, time, key, user, answer, choice, model, "
                        "thumb, worse, worse_choice, comment, messages, content, correction, "
                        "worse_content) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
                        "?12, ?13, ?14, ?15)",
                        "titttititittttt", f->id, f->time_ms, f->key, f->user, f->answer,
                        (int64_t)f->choice, f->model, (int64_t)f->thumb, f->over,
                        (int64_t)f->over_choice, f->comment, f->messages, f->text,
                        f->correction, f->over_text);
}

/* In one transaction: `f`, if there is one, and the end of what is beyond the limits. */
static int change(struct feedback_store *s, const struct feedback *f, int64_t now_ms,
                  struct err *e)
{
    pthread_mutex_lock(&s->lock);
    uint64_t pruned = 0;
    int rc = database_begin(&s->database, e);
    if (rc == 0) {
        rc = (f ? insert(s, f, e) : 0) == 0 ? prune(s, now_ms, &pruned, e) : -1;
        rc = database_end(&s->database, rc, e);
    }
    if (rc == 0) {
        atomic_fetch_add(&s->pruned, pruned);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int feedback_store_add(struct feedback_store *s, const struct feedback *f, struct err *e)
{
    return change(s, f, f->time_ms, e);
}

int feedback_store_prune(struct feedback_store *s, int64_t now_ms, struct err *e)
{
    return change(s, NULL, now_ms, e);
}

uint64_t feedback_store_pruned(const struct feedback_store *s)
{
    return atomic_load(&s->pruned);
}

static int delete_rows(struct feedback_store *s, const char *user, const char *key,
                       const char *id, uint64_t *n, struct err *e)
{
    if (database_begin(&s->database, e) != 0) {
        return -1;
    }
    int rc = database_run(&s->database, e,
                          "DELETE FROM feedback WHERE (?1 = '' OR user = ?1) AND (?2 = '' OR "
                          "key = ?2) AND (?3 = '' OR id = ?3)",
                          "ttt", user, key, id);
    *n = rc == 0 ? (uint64_t)sqlite3_changes(s->database.handle) : 0;
    return database_end(&s->database, rc, e);
}

int feedback_store_delete(struct feedback_store *s, const char *user, const char *key,
                          const char *id, uint64_t *n, struct err *e)
{
    *n = 0;
    if (user[0] == '\0' && id[0] == '\0') {
        return err_set_param(e, ERR_INVALID, "user", "\"user\" or \"id\" is needed");
    }
    pthread_mutex_lock(&s->lock);
    int rc = delete_rows(s, user, key, id, n, e);
    if (rc == 0 && *n > 0) {
        /* Whoever wants to be forgotten is not to be found in the log either. Another process
         * that reads meanwhile has it done later. */
        struct err unused;
        (void)database_run(&s->database, &unused, "PRAGMA wal_checkpoint(TRUNCATE)", "");
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* --- reading --- */

/* The text of a column until the next row; NULL stays NULL. */
static char *column_text(const struct query *q, int column)
{
    return (char *)sqlite3_column_text(q->statement, column);
}

static void read_row(const struct query *q, struct feedback *f)
{
    *f = (struct feedback){.number = (uint64_t)query_int(q, 0),
                           .time_ms = query_int(q, 2),
                           .choice = (int)query_int(q, 6),
                           .thumb = (int)query_int(q, 8),
                           .over_choice = (int)query_int(q, 10),
                           .comment = column_text(q, 11),
                           .messages = column_text(q, 12),
                           .text = column_text(q, 13),
                           .correction = column_text(q, 14),
                           .over_text = column_text(q, 15)};
    query_copy(q, 1, f->id, sizeof(f->id));
    query_copy(q, 3, f->key, sizeof(f->key));
    query_copy(q, 4, f->user, sizeof(f->user));
    query_copy(q, 5, f->answer, sizeof(f->answer));
    query_copy(q, 7, f->model, sizeof(f->model));
    query_copy(q, 9, f->over, sizeof(f->over));
}

#define COLUMNS                                                                               \
    "SELECT number, id, time, key, user, answer, choice, model, thumb, worse, "               \
    "worse_choice, comment, messages, content, correction, worse_content FROM feedback "      \
    "WHERE number < ?1 AND number > ?2 AND (?3 = '' OR user = ?3) AND (?4 = '' OR key = ?4) " \
    "AND (?5 = '' OR answer = ?5) AND time >= ?6 ORDER BY number "

int feedback_store_list(struct feedback_store *s, const struct feedback_query *query,
                        int (*visit)(void *ctx, const struct feedback *f, struct err *e),
                        void *ctx, struct err *e)
{
    struct query q;
    struct feedback f;
    int rc = 0;
    int64_t before = query->before > 0 ? (int64_t)query->before : INT64_MAX;
    pthread_mutex_lock(&s->lock);
    query_begin(&q, &s->database, e,
                query->is_oldest_first ? COLUMNS "LIMIT ?7" : COLUMNS "DESC LIMIT ?7",
                "iitttii", before, (int64_t)query->after, query->user, query->key,
                query->answer, query->now_ms - s->limits.age_ms, (int64_t)query->limit);
    while (rc == 0 && query_next(&q)) {
        read_row(&q, &f);
        rc = visit(ctx, &f, e);
    }
    int ended = query_end(&q);
    pthread_mutex_unlock(&s->lock);
    return rc != 0 ? rc : ended;
}
