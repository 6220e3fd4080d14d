#include "runtime/serve/model_state.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/serve/model_set.h"
#include "runtime/serve/respond.h"

#define AGAIN_MS 2000

enum job_outcome {
    JOB_WAITS,
    JOB_STORED,
    JOB_REFUSED, /* for good */
};

/* A change with copies of its strings. */
struct job {
    struct job *next;
    struct model_change change;
    bool is_mark;          /* of a place in the queue: there is no change */
    model_stored_fn *done; /* NULL: it is in force already */
    void *ctx;
    struct http_exchange *ex;
    enum job_outcome outcome;
    struct err e; /* of one that was refused */
    char who[VERSION_ACTOR_MAX + 1];
    char version[VERSION_NAME_MAX + 1];
    char sha256[HASH_HEX_LEN + 1];
    char replaced[VERSION_NAME_MAX + 1];
    char replaced_sha256[HASH_HEX_LEN + 1];
    char label[VERSION_NAME_MAX + 1];
    char reason[ERR_MESSAGE_MAX]; /* whole: it is also what is known of a version */
    char *text;
    struct model_store_seen *seen;
};

struct queue {
    struct job *first;
    struct job **end;
    size_t count;
};

struct model_journal {
    struct version_database *database;
    bool is_on_disk;
    uv_loop_t *loop;
    uv_work_t work;
    uv_timer_t timer; /* until the next try, after a failed one */
    bool is_working;  /* then `writing`, `after` and `e` are the worker's */
    bool is_stopped;
    bool is_retired;
    bool has_timer; /* not closed yet */
    void (*on_over)(void *ctx);
    void *on_over_ctx;
    bool is_failing; /* the last try failed: logged once */

    struct queue waiting;
    struct queue writing;
    struct model_record after; /* of the last change that was stored */
    struct err e;              /* why the rest was not */

    struct model_record record;
    struct model_store_known *known; /* (n_known); those that were recalled have no name */
    size_t n_known;
};

/* --- the queue --- */

static void queue_init(struct queue *q)
{
    *q = (struct queue){.end = &q->first};
}

static void push(struct queue *q, struct job *job)
{
    job->next = NULL;
    *q->end = job;
    q->end = &job->next;
    q->count++;
}

static struct job *pop(struct queue *q)
{
    struct job *job = q->first;
    if (job) {
        q->first = job->next;
        q->end = q->first ? q->end : &q->first;
        q->count--;
    }
    return job;
}

/* The jobs of `from` come behind those of `to`. */
static void append(struct queue *to, struct queue *from)
{
    if (from->first) {
        *to->end = from->first;
        to->end = from->end;
        to->count += from->count;
    }
    queue_init(from);
}

static void free_job(struct job *job)
{
    mem_free(job->text);
    mem_free(job->seen);
    mem_free(job);
}

/* NULL stays NULL. */
static const char *copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text ? text : "");
    return text ? out : NULL;
}

static int copy_long(struct job *job, const struct model_change *c)
{
    job->text = c->text ? mem_strdup(c->text) : NULL;
    job->seen = c->n_seen > 0 ? mem_zarray(c->n_seen, sizeof(*c->seen)) : NULL;
    if ((c->text && !job->text) || (c->n_seen > 0 && !job->seen)) {
        return -1;
    }
    if (job->seen) {
        memcpy(job->seen, c->seen, c->n_seen * sizeof(*c->seen));
    }
    job->change.text = job->text;
    job->change.seen = job->seen;
    return 0;
}

/* NULL: no memory. */
static struct job *make_job(const struct model_change *c)
{
    struct job *job = mem_zalloc(sizeof(*job));
    if (!job) {
        return NULL;
    }
    job->change = *c;
    job->change.who = copy(job->who, sizeof(job->who), c->who);
    job->change.version = copy(job->version, sizeof(job->version), c->version);
    job->change.sha256 = copy(job->sha256, sizeof(job->sha256), c->sha256);
    job->change.replaced = copy(job->replaced, sizeof(job->replaced), c->replaced);
    job->change.replaced_sha256 =
        copy(job->replaced_sha256, sizeof(job->replaced_sha256), c->replaced_sha256);
    job->change.label = copy(job->label, sizeof(job->label), c->label);
    job->change.reason = copy(job->reason, sizeof(job->reason), c->reason);
    if (copy_long(job, c) != 0) {
        free_job(job);
        return NULL;
    }
    return job;
}

/* --- storing --- */

/* Later, with the same change. */
static bool may_work_later(const struct err *e)
{
    return e->kind == ERR_BUSY || e->kind == ERR_IO || e->kind == ERR_NOMEM;
}

