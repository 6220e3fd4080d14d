#include "runtime/registry/finding_store.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/registry/database.h"

/* A deletion takes so many rows at the most, so that those who wait for the file wait briefly.
 */
#define PRUNE_ROWS 2000

struct finding_store {
    pthread_mutex_t lock;
    struct database database;
    struct finding_limits limits;
    uint64_t text_bytes; /* of all texts that are stored */
};

static const char *const schema_steps[] = {
    "CREATE TABLE text("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " time INTEGER NOT NULL,"
    " request TEXT NOT NULL,"
    " place TEXT NOT NULL,"
    " side TEXT NOT NULL,"
    " channel TEXT NOT NULL,"
    " ordinal INTEGER NOT NULL,"
    " cut INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL,"
    " content TEXT NOT NULL) STRICT;"
    "CREATE INDEX text_time ON text(time);"
    "CREATE TABLE finding("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " time INTEGER NOT NULL,"
    " request TEXT NOT NULL,"
    " answer TEXT NOT NULL,"
    " key TEXT NOT NULL,"
    " route TEXT NOT NULL,"
    " place TEXT NOT NULL,"
    " chain TEXT NOT NULL,"
    " version INTEGER NOT NULL,"
    " side TEXT NOT NULL,"
    " channel TEXT NOT NULL,"
    " ordinal INTEGER NOT NULL,"
    " filter INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " type TEXT NOT NULL,"
    " code TEXT NOT NULL,"
    " verdict TEXT NOT NULL,"
    " message TEXT NOT NULL,"
    " recorded INTEGER NOT NULL,"
    " first INTEGER NOT NULL,"
    " last INTEGER NOT NULL,"
    " at INTEGER NOT NULL,"
    " text INTEGER NOT NULL) STRICT;"
    "CREATE INDEX finding_time ON finding(time);",
};

static const struct database_schema schema = {
    .application_id = 0x57656946, /* "WeiF" */
    .steps = schema_steps,
    .n_steps = sizeof(schema_steps) / sizeof(schema_steps[0]),
};

/* --- opening --- */

static int read_number(struct finding_store *s, const char *sql, uint64_t *out, struct err *e)
{
    struct query q;
    query_begin(&q, &s->database, e, sql, "");
    *out = query_next(&q) ? (uint64_t)query_int(&q, 0) : 0;
    return query_end(&q);
}

/* NORMAL: no wait for the disk at each commit; the file stays whole all the same (SQLite,
 * "WAL mode"). Texts that are deleted shall not be found in the file. */
static int set_up(struct finding_store *s, struct err *e)
{
    return database_run(&s->database, e, "PRAGMA synchronous=NORMAL", "") == 0 &&
                   database_run(&s->database, e, "PRAGMA secure_delete=ON", "") == 0
               ? read_number(s, "SELECT sum(bytes) FROM text", &s->text_bytes, e)
               : -1;
}

struct finding_store *finding_store_open(const char *path, const struct finding_limits *limits,
                                         struct err *e)
{
    struct finding_store *s = mem_zalloc(sizeof(*s));
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
    if (set_up(s, e) != 0) {
        finding_store_close(s);
        return NULL;
    }
    return s;
}

void finding_store_close(struct finding_store *s)
{
    if (s) {
        database_close(&s->database);
        pthread_mutex_destroy(&s->lock);
        mem_free(s);
    }
}

/* --- adding --- */

/* A statement that is run once for each row. */
struct insert {
    struct database *database;
    sqlite3_stmt *statement;
    int n; /* parameters bound of the next row */
    bool failed;
};

static void insert_begin(struct insert *in, struct database *d, const char *sql)
{
    *in = (struct insert){.database = d};
    in->failed = sqlite3_prepare_v2(d->handle, sql, -1, &in->statement, NULL) != SQLITE_OK;
}

static void put_text(struct insert *in, const char *text, size_t len)
{
    in->failed = in->failed || sqlite3_bind_text64(in->statement, ++in->n, text, len,
                                                   SQLITE_STATIC, SQLITE_UTF8) != SQLITE_OK;
}

static void put_string(struct insert *in, const char *text)
{
    put_text(in, text, strlen(text));
}

static void put_int(struct insert *in, int64_t n)
{
    in->failed = in->failed || sqlite3_bind_int64(in->statement, ++in->n, n) != SQLITE_OK;
}

