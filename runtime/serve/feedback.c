#include "runtime/serve/feedback.h"

#include <string.h>

#include "runtime/api/feedback_reply.h"
#include "runtime/api/feedback_request.h"
#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/unique_id.h"
#include "runtime/serve/feedback_counts.h"
#include "runtime/serve/query_field.h"
#include "runtime/serve/respond.h"
#include "runtime/serve/server.h"

#define JOBS_MAX         32 /* that are being stored or read; more are told to come again */
#define PAGE_DEFAULT     100
#define REPLY_BYTES_MAX  ((size_t)64 << 20)
#define REPLY_BYTES_FULL ((size_t)16 << 20) /* a page ends behind the row that fills it */
#define PRUNE_MS         (600 * 1000)

struct feedback_desk {
    uv_loop_t *loop;
    uv_timer_t timer;
    struct feedback_store *store;
    struct answer_memory *memory;
    enum feedback_keeping keeping;
    size_t n_jobs;
    bool is_pruning;
    bool is_stopped;
    bool was_failed; /* the last one could not be stored, which was told */
    uv_work_t prune_work;
    struct err prune_error;
};

enum job_kind { JOB_ADD, JOB_LIST, JOB_EXPORT, JOB_DELETE };

/* What is done on a worker, and answered afterwards. */
struct feedback_job {
    enum job_kind kind;
    uv_work_t work;
    struct server *server;
    struct feedback_desk *desk;
    struct http_exchange *http; /* NULL: nobody waits */

    struct feedback feedback;    /* JOB_ADD */
    struct feedback_query query; /* JOB_LIST, JOB_EXPORT */
    bool pairs_only;             /* JOB_EXPORT */
    char user[FEEDBACK_USER_SIZE], key[FEEDBACK_KEY_SIZE], id[FEEDBACK_ID_SIZE]; /* DELETE */

    struct err e;
    bool failed;
    uint64_t tenant; /* JOB_ADD: whose answer it is */
    uint64_t n;      /* rows in the reply, or deleted */
    uint64_t last;   /* number of the last row that was looked at */
    bool is_full;    /* there may be more rows */
    struct buf reply;
};

/* --- the desk --- */

static void prune_on_worker(uv_work_t *work)
{
    struct feedback_desk *d = work->data;
    d->prune_error = (struct err){0};
    (void)feedback_store_prune(d->store, clock_unix_ms(), &d->prune_error);
}