static void write_on_worker(uv_work_t *work)
{
    struct model_journal *m = work->data;
    m->e = (struct err){0};
    for (struct job *job = m->writing.first; job; job = job->next) {
        struct model_record after;
        if (job->is_mark) {
            job->outcome = JOB_STORED;
        } else if (model_store_change(m->database, m->record.name, &job->change, &after,
                                      &job->e) == 0) {
            model_record_deinit(&m->after);
            m->after = after;
            job->outcome = JOB_STORED;
        } else if (may_work_later(&job->e)) {
            m->e = job->e;
            return; /* what comes later must not be stored before this one */
        } else {
            job->outcome = JOB_REFUSED;
        }
    }
}

static void log_lost(const struct model_journal *m, const struct model_change *c,
                     const char *why)
{
    log_error("model %s: %s %s is in force, but has no audit row and is not kept over a "
              "restart: %s",
              m->record.name, model_action_name(c->action), c->version ? c->version : "", why);
}

/* Its caller is told; what nobody waits for waits for the next try. */
static void account_one(struct model_journal *m, struct job *job, struct queue *again)
{
    const struct err *e = job->outcome == JOB_STORED    ? NULL
                          : job->outcome == JOB_REFUSED ? &job->e
                                                        : &m->e;
    if (e && !job->done && job->outcome == JOB_WAITS && !m->is_stopped) {
        push(again, job);
        return;
    }
    if (job->done) {
        job->done(job->ctx, job->ex, e);
    } else if (e) {
        log_lost(m, &job->change, e->message);
    }
    free_job(job);
}

/* Callbacks may add to what waits. */
static void account(struct model_journal *m)
{
    struct job *job;
    struct queue again;
    queue_init(&again);
    if (m->after.revision > 0) {
        model_record_deinit(&m->record);
        m->record = m->after;
        m->after = (struct model_record){0};
    }
    while ((job = pop(&m->writing)) != NULL) {
        account_one(m, job, &again);
    }
    append(&again, &m->waiting);
    append(&m->waiting, &again);
}

static void log_outcome(struct model_journal *m)
{
    bool fails = m->e.kind != ERR_NONE;
    if (fails && !m->is_failing) {
        log_error("model %s: what has changed cannot be stored: %s", m->record.name,
                  m->e.message);
    } else if (!fails && m->is_failing) {
        log_info("model %s: changes are stored again", m->record.name);
    }
    m->is_failing = fails;
}

static void release(struct model_journal *m)
{
    if (!m->is_stopped || m->is_working || m->has_timer) {
        return;
    }
    void (*on_over)(void *ctx) = m->on_over;
    void *ctx = m->on_over_ctx;
    model_record_deinit(&m->record);
    model_store_known_free(m->known, m->n_known);
    mem_free(m);
    if (on_over) {
        on_over(ctx);
    }
}

static void begin(struct model_journal *m);

static void on_timer(uv_timer_t *timer)
{
    begin(timer->data);
}

static void after_work(uv_work_t *work, int status)
{
    struct model_journal *m = work->data;
    (void)status; /* it is never cancelled */
    log_outcome(m);
    account(m);
    m->is_working = false;
    if (!m->is_failing || m->is_stopped) {
        begin(m); /* what has come meanwhile */
    } else {
        uv_timer_start(&m->timer, on_timer, AGAIN_MS, 0);
    }
    release(m);
}

static void begin(struct model_journal *m)
{
    if (m->is_working || m->waiting.count == 0) {
        return;
    }
    append(&m->writing, &m->waiting);
    m->is_working = true;
    if (!m->is_on_disk) {
        write_on_worker(&m->work);
        after_work(&m->work, 0);
    } else if (uv_queue_work(m->loop, &m->work, write_on_worker, after_work) != 0) {
        err_set(&m->e, ERR_IO, "no thread to write it");
        account(m);
        m->is_working = false;
    }
}

/* --- changes --- */

static void make_room(struct model_journal *m)
{
    struct err e = {0};
    err_set(&e, ERR_BUSY, "%d changes wait for the state file already",
            MODEL_STATE_WAITING_MAX);
    while (m->waiting.count >= MODEL_STATE_WAITING_MAX) {
        struct job *job = pop(&m->waiting);
        job->outcome = JOB_REFUSED;
        job->e = e;
        account_one(m, job, NULL);
    }
}

static void add(struct model_journal *m, struct job *job, struct http_exchange *ex,
                model_stored_fn *done, void *ctx)
{
    if (!job) {
        struct err e = {0};
        err_nomem(&e);
        done(ctx, ex, &e);
        return;
    }
    job->done = done;
    job->ctx = ctx;
    job->ex = ex;
    make_room(m);
    push(&m->waiting, job);
    begin(m);
}

void model_state_store(struct model_journal *m, const struct model_change *change,
                       struct http_exchange *ex, model_stored_fn *done, void *ctx)
{
    add(m, make_job(change), ex, done, ctx);
}

void model_state_wait(struct model_journal *m, struct http_exchange *ex, model_stored_fn *done,
                      void *ctx)
{
    struct job *job = mem_zalloc(sizeof(*job));
    if (job) {
        job->is_mark = true;
    }
    add(m, job, ex, done, ctx);
}