static int insert_row(struct insert *in)
{
    in->failed = in->failed || sqlite3_step(in->statement) != SQLITE_DONE ||
                 sqlite3_reset(in->statement) != SQLITE_OK;
    in->n = 0;
    return in->failed ? -1 : 0;
}

/* 0, or -1 with the error of what failed. */
static int insert_end(struct insert *in, struct err *e)
{
    int rc = in->failed ? database_error(in->database, e) : 0;
    sqlite3_finalize(in->statement);
    return rc;
}

/* ids: (n_texts) of the rows. */
static int add_texts(struct finding_store *s, const struct finding_batch *b, int64_t *ids,
                     uint64_t *bytes, struct err *e)
{
    struct insert in;
    insert_begin(&in, &s->database,
                 "INSERT INTO text(time, request, place, side, channel, ordinal, cut, bytes,"
                 " content) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    for (size_t i = 0; i < b->n_texts && !in.failed; i++) {
        const struct finding_text *t = &b->texts[i];
        put_int(&in, t->time_ms);
        put_string(&in, t->request);
        put_string(&in, t->place);
        put_string(&in, t->side);
        put_string(&in, t->channel);
        put_int(&in, t->ordinal);
        put_int(&in, t->is_cut);
        put_int(&in, (int64_t)t->len);
        put_text(&in, t->text, t->len);
        insert_row(&in);
        ids[i] = sqlite3_last_insert_rowid(s->database.handle);
        *bytes += t->len;
    }
    return insert_end(&in, e);
}

static int add_findings(struct finding_store *s, const struct finding_batch *b,
                        const int64_t *text_ids, struct err *e)
{
    struct insert in;
    insert_begin(&in, &s->database,
                 "INSERT INTO finding(time, request, answer, key, route, place, chain, version,"
                 " side, channel, ordinal, filter, name, type, code, verdict, message,"
                 " recorded, first, last, at, text)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,"
                 " ?16, ?17, ?18, ?19, ?20, ?21, ?22)");
    for (size_t i = 0; i < b->n_findings && !in.failed; i++) {
        const struct finding *f = &b->findings[i];
        put_int(&in, f->time_ms);
        put_string(&in, f->request);
        put_string(&in, f->answer);
        put_string(&in, f->key);
        put_string(&in, f->route);
        put_string(&in, f->place);
        put_string(&in, f->chain);
        put_int(&in, f->version);
        put_string(&in, f->side);
        put_string(&in, f->channel);
        put_int(&in, f->ordinal);
        put_int(&in, f->filter);
        put_string(&in, f->name);
        put_string(&in, f->type);
        put_string(&in, f->code);
        put_string(&in, f->verdict);
        put_string(&in, f->message);
        put_int(&in, f->is_recorded);
        put_int(&in, (int64_t)f->from);
        put_int(&in, (int64_t)f->to);
        put_int(&in, (int64_t)f->at);
        put_int(&in, f->text ? text_ids[f->text - 1] : 0);
        insert_row(&in);
    }
    return insert_end(&in, e);
}

int finding_store_add(struct finding_store *s, const struct finding_batch *batch, struct err *e)
{
    uint64_t bytes = 0;
    int64_t *ids = mem_array(batch->n_texts + 1, sizeof(*ids));
    if (!ids) {
        return err_nomem(e);
    }
    pthread_mutex_lock(&s->lock);
    int rc = database_begin(&s->database, e);
    if (rc == 0) {
        rc = add_texts(s, batch, ids, &bytes, e) == 0 ? add_findings(s, batch, ids, e) : -1;
        rc = database_end(&s->database, rc, e);
    }
    s->text_bytes += rc == 0 ? bytes : 0;
    pthread_mutex_unlock(&s->lock);
    mem_free(ids);
    return rc;
}

/* --- what leaves --- */

/* The id below which rows have to go: by number, by age. Ids have no gaps but at the
 * beginning. */
#define FIRST_TO_STAY(table)                                              \
    "SELECT max(coalesce((SELECT max(id) + 1 - ?1 FROM " table "), 0),"   \
    " coalesce((SELECT max(id) + 1 FROM " table " WHERE time < ?2), 0))," \
    " coalesce((SELECT min(id) FROM " table "), 0)"

static int read_bounds(struct finding_store *s, const char *sql, int64_t now_ms, int64_t *stay,
                       int64_t *first, struct err *e)
{
    struct query q;
    query_begin(&q, &s->database, e, sql, "ii", (int64_t)s->limits.rows,
                now_ms - s->limits.age_ms);
    if (query_next(&q)) {
        *stay = query_int(&q, 0);
        *first = query_int(&q, 1);
    }
    return query_end(&q);
}

