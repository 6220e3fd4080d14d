#include "runtime/registry/drift_store.h"

#include <pthread.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/registry/answer_sample.h"
#include "runtime/registry/database.h"

struct drift_store {
    pthread_mutex_t lock;
    struct database database;
};

static const char *const schema_steps[] = {
    "CREATE TABLE series("
    " model TEXT NOT NULL,"
    " version TEXT NOT NULL,"
    " hashes TEXT NOT NULL,"
    " prompt TEXT NOT NULL,"
    " complete INTEGER NOT NULL,"
    " taken INTEGER NOT NULL,"
    " used INTEGER NOT NULL,"
    " looks INTEGER NOT NULL,"
    " taken_by TEXT NOT NULL,"
    " baseline TEXT NOT NULL,"
    " PRIMARY KEY(model, version, hashes, prompt)) STRICT;"
    "CREATE TABLE alert("
    " number INTEGER PRIMARY KEY,"
    " model TEXT NOT NULL,"
    " version TEXT NOT NULL,"
    " hashes TEXT NOT NULL,"
    " prompt TEXT NOT NULL,"
    " measure TEXT NOT NULL,"
    " began INTEGER NOT NULL,"
    " ended INTEGER NOT NULL,"
    " text TEXT NOT NULL) STRICT;",
};

static const struct database_schema schema = {
    .application_id = 0x57656944, /* "WeiD" */
    .steps = schema_steps,
    .n_steps = sizeof(schema_steps) / sizeof(schema_steps[0]),
};

bool drift_key_equals(const struct drift_key *a, const struct drift_key *b)
{
    return strcmp(a->model, b->model) == 0 && strcmp(a->version, b->version) == 0 &&
           strcmp(a->hashes, b->hashes) == 0 && strcmp(a->prompt, b->prompt) == 0;
}

struct drift_store *drift_store_open(const char *path, struct err *e)
{
    struct drift_store *s = mem_zalloc(sizeof(*s));
    if (!s) {
        err_nomem(e);
        return NULL;
    }
    if (database_open(&s->database, path, &schema, e) != 0) {
        mem_free(s);
        return NULL;
    }
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void drift_store_close(struct drift_store *s)
{
    if (s) {
        database_close(&s->database);
        pthread_mutex_destroy(&s->lock);
        mem_free(s);
    }
}

/* --- changes --- */

int drift_store_put(struct drift_store *s, const struct drift_row *row, struct err *e)
{
    const struct drift_key *k = &row->key;
    pthread_mutex_lock(&s->lock);
    int rc = database_begin(&s->database, e);
    if (rc == 0) {
        rc = database_run(&s->database, e,
                          "INSERT OR REPLACE INTO series(model, version, hashes, prompt, "
                          "complete, taken, used, looks, taken_by, baseline) VALUES(?1, ?2, "
                          "?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                          "ttttiiiitt", k->model, k->version, k->hashes, k->prompt,
                          (int64_t)row->has_baseline, row->taken_ms, row->used_ms,
                          (int64_t)row->looks, row->by, row->baseline);
        rc = database_end(&s->database, rc, e);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int drift_store_put_alert(struct drift_store *s, const struct drift_alert *a, struct err *e)
{
    const struct drift_key *k = &a->key;
    pthread_mutex_lock(&s->lock);
    int rc = database_begin(&s->database, e);
    if (rc == 0) {
        rc = database_run(&s->database, e,
                          "INSERT OR REPLACE INTO alert(number, model, version, hashes, "
                          "prompt, measure, began, ended, text) VALUES(?1, ?2, ?3, ?4, ?5, "
                          "?6, ?7, ?8, ?9)",
                          "itttttiit", (int64_t)a->number, k->model, k->version, k->hashes,
                          k->prompt, answer_measure_name((enum answer_measure)a->measure),
                          a->began_ms, a->ended_ms, a->text);
        if (rc == 0) {
            rc = database_run(&s->database, e,
                              "DELETE FROM alert WHERE number <= (SELECT max(number) FROM "
                              "alert) - ?1",
                              "i", (int64_t)DRIFT_ALERTS_MAX);
        }
        rc = database_end(&s->database, rc, e);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int drift_store_delete(struct drift_store *s, const struct drift_key *key, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    int rc = database_begin(&s->database, e);
    if (rc == 0) {
        rc = database_run(&s->database, e,
                          "DELETE FROM series WHERE model = ?1 AND version = ?2 AND hashes = "
                          "?3 AND prompt = ?4",
                          "tttt", key->model, key->version, key->hashes, key->prompt);
        rc = database_end(&s->database, rc, e);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* --- reading --- */

static void read_key(const struct query *q, int column, struct drift_key *k)
{
    query_copy(q, column, k->model, sizeof(k->model));
    query_copy(q, column + 1, k->version, sizeof(k->version));
    query_copy(q, column + 2, k->hashes, sizeof(k->hashes));
    query_copy(q, column + 3, k->prompt, sizeof(k->prompt));
}

int drift_store_each(struct drift_store *s,
                     int (*visit)(void *ctx, const struct drift_row *row, struct err *e),
                     void *ctx, struct err *e)
{
    struct query q;
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    query_begin(&q, &s->database, e,
                "SELECT model, version, hashes, prompt, complete, taken, used, looks, "
                "taken_by, baseline FROM series ORDER BY used",
                "");
    while (rc == 0 && query_next(&q)) {
        struct drift_row row = {.has_baseline = query_int(&q, 4) != 0,
                                .taken_ms = query_int(&q, 5),
                                .used_ms = query_int(&q, 6),
                                .looks = (uint64_t)query_int(&q, 7),
                                .baseline = (char *)query_text(&q, 9)};
        read_key(&q, 0, &row.key);
        query_copy(&q, 8, row.by, sizeof(row.by));
        rc = visit(ctx, &row, e);
    }
    int ended = query_end(&q);
    pthread_mutex_unlock(&s->lock);
    return rc != 0 ? rc : ended;
}

int drift_store_each_alert(struct drift_store *s,
                           int (*visit)(void *ctx, const struct drift_alert *a, struct err *e),
                           void *ctx, struct err *e)
{
    struct query q;
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    query_begin(&q, &s->database, e,
                "SELECT number, model, version, hashes, prompt, measure, began, ended, text "
                "FROM alert ORDER BY number",
                "");
    while (rc == 0 && query_next(&q)) {
        struct drift_alert a = {.number = (uint64_t)query_int(&q, 0),
                                .measure = answer_measure_named(query_text(&q, 5)),
                                .began_ms = query_int(&q, 6),
                                .ended_ms = query_int(&q, 7),
                                .text = (char *)query_text(&q, 8)};
        read_key(&q, 1, &a.key);
        if (a.measure >= 0) { /* else a newer program has stored it */
            rc = visit(ctx, &a, e);
        }
    }
    int ended = query_end(&q);
    pthread_mutex_unlock(&s->lock);
    return rc != 0 ? rc : ended;
}