static void forget(struct queue *q, const struct http_exchange *ex)
{
    for (struct job *job = q->first; job; job = job->next) {
        job->ex = job->ex == ex ? NULL : job->ex;
    }
}

void model_state_abandon(struct model_journal *m, const struct http_exchange *ex)
{
    /* Those that a worker has too: it reads nothing but the change. */
    forget(&m->waiting, ex);
    forget(&m->writing, ex);
}

void model_state_note(struct model_journal *m, const struct model_change *change)
{
    if (!m || m->is_retired) {
        return; /* the server ends, or another one has the say */
    }
    struct job *job = make_job(change);
    if (!job) {
        log_lost(m, change, "out of memory");
        return;
    }
    make_room(m);
    push(&m->waiting, job);
    if (!uv_is_active((uv_handle_t *)&m->timer)) { /* else with what waits for the next try */
        begin(m);
    }
}

void model_state_changed(struct model_set *set, const struct model_change *change)
{
    model_state_note(model_set_journal(set), change);
}

void model_state_retire(struct model_journal *m)
{
    m->is_retired = true;
}

void model_state_actor(const struct http_exchange *ex, char out[VERSION_ACTOR_MAX + 1])
{
    const char *actor =
        ex ? http_request_header(http_exchange_request(ex), "weir-actor") : NULL;
    snprintf(out, VERSION_ACTOR_MAX + 1, "%s", actor ? actor : ex ? "admin" : "weir");
    bool is_text = utf8_is_valid(out, strlen(out));
    for (char *c = out; *c && !is_text; c++) {
        *c = *c & '\x80' ? '?' : *c;
    }
}

void model_state_refuse(struct http_exchange *ex, const struct err *e, bool is_late)
{
    char message[ERR_MESSAGE_MAX + 96];
    if (!ex) {
        return;
    }
    snprintf(message, sizeof(message), "%s: %s",
             is_late ? "the change is in force, but not stored yet; that is tried again"
                     : "the change is not stored, so nothing has changed",
             e->message);
    struct api_error error = api_error_make(503, "server_error", "not_stored", NULL, message);
    error.retry_after_s = e->kind == ERR_BUSY ? 1 : 0;
    respond_error(ex, &error);
}

/* --- beginning and end --- */

const struct model_record *model_state_record(const struct model_journal *m)
{
    return &m->record;
}

struct model_journal *model_state_open(uv_loop_t *loop, struct version_database *database,
                                       bool is_on_disk, const char *name, struct err *e)
{
    struct model_journal *m = mem_zalloc(sizeof(*m));
    if (!m) {
        err_nomem(e);
        return NULL;
    }
    if (model_store_load(database, name, &m->record, e) != 0 ||
        model_store_known(database, name, &m->known, &m->n_known, e) != 0) {
        model_record_deinit(&m->record);
        mem_free(m);
        return NULL;
    }
    m->database = database;
    m->is_on_disk = is_on_disk;
    m->loop = loop;
    m->work.data = m;
    queue_init(&m->waiting);
    queue_init(&m->writing);
    uv_timer_init(loop, &m->timer);
    m->timer.data = m;
    m->has_timer = true;
    return m;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct model_journal *m = handle->data;
    m->has_timer = false;
    release(m);
}

void model_state_close(struct model_journal *m, void (*on_over)(void *ctx), void *ctx)
{
    if (m) {
        m->is_stopped = true;
        m->on_over = on_over;
        m->on_over_ctx = ctx;
        uv_close((uv_handle_t *)&m->timer, on_timer_closed);
        begin(m);
    }
}

/* --- what an earlier server knew --- */

static struct model_store_known *find_known(const struct model_journal *m, const char *version)
{
    for (size_t i = 0; i < m->n_known; i++) {
        if (strcmp(m->known[i].version, version) == 0) {
            return &m->known[i];
        }
    }
    return NULL;
}

static void recall(const struct model_journal *m, struct listed_version *v)
{
    struct model_store_known *k = find_known(m, v->name);
    if (!k) {
        return;
    }
    k->version[0] = '\0';
    bool has_failed = k->problem[0] != '\0';
    if (!v->is_wanted) {
        return; /* its model.json is broken */
    }
    if (k->stamp != v->still) {
        /* A repository that was copied has other files everywhere: what somebody passed over
         * stays so. */
        v->is_wanted = has_failed || !m->record.is_chosen;
        return;
    }
    v->is_wanted = false;
    v->has_failed = has_failed;
    snprintf(v->problem, sizeof(v->problem), "%s", k->problem);
    v->report = k->report[0] && !v->report ? mem_strdup(k->report) : v->report;
}

void model_state_recall(struct model_journal *m, struct model_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        recall(m, &list->items[i]);
    }
}