/* Where texts are too many bytes: one that has to leave with all before it. */
static int read_text_excess(struct finding_store *s, int64_t *stay, struct err *e)
{
    struct query q;
    uint64_t left = s->text_bytes;
    if (left <= s->limits.text_bytes) {
        return 0;
    }
    query_begin(&q, &s->database, e, "SELECT id, bytes FROM text ORDER BY id LIMIT ?1", "i",
                (int64_t)PRUNE_ROWS);
    while (left > s->limits.text_bytes && query_next(&q)) {
        int64_t behind = query_int(&q, 0) + 1;
        left -= (uint64_t)query_int(&q, 1);
        *stay = *stay > behind ? *stay : behind;
    }
    return query_end(&q);
}

static int prune_findings(struct finding_store *s, int64_t now_ms, bool *more, struct err *e)
{
    int64_t stay = 0, first = 0;
    if (read_bounds(s, FIRST_TO_STAY("finding"), now_ms, &stay, &first, e) != 0) {
        return -1;
    }
    if (first == 0 || stay <= first) {
        return 0;
    }
    int64_t until = stay < first + PRUNE_ROWS ? stay : first + PRUNE_ROWS;
    *more = *more || until < stay;
    return database_run(&s->database, e, "DELETE FROM finding WHERE id < ?1", "i", until);
}

static int prune_texts(struct finding_store *s, int64_t now_ms, bool *more, struct err *e)
{
    int64_t stay = 0, first = 0;
    struct query q;
    if (read_bounds(s, FIRST_TO_STAY("text"), now_ms, &stay, &first, e) != 0 ||
        read_text_excess(s, &stay, e) != 0) {
        return -1;
    }
    if (first == 0 || stay <= first) {
        return 0;
    }
    int64_t until = stay < first + PRUNE_ROWS ? stay : first + PRUNE_ROWS;
    *more = *more || until < stay;
    query_begin(&q, &s->database, e, "SELECT sum(bytes) FROM text WHERE id < ?1", "i", until);
    uint64_t bytes = query_next(&q) ? (uint64_t)query_int(&q, 0) : 0;
    if (query_end(&q) != 0 ||
        database_run(&s->database, e, "DELETE FROM text WHERE id < ?1", "i", until) != 0) {
        return -1;
    }
    s->text_bytes -= bytes;
    *more = *more || s->text_bytes > s->limits.text_bytes;
    return 0;
}