static void after_prune(uv_work_t *work, int status)
{
    struct feedback_desk *d = work->data;
    d->is_pruning = false;
    if (status == 0 && d->prune_error.kind != ERR_NONE) {
        log_warn("old feedback is not deleted: %s", d->prune_error.message);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct feedback_desk *d = timer->data;
    d->prune_work.data = d;
    if (!d->is_pruning &&
        uv_queue_work(d->loop, &d->prune_work, prune_on_worker, after_prune) == 0) {
        d->is_pruning = true;
    }
}

static void on_forgotten(void *ctx, const struct remembered_answer *a)
{
    drift_desk_note_feedback(ctx, &a->mark, a->is_spoken_of, a->is_disliked);
}

struct feedback_desk *feedback_desk_start(uv_loop_t *loop, const struct feedback_settings *set,
                                          struct drift_desk *drift, struct metrics *metrics,
                                          struct err *e)
{
    struct feedback_desk *d = mem_zalloc(sizeof(*d));
    if (!d) {
        err_nomem(e);
        return NULL;
    }
    d->loop = loop;
    d->keeping = set->keeping;
    d->memory = answer_memory_create(set->answers, on_forgotten, drift);
    d->store = d->memory ? feedback_store_open(set->path, &set->limits, e) : NULL;
    if (!d->store) {
        if (!d->memory) {
            err_nomem(e);
        }
        answer_memory_destroy(d->memory);
        mem_free(d);
        return NULL;
    }
    feedback_counts_begin(metrics);
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
    uv_timer_start(&d->timer, on_timer, 0, PRUNE_MS);
    return d;
}

void feedback_desk_stop(struct feedback_desk *d)
{
    if (d && !d->is_stopped) {
        d->is_stopped = true;
        uv_close((uv_handle_t *)&d->timer, NULL);
    }
}

void feedback_desk_destroy(struct feedback_desk *d)
{
    if (d) {
        feedback_store_close(d->store);
        answer_memory_destroy(d->memory);
        mem_free(d);
    }
}

void feedback_desk_collect(const struct feedback_desk *d, struct metrics *metrics)
{
    if (d) {
        feedback_count_pruned(metrics, feedback_store_pruned(d->store));
    }
}

bool feedback_desk_keeps_texts(const struct feedback_desk *d)
{
    return d->keeping == FEEDBACK_TEXTS;
}

void feedback_desk_remember(struct feedback_desk *d, struct remembered_answer *a)
{
    answer_memory_add(d->memory, a);
}

/* --- jobs --- */

static void destroy(struct feedback_job *j)
{
    j->desk->n_jobs--;
    feedback_deinit(&j->feedback);
    buf_deinit(&j->reply);
    mem_free(j);
}

/* NULL: that feedback is off, or that there is no room, was answered. */
static struct feedback_job *create(struct server *s, struct http_exchange *http,
                                   enum job_kind kind)
{
    struct err e = {0};
    if (!s->feedback) {
        struct api_error off =
            api_error_make(404, "invalid_request_error", "feedback_off", NULL,
                           "this server takes no feedback; its owner switches it on with "
                           "--feedback ids or texts");
        respond_error(http, &off);
        return NULL;
    }
    struct feedback_job *j = s->feedback->n_jobs < JOBS_MAX ? mem_zalloc(sizeof(*j)) : NULL;
    if (!j) {
        err_set(&e, ERR_BUSY, "too much feedback is being stored; try again");
        e.retry_after_s = 1;
        respond_err(http, &e);
        if (kind == JOB_ADD) {
            feedback_count_refusal(s->metrics, FEEDBACK_BUSY);
        }
        return NULL;
    }
    j->kind = kind;
    j->server = s;
    j->desk = s->feedback;
    j->http = http;
    j->desk->n_jobs++;
    buf_init(&j->reply, REPLY_BYTES_MAX);
    return j;
}

static int append_row(void *ctx, const struct feedback *f, struct err *e)
{
    struct feedback_job *j = ctx;
    buf_append_str(&j->reply, j->n ? "," : "");
    j->n++;
    j->last = f->number;
    if (feedback_reply_append(&j->reply, f) != 0) {
        return err_nomem(e);
    }
    j->is_full = j->reply.len > REPLY_BYTES_FULL;
    return j->is_full ? 1 : 0;
}

static int append_example(void *ctx, const struct feedback *f, struct err *e)
{
    struct feedback_job *j = ctx;
    enum feedback_example kind = feedback_example_of(f);
    j->last = f->number;
    j->is_full = --j->query.limit == 0;
    if (kind != FEEDBACK_NO_EXAMPLE && (kind == FEEDBACK_PAIR || !j->pairs_only)) {
        buf_append_str(&j->reply, j->n ? "," : "");
        j->n++;
        if (feedback_example_append(&j->reply, f) != 0) {
            return err_nomem(e);
        }
    }
    j->is_full = j->is_full || j->reply.len > REPLY_BYTES_FULL;
    return j->is_full ? 1 : 0;
}

static int list(struct feedback_job *j, struct err *e)
{
    bool is_export = j->kind == JOB_EXPORT;
    buf_append_str(&j->reply, is_export ? "{\"examples\":[" : "{\"feedback\":[");
    int rc = feedback_store_list(j->desk->store, &j->query,
                                 is_export ? append_example : append_row, j, e);
    if (rc < 0) {
        return -1;
    }
    buf_append_str(&j->reply, "]");
    if (is_export && j->is_full) {
        buf_printf(&j->reply, ",\"next\":%llu", (unsigned long long)j->last);
    } else if (is_export) {
        buf_append_str(&j->reply, ",\"next\":null");
    }
    return buf_append_char(&j->reply, '}') == 0 ? 0 : err_nomem(e);
}

static void run_on_worker(uv_work_t *work)
{
    struct feedback_job *j = work->data;
    int rc = 0;
    switch (j->kind) {
    case JOB_ADD:
        rc = feedback_store_add(j->desk->store, &j->feedback, &j->e);
        break;
    case JOB_DELETE:
        rc = feedback_store_delete(j->desk->store, j->user, j->key, j->id, &j->n, &j->e);
        break;
    default:
        rc = list(j, &j->e);
        break;
    }
    j->failed = rc != 0;
}

/* --- answering --- */

/* Each trouble is logged once, and that it is over. */
static void tell(struct feedback_desk *d, const struct feedback_job *j)
{
    if (j->failed && !d->was_failed) {
        log_error("feedback is not stored: %s", j->e.message);
    } else if (!j->failed && d->was_failed) {
        log_info("feedback is stored again");
    }
    d->was_failed = j->failed;
}

static void refuse_unstored(struct http_exchange *http)
{
    struct api_error error = api_error_make(503, "server_error", "not_stored", NULL,
                                            "the feedback could not be stored, and nothing of "
                                            "it is kept; try again later");
    error.retry_after_s = 5;
    respond_error(http, &error);
}

static void answer(struct feedback_job *j)
{
    size_t len = 0;
    if (j->failed && j->kind == JOB_ADD && j->e.kind != ERR_BUSY) {
        refuse_unstored(j->http);
    } else if (j->failed) {
        respond_err(j->http, &j->e);
    } else if (j->kind == JOB_ADD) {
        char *text = feedback_reply_text(&j->feedback, &len);
        respond_json(j->http, 201, text, len, NULL, 0);
    } else if (j->kind == JOB_DELETE) {
        buf_printf(&j->reply, "{\"deleted\":%llu}", (unsigned long long)j->n);
        char *text = buf_take(&j->reply, &len);
        respond_json(j->http, 200, text, len, NULL, 0);
    } else {
        char *text = buf_take(&j->reply, &len);
        respond_json(j->http, 200, text, len, NULL, 0);
    }
}

static void after_work(uv_work_t *work, int status)
{
    struct feedback_job *j = work->data;
    if (status != 0) {
        j->failed = err_set(&j->e, ERR_CANCELED, "the work was not done") != 0;
    }
    if (j->kind == JOB_ADD) {
        tell(j->desk, j);
        if (j->failed) {
            feedback_count_refusal(j->server->metrics,
                                   j->e.kind == ERR_BUSY ? FEEDBACK_BUSY : FEEDBACK_NOT_STORED);
        } else {
            feedback_count(j->server, j->desk->memory, &j->feedback, j->tenant);
        }
    } else if (j->kind == JOB_DELETE && !j->failed) {
        feedback_count_deleted(j->server->metrics, j->n);
        log_info("%llu rows of feedback were deleted", (unsigned long long)j->n);
    }
    if (j->http) {
        http_exchange_set_data(j->http, NULL);
        answer(j);
    }
    destroy(j);
}

static void refuse(struct feedback_job *j, const struct err *e)
{
    respond_err(j->http, e);
    destroy(j);
}

static void begin(struct feedback_job *j)
{
    struct err e = {0};
    j->work.data = j;
    http_exchange_set_data(j->http, j);
    if (uv_queue_work(&j->server->loop, &j->work, run_on_worker, after_work) != 0) {
        http_exchange_set_data(j->http, NULL);
        err_nomem(&e);
        refuse(j, &e);
    }
}

void feedback_abort(struct http_exchange *http)
{
    struct feedback_job *j = http_exchange_data(http);
    if (j) {
        j->http = NULL;
    }
}

/* --- POST /v1/feedback --- */

/* Copies a text; NULL stays NULL. */
static int copy(char **out, const char *text, struct err *e)
{
    *out = text ? mem_strdup(text) : NULL;
    return *out || !text ? 0 : err_nomem(e);
}

static const struct remembered_answer *find(const struct feedback_job *j, const char *field,
                                            const char *id, int choice, struct err *e)
{
    const struct remembered_answer *a =
        answer_memory_find(j->desk->memory, id, j->tenant, clock_now_ns());
    if (!a) {
        err_set_param(e, ERR_NOT_FOUND, field,
                      "\"%s\": no answer \"%.40s\" is known; it was not given here to this "
                      "key, or is too old",
                      field, id);
    } else if ((size_t)choice >= a->n_choices) {
        err_set_param(e, ERR_INVALID, field, "\"%s\": the answer has %zu choices, from 0 on",
                      field, a->n_choices);
        return NULL;
    }
    return a;
}

/* What was asked and answered: as it is remembered, else as the client says. */
static int fill_texts(struct feedback *f, const struct feedback_request *r,
                      const struct remembered_answer *a, const struct remembered_answer *over,
                      struct err *e)
{
    if (a->messages) {
        if (over && over->messages && strcmp(over->messages, a->messages) != 0) {
            return err_set_param(e, ERR_INVALID, "over",
                                 "\"over\": the two are no answers to the same messages");
        }
        return copy(&f->messages, a->messages, e) == 0 &&
                       copy(&f->text, a->texts[r->choice], e) == 0 &&
                       copy(&f->over_text,
                            over && over->messages ? over->texts[r->over_choice] : NULL, e) == 0
                   ? 0
                   : -1;
    }
    char *messages = r->messages ? cJSON_PrintUnformatted(r->messages) : NULL;
    int rc = r->messages && !messages ? err_nomem(e) : copy(&f->messages, messages, e);
    cJSON_free(messages);
    return rc == 0 && copy(&f->text, r->answer, e) == 0 ? copy(&f->over_text, r->over_answer, e)
                                                        : -1;
}

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

static int fill(struct feedback_job *j, const struct feedback_request *r, struct err *e)
{
    struct feedback *f = &j->feedback;
    const struct remembered_answer *over = NULL;
    j->tenant = access_tenant(&j->server->set.access, http_exchange_request(j->http));
    const struct remembered_answer *a = find(j, "id", r->id, r->choice, e);
    if (!a || (r->over && !(over = find(j, "over", r->over, r->over_choice, e)))) {
        return -1;
    }
    const char *key = access_key_name(&j->server->set.access, http_exchange_request(j->http));
    f->time_ms = clock_unix_ms();
    f->choice = r->choice;
    f->thumb = r->thumb;
    f->over_choice = r->over_choice;
    unique_id(f->id, sizeof(f->id), "fb-");
    snprintf(f->key, sizeof(f->key), "%s", key ? key : "");
    snprintf(f->user, sizeof(f->user), "%s", r->user ? r->user : "");
    snprintf(f->answer, sizeof(f->answer), "%s", r->id);
    snprintf(f->model, sizeof(f->model), "%s", a->model);
    snprintf(f->over, sizeof(f->over), "%s", r->over ? r->over : "");
    if (fill_texts(f, r, a, over, e) != 0 || copy(&f->comment, r->comment, e) != 0 ||
        copy(&f->correction, r->correction, e) != 0) {
        return -1;
    }
    size_t bytes =
        length(f->messages) + length(f->text) + length(f->over_text) + length(f->correction);
    return bytes <= FEEDBACK_TEXT_MAX
               ? 0
               : err_set_param(e, ERR_LIMIT, "messages",
                               "the texts have %zu bytes together, %zu are allowed", bytes,
                               FEEDBACK_TEXT_MAX);
}

static void refuse_unknown(struct feedback_job *j, const struct err *e)
{
    struct api_error error =
        api_error_make(404, "invalid_request_error", "answer_not_found", e->param, e->message);
    respond_error(j->http, &error);
    destroy(j);
}

void feedback_begin(struct server *s, struct http_exchange *http)
{
    struct err e = {0};
    struct feedback_request r;
    struct feedback_job *j = create(s, http, JOB_ADD);
    if (!j) {
        return;
    }
    const struct http_request *request = http_exchange_request(http);
    int rc = feedback_request_parse(&r, request->body, request->body_len, &e);
    if (rc == 0) {
        rc = fill(j, &r, &e);
        feedback_request_deinit(&r);
    }
    if (rc == 0) {
        begin(j);
    } else if (e.kind == ERR_NOT_FOUND) {
        feedback_count_refusal(s->metrics, FEEDBACK_UNKNOWN_ANSWER);
        refuse_unknown(j, &e);
    } else {
        feedback_count_refusal(s->metrics, FEEDBACK_INVALID);
        refuse(j, &e);
    }
}

/* --- admin routes --- */

static int read_list(struct feedback_job *j, const char *query, struct err *e)
{
    struct feedback_query *q = &j->query;
    unsigned long long limit = j->kind == JOB_EXPORT ? FEEDBACK_PAGE_MAX : PAGE_DEFAULT;
    unsigned long long before = 0, after = 0;
    char pairs[8];
    if (query_field_text(query, "user", q->user, sizeof(q->user), e) != 0 ||
        query_field_text(query, "key", q->key, sizeof(q->key), e) != 0 ||
        query_field_text(query, "answer", q->answer, sizeof(q->answer), e) != 0 ||
        query_field_text(query, "pairs", pairs, sizeof(pairs), e) != 0 ||
        query_field_number(query, "limit", 1, FEEDBACK_PAGE_MAX, &limit, e) != 0 ||
        query_field_number(query, "before", 0, INT64_MAX, &before, e) != 0 ||
        query_field_number(query, "after", 0, INT64_MAX, &after, e) != 0) {
        return -1;
    }
    q->limit = (size_t)limit;
    q->before = before;
    q->after = after;
    q->is_oldest_first = j->kind == JOB_EXPORT;
    q->now_ms = clock_unix_ms();
    j->pairs_only = strcmp(pairs, "true") == 0;
    return 0;
}

static int read_delete(struct feedback_job *j, const char *query, struct err *e)
{
    if (query_field_text(query, "user", j->user, sizeof(j->user), e) != 0 ||
        query_field_text(query, "key", j->key, sizeof(j->key), e) != 0 ||
        query_field_text(query, "id", j->id, sizeof(j->id), e) != 0) {
        return -1;
    }
    return j->user[0] || j->id[0] ? 0
                                  : err_set_param(e, ERR_INVALID, "user",
                                                  "?user= or ?id= says whose, or which one");
}

bool feedback_admin_has(enum route_id route)
{
    return route == ROUTE_ADMIN_FEEDBACK || route == ROUTE_ADMIN_FEEDBACK_EXPORT ||
           route == ROUTE_ADMIN_FEEDBACK_DELETE;
}

void feedback_admin_begin(struct server *s, struct http_exchange *http, enum route_id route)
{
    struct err e = {0};
    enum job_kind kind = route == ROUTE_ADMIN_FEEDBACK          ? JOB_LIST
                         : route == ROUTE_ADMIN_FEEDBACK_EXPORT ? JOB_EXPORT
                                                                : JOB_DELETE;
    struct feedback_job *j = create(s, http, kind);
    if (!j) {
        return;
    }
    const char *query = http_exchange_request(http)->query;
    int rc = kind == JOB_DELETE ? read_delete(j, query, &e) : read_list(j, query, &e);
    if (rc == 0) {
        begin(j);
    } else {
        refuse(j, &e);
    }
}