int finding_store_prune(struct finding_store *s, int64_t now_ms, bool *more, struct err *e)
{
    *more = false;
    pthread_mutex_lock(&s->lock);
    int rc = prune_findings(s, now_ms, more, e) == 0 ? prune_texts(s, now_ms, more, e) : -1;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* --- reading --- */

#define FINDING_COLUMNS                                                                       \
    "f.id, f.time, f.request, f.answer, f.key, f.route, f.place, f.chain, f.version, f.side," \
    " f.channel, f.ordinal, f.filter, f.name, f.type, f.code, f.verdict, f.message,"          \
    " f.recorded, f.first, f.last, f.at, coalesce(t.id, 0)"

static void read_finding(const struct query *q, struct finding *f)
{
    f->id = (uint64_t)query_int(q, 0);
    f->time_ms = query_int(q, 1);
    query_copy(q, 2, f->request, sizeof(f->request));
    query_copy(q, 3, f->answer, sizeof(f->answer));
    query_copy(q, 4, f->key, sizeof(f->key));
    query_copy(q, 5, f->route, sizeof(f->route));
    query_copy(q, 6, f->place, sizeof(f->place));
    query_copy(q, 7, f->chain, sizeof(f->chain));
    f->version = (uint32_t)query_int(q, 8);
    query_copy(q, 9, f->side, sizeof(f->side));
    query_copy(q, 10, f->channel, sizeof(f->channel));
    f->ordinal = (uint32_t)query_int(q, 11);
    f->filter = (uint32_t)query_int(q, 12);
    query_copy(q, 13, f->name, sizeof(f->name));
    query_copy(q, 14, f->type, sizeof(f->type));
    query_copy(q, 15, f->code, sizeof(f->code));
    query_copy(q, 16, f->verdict, sizeof(f->verdict));
    query_copy(q, 17, f->message, sizeof(f->message));
    f->is_recorded = query_int(q, 18) != 0;
    f->from = (uint64_t)query_int(q, 19);
    f->to = (uint64_t)query_int(q, 20);
    f->at = (uint64_t)query_int(q, 21);
    f->text = (uint64_t)query_int(q, 22);
}

int finding_store_list(struct finding_store *s, const struct finding_query *query,
                       struct finding **out, size_t *n, struct err *e)
{
    size_t limit = query->limit < FINDING_PAGE_MAX ? query->limit : FINDING_PAGE_MAX;
    struct finding *page = mem_zarray(limit + 1, sizeof(*page));
    *out = NULL;
    *n = 0;
    if (!page) {
        return err_nomem(e);
    }
    struct query q;
    pthread_mutex_lock(&s->lock);
    query_begin(&q, &s->database, e,
                "SELECT " FINDING_COLUMNS " FROM finding f LEFT JOIN text t ON t.id = f.text"
                " WHERE f.id < ?1 AND (?3 = '' OR f.chain = ?3) AND (?4 = 0 OR f.version = ?4)"
                " AND (?5 = '' OR f.code = ?5) AND (?6 = '' OR f.verdict = ?6)"
                " AND (?7 = '' OR f.side = ?7) AND (?8 = '' OR f.request = ?8)"
                " ORDER BY f.id DESC LIMIT ?2",
                "iititttt", query->before ? (int64_t)query->before : INT64_MAX, (int64_t)limit,
                query->chain, (int64_t)query->version, query->code, query->verdict, query->side,
                query->request);
    while (*n < limit && query_next(&q)) {
        read_finding(&q, &page[(*n)++]);
    }
    int rc = query_end(&q);
    pthread_mutex_unlock(&s->lock);
    if (rc != 0) {
        mem_free(page);
        *n = 0;
        return -1;
    }
    *out = page;
    return 0;
}

static void read_text(const struct query *q, struct finding_text *t)
{
    t->id = (uint64_t)query_int(q, 0);
    t->time_ms = query_int(q, 1);
    query_copy(q, 2, t->request, sizeof(t->request));
    query_copy(q, 3, t->place, sizeof(t->place));
    query_copy(q, 4, t->side, sizeof(t->side));
    query_copy(q, 5, t->channel, sizeof(t->channel));
    t->ordinal = (uint32_t)query_int(q, 6);
    t->is_cut = query_int(q, 7) != 0;
    t->text = (char *)query_text(q, 8);
    t->len = (size_t)sqlite3_column_bytes(q->statement, 8);
}

int finding_store_texts(struct finding_store *s, const char *side, size_t limit,
                        size_t max_bytes,
                        int (*visit)(void *ctx, const struct finding_text *text, struct err *e),
                        void *ctx, struct err *e)
{
    struct query q;
    int visited = 0;
    size_t bytes = 0;
    pthread_mutex_lock(&s->lock);
    query_begin(
        &q, &s->database, e,
        "SELECT id, time, request, place, side, channel, ordinal, cut, content FROM text"
        " WHERE ?1 = '' OR side = ?1 ORDER BY id DESC LIMIT ?2",
        "ti", side, (int64_t)limit);
    while (visited == 0 && query_next(&q)) {
        struct finding_text text = {0};
        read_text(&q, &text);
        bytes += text.len;
        if (bytes > max_bytes) {
            break;
        }
        visited = visit(ctx, &text, e);
    }
    int rc = query_end(&q);
    pthread_mutex_unlock(&s->lock);
    return visited ? visited : rc;
}

char *finding_store_text(struct finding_store *s, uint64_t id, size_t *len, struct err *e)
{
    struct query q;
    char *text = NULL;
    bool found;
    pthread_mutex_lock(&s->lock);
    query_begin(&q, &s->database, e, "SELECT content FROM text WHERE id = ?1", "i",
                (int64_t)id);
    found = query_next(&q);
    if (found) {
        *len = (size_t)sqlite3_column_bytes(q.statement, 0);
        text = mem_strndup(query_text(&q, 0), *len);
    }
    int rc = query_end(&q);
    pthread_mutex_unlock(&s->lock);
    if (rc == 0 && !text) {
        found ? err_nomem(e)
              : err_set(e, ERR_NOT_FOUND, "the text %llu has left the store",
                        (unsigned long long)id);
    }
    return text;
}
