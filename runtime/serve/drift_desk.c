#include "runtime/serve/drift_desk.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/drift_reply.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/server_metrics.h"

#define RETRY_MS      5000
#define ROW_BYTES_MAX ((size_t)1 << 20)
#define TAKE_MIN      100 /* answers of a baseline that an admin takes */
#define TAKES_MAX     16  /* that wait to be stored */
#define DESCRIPTION   160

/* A series and what it is of. */
struct entry {
    uint64_t id; /* never given twice */
    struct drift_key key;
    int64_t taken_ms, used_ms;
    char by[DRIFT_BY_SIZE];
    uint64_t alerts[ANSWER_MEASURE_COUNT]; /* numbers of those that go on; 0: none */
    bool is_new;                           /* something is not stored */
    bool is_due;                           /* and is to be, now */
    struct drift_series series;
};

struct kept_alert {
    struct drift_alert alert; /* with its text, owned */
    bool is_due;              /* to be stored */
};

enum write_kind { WRITE_SERIES, WRITE_ALERT, WRITE_DELETE };

/* What a worker does. */
struct write {
    struct write *next;
    enum write_kind kind;
    struct drift_row row;     /* of the first and the last kind; its text is owned */
    struct drift_alert alert; /* likewise */
    uint64_t series;
    struct answer_sample *sample; /* the new baseline, in force once it is stored; or NULL */
    drift_taken *taken;           /* NULL: nobody waits */
    void *ctx;
    bool failed;
    struct err e;
};

struct drift_desk {
    uv_loop_t *loop;
    uv_timer_t retry;
    uv_work_t work;
    struct drift_store *store;
    struct drift_settings set;
    struct metrics *metrics;
    struct entry *entries[DRIFT_SERIES_MAX]; /* (n) */
    size_t n;
    uint64_t next_id;
    struct kept_alert alerts[DRIFT_ALERTS_MAX]; /* (n_alerts), oldest first */
    size_t n_alerts;
    uint64_t next_alert;
    struct write *queue, **queue_end; /* that are asked for, before what is due by itself */
    size_t n_takes;
    struct write *current; /* on a worker; or NULL */
    bool waits;            /* after a failure, for the timer */
    bool was_failed;       /* which was told */
    bool is_stopped;
};

static int64_t now_ms(void)
{
    uv_timeval64_t now;
    uv_gettimeofday(&now);
    return now.tv_sec * 1000 + now.tv_usec / 1000;
}

/* --- what is to be written --- */

static void write_destroy(struct write *w)
{
    if (w) {
        mem_free(w->row.baseline);
        mem_free(w->alert.text);
        mem_free(w->sample);
        mem_free(w);
    }
}

/* The row of a series, with another baseline unless that is NULL. NULL: no memory. */
static struct write *write_series(const struct entry *entry,
                                  const struct answer_sample *baseline)
{
    struct write *w = mem_zalloc(sizeof(*w));
    struct buf text;
    buf_init(&text, ROW_BYTES_MAX);
    if (w) {
        w->kind = WRITE_SERIES;
        w->series = entry->id;
        w->row = (struct drift_row){.key = entry->key,
                                    .has_baseline = entry->series.has_baseline,
                                    .taken_ms = entry->taken_ms,
                                    .used_ms = entry->used_ms,
                                    .looks = entry->series.looks};
        memcpy(w->row.by, entry->by, sizeof(w->row.by));
        answer_sample_append(&text, baseline ? baseline : &entry->series.baseline);
        w->row.baseline = text.failed ? NULL : buf_take(&text, NULL);
    }
    buf_deinit(&text);
    if (w && !w->row.baseline) {
        write_destroy(w);
        return NULL;
    }
    return w;
}

static struct write *write_alert(const struct drift_alert *a)
{
    struct write *w = mem_zalloc(sizeof(*w));
    if (w) {
        w->kind = WRITE_ALERT;
        w->alert = *a;
        w->alert.text = mem_strdup(a->text);
    }
    if (w && !w->alert.text) {
        write_destroy(w);
        return NULL;
    }
    return w;
}

static int write_now(struct drift_store *store, struct write *w)
{
    int rc = w->kind == WRITE_SERIES  ? drift_store_put(store, &w->row, &w->e)
             : w->kind == WRITE_ALERT ? drift_store_put_alert(store, &w->alert, &w->e)
                                      : drift_store_delete(store, &w->row.key, &w->e);
    w->failed = rc != 0;
    return rc;
}

static struct kept_alert *find_alert(struct drift_desk *d, uint64_t number)
{
    for (size_t i = 0; i < d->n_alerts; i++) {
        if (d->alerts[i].alert.number == number) {
            return &d->alerts[i];
        }
    }
    return NULL;
}

static struct entry *find_id(const struct drift_desk *d, uint64_t id)
{
    for (size_t i = 0; i < d->n; i++) {
        if (d->entries[i]->id == id) {
            return d->entries[i];
        }
    }
    return NULL;
}

static void enqueue(struct drift_desk *d, struct write *w)
{
    *d->queue_end = w;
    d->queue_end = &w->next;
}

/* Those that are asked for come first. NULL: nothing is due, or there is no memory now. */
static struct write *next_write(struct drift_desk *d)
{
    struct write *w = d->queue;
    if (w) {
        d->queue = w->next;
        d->queue_end = d->queue ? d->queue_end : &d->queue;
        return w;
    }
    for (size_t i = 0; i < d->n_alerts && !d->waits; i++) {
        if (d->alerts[i].is_due) {
            w = write_alert(&d->alerts[i].alert);
            d->alerts[i].is_due = w == NULL;
            return w;
        }
    }
    for (size_t i = 0; i < d->n && !d->waits; i++) {
        if (d->entries[i]->is_due) {
            w = write_series(d->entries[i], NULL);
            d->entries[i]->is_due = d->entries[i]->is_new = w == NULL;
            return w;
        }
    }
    return NULL;
}

static void pump(struct drift_desk *d);

static void on_retry(uv_timer_t *timer)
{
    struct drift_desk *d = timer->data;
    d->waits = false;
    pump(d);
}

/* Each trouble is logged once, and that it is over. */
static void tell(struct drift_desk *d, const struct write *w)
{
    if (w->failed && !d->was_failed) {
        log_error("baselines and alerts of drift are not stored: %s", w->e.message);
    } else if (!w->failed && d->was_failed) {
        log_info("baselines and alerts of drift are stored again");
    }
    d->was_failed = w->failed;
}

/* It stays to be written. */
static void keep_due(struct drift_desk *d, const struct write *w)
{
    struct kept_alert *alert = w->kind == WRITE_ALERT ? find_alert(d, w->alert.number) : NULL;
    struct entry *entry = w->kind == WRITE_SERIES ? find_id(d, w->series) : NULL;
    if (alert) {
        alert->is_due = true;
    }
    if (entry) {
        entry->is_due = entry->is_new = true;
    }
    d->waits = true;
    if (!d->is_stopped) {
        uv_timer_start(&d->retry, on_retry, RETRY_MS, 0);
    }
}

static void end_take(struct drift_desk *d, struct write *w);

static void run_on_worker(uv_work_t *work)
{
    struct drift_desk *d = work->data;
    (void)write_now(d->store, d->current);
}

static void after_work(uv_work_t *work, int status)
{
    struct drift_desk *d = work->data;
    struct write *w = d->current;
    d->current = NULL;
    if (status != 0) {
        w->failed = err_set(&w->e, ERR_CANCELED, "the work was not done") != 0;
    }
    tell(d, w);
    if (w->taken) {
        end_take(d, w);
    } else if (w->failed) {
        keep_due(d, w);
    }
    write_destroy(w);
    pump(d);
}

static void pump(struct drift_desk *d)
{
    if (d->current || d->is_stopped) {
        return;
    }
    d->current = next_write(d);
    d->work.data = d;
    if (d->current && uv_queue_work(d->loop, &d->work, run_on_worker, after_work) != 0) {
        struct write *w = d->current;
        d->current = NULL;
        w->failed = err_nomem(&w->e) != 0;
        if (w->taken) {
            end_take(d, w);
        } else {
            keep_due(d, w);
        }
        write_destroy(w);
    }
}

/* --- alerts --- */

static void show(struct drift_desk *d, const struct entry *entry, int m, double differs)
{
    const struct drift_key *k = &entry->key;
    const char *values[] = {k->model, k->version, k->prompt,
                            answer_measure_name((enum answer_measure)m)};
    metrics_set(d->metrics, SERVER_METRIC_DRIFT, values, differs);
    metrics_set(d->metrics, SERVER_METRIC_DRIFT_DIFFERENCE, values,
                entry->series.findings[m].difference);
}

static void end_alert(struct drift_desk *d, struct entry *entry, int m, int64_t at_ms)
{
    struct kept_alert *kept = find_alert(d, entry->alerts[m]);
    entry->alerts[m] = 0;
    if (kept) {
        kept->alert.ended_ms = at_ms;
        kept->is_due = true;
    }
}

static void end_alerts(struct drift_desk *d, struct entry *entry)
{
    for (int m = 0; m < ANSWER_MEASURE_COUNT; m++) {
        if (entry->alerts[m]) {
            end_alert(d, entry, m, now_ms());
        }
        show(d, entry, m, 0);
    }
}

/* Takes the text over. */
static void keep_alert(struct drift_desk *d, const struct drift_alert *a, bool is_due)
{
    if (d->n_alerts == DRIFT_ALERTS_MAX) {
        mem_free(d->alerts[0].alert.text);
        memmove(d->alerts, d->alerts + 1, (DRIFT_ALERTS_MAX - 1) * sizeof(d->alerts[0]));
        d->n_alerts--;
    }
    d->alerts[d->n_alerts++] = (struct kept_alert){.alert = *a, .is_due = is_due};
    d->next_alert = a->number >= d->next_alert ? a->number + 1 : d->next_alert;
}

static void log_alert(const struct entry *entry, int m, const struct drift_look *look,
                      uint64_t number)
{
    char then[DESCRIPTION], now[DESCRIPTION];
    const struct drift_finding *f = &look->findings[m];
    drift_describe(then, sizeof(then), &entry->series.baseline, (enum answer_measure)m);
    drift_describe(now, sizeof(now), look->window, (enum answer_measure)m);
    log_warn("drift of %s@%s, prompt %s: %s differs from the baseline by %.3g, by %.3g at "
             "least (margin %.3g, level %.2g): now %s; baseline %s (alert %llu)",
             entry->key.model, entry->key.version, entry->key.prompt,
             answer_measure_name((enum answer_measure)m), f->difference, f->at_least, f->margin,
             f->level, now, then, (unsigned long long)number);
}

static void raise_alert(struct drift_desk *d, struct entry *entry, int m,
                        const struct drift_look *look)
{
    const struct drift_key *k = &entry->key;
    const char *values[] = {k->model, k->version, k->prompt,
                            answer_measure_name((enum answer_measure)m)};
    const struct drift_alert a = {
        .number = d->next_alert,
        .key = *k,
        .measure = m,
        .began_ms = now_ms(),
        .text = drift_alert_text(k, (enum answer_measure)m, look, &entry->series.baseline)};
    metrics_add(d->metrics, SERVER_METRIC_DRIFT_ALERTS, values, 1);
    log_alert(entry, m, look, a.number);
    if (a.text) {
        entry->alerts[m] = a.number;
        keep_alert(d, &a, true);
    }
}

/* What on_look needs. */
struct looking {
    struct drift_desk *desk;
    struct entry *entry;
};

static void on_look(void *ctx, const struct drift_look *look)
{
    const struct looking *l = ctx;
    struct entry *entry = l->entry;
    const char *values[] = {entry->key.model, entry->key.version, entry->key.prompt};
    metrics_add(l->desk->metrics, SERVER_METRIC_DRIFT_LOOKS, values, 1);
    for (int m = 0; m < ANSWER_MEASURE_COUNT; m++) {
        if (look->changes[m] == DRIFT_BEGAN) {
            raise_alert(l->desk, entry, m, look);
        } else if (look->changes[m] == DRIFT_ENDED) {
            end_alert(l->desk, entry, m, now_ms());
            log_info("drift of %s@%s, prompt %s: %s is again as in the baseline",
                     entry->key.model, entry->key.version, entry->key.prompt,
                     answer_measure_name((enum answer_measure)m));
        }
        if (look->findings[m].is_judged) {
            show(l->desk, entry, m, entry->series.drifts[m] != 0);
        }
    }
    entry->is_due = true;
}

/* --- series --- */

static void forget(struct drift_desk *d, size_t i)
{
    struct entry *entry = d->entries[i];
    struct write *w = mem_zalloc(sizeof(*w));
    if (w) { /* else the row stays, and leaves another time */
        w->kind = WRITE_DELETE;
        w->row.key = entry->key;
        enqueue(d, w);
    }
    end_alerts(d, entry);
    mem_free(entry);
    d->entries[i] = d->entries[--d->n];
}

static void forget_oldest(struct drift_desk *d)
{
    size_t oldest = 0;
    for (size_t i = 1; i < d->n; i++) {
        oldest = d->entries[i]->used_ms < d->entries[oldest]->used_ms ? i : oldest;
    }
    forget(d, oldest);
}

/* NULL: no memory. */
static struct entry *add_entry(struct drift_desk *d, const struct drift_key *key)
{
    struct entry *entry = mem_zalloc(sizeof(*entry));
    if (!entry) {
        return NULL;
    }
    if (d->n == DRIFT_SERIES_MAX) {
        forget_oldest(d);
    }
    entry->id = d->next_id++;
    entry->key = *key;
    d->entries[d->n++] = entry;
    return entry;
}

static struct entry *find(const struct drift_desk *d, const struct drift_key *key)
{
    for (size_t i = 0; i < d->n; i++) {
        if (drift_key_equals(&d->entries[i]->key, key)) {
            return d->entries[i];
        }
    }
    return NULL;
}

uint64_t drift_desk_note(struct drift_desk *d, const struct drift_key *key,
                         const struct answer_seen *a)
{
    struct entry *entry = d ? find(d, key) : NULL;
    if (!entry) {
        entry = d ? add_entry(d, key) : NULL;
    }
    if (!entry) {
        return 0;
    }
    struct looking l = {d, entry};
    struct answer_seen seen = *a;
    struct drift_series *s = &entry->series;
    seen.time_ms = entry->used_ms = now_ms();
    entry->is_new = true;
    if (drift_series_add(s, &d->set, &seen, on_look, &l)) {
        entry->taken_ms = entry->used_ms;
        entry->is_due = true;
        log_info("drift of %s@%s, prompt %s: the baseline is taken, %llu answers", key->model,
                 key->version, key->prompt, (unsigned long long)s->baseline.answers);
    }
    entry->is_due =
        entry->is_due || (!s->has_baseline && s->baseline.answers % d->set.window == 0);
    pump(d);
    return entry->id;
}

void drift_desk_note_feedback(struct drift_desk *d, uint64_t series, bool is_disliked)
{
    struct entry *entry = d ? find_id(d, series) : NULL;
    if (entry) {
        entry->is_new = true;
        drift_series_add_feedback(&entry->series, is_disliked);
    }
}

/* --- for the admin --- */

static bool matches(const struct drift_asked *asked, const struct drift_key *key)
{
    return (!asked->model[0] || strcmp(asked->model, key->model) == 0) &&
           (!asked->version[0] || strcmp(asked->version, key->version) == 0) &&
           (!asked->prompt[0] || strcmp(asked->prompt, key->prompt) == 0);
}

static int append_entry(const struct drift_desk *d, const struct entry *entry, bool with_bins,
                        struct buf *out)
{
    const struct drift_view view = {.key = &entry->key,
                                    .series = &entry->series,
                                    .set = &d->set,
                                    .taken_ms = entry->taken_ms,
                                    .used_ms = entry->used_ms,
                                    .by = entry->by,
                                    .alerts = entry->alerts,
                                    .with_bins = with_bins};
    return drift_view_append(out, &view);
}

int drift_desk_list(const struct drift_desk *d, const struct drift_asked *asked, bool with_bins,
                    struct buf *out)
{
    bool is_first = true;
    buf_printf(out, "{\"window\":%u,\"baseline\":%u,\"alpha\":%.6g,\"series\":[", d->set.window,
               d->set.baseline, d->set.alpha);
    for (size_t i = 0; i < d->n; i++) {
        if (matches(asked, &d->entries[i]->key)) {
            buf_append_str(out, is_first ? "" : ",");
            is_first = false;
            append_entry(d, d->entries[i], with_bins, out);
        }
    }
    return buf_append_str(out, "]}");
}

int drift_desk_list_alerts(const struct drift_desk *d, const struct drift_asked *asked,
                           uint64_t before, size_t limit, struct buf *out)
{
    size_t n = 0;
    buf_append_str(out, "{\"alerts\":[");
    for (size_t i = d->n_alerts; i-- > 0 && n < limit;) {
        const struct drift_alert *a = &d->alerts[i].alert;
        if ((before == 0 || a->number < before) && matches(asked, &a->key)) {
            buf_append_str(out, n++ ? "," : "");
            drift_alert_append(out, a);
        }
    }
    return buf_append_str(out, "]}");
}

int drift_desk_append(const struct drift_desk *d, uint64_t series, struct buf *out)
{
    const struct entry *entry = find_id(d, series);
    return entry ? append_entry(d, entry, false, out) : 0;
}

static struct entry *find_asked(const struct drift_desk *d, const struct drift_asked *asked,
                                const char *param, struct err *e)
{
    struct entry *found = NULL;
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++) {
        if (matches(asked, &d->entries[i]->key)) {
            /* Of some that differ in their hashes alone, the one that is in use. */
            bool is_newer = !found || d->entries[i]->used_ms >= found->used_ms;
            bool is_alike = found && strcmp(found->key.model, d->entries[i]->key.model) == 0 &&
                            strcmp(found->key.version, d->entries[i]->key.version) == 0 &&
                            strcmp(found->key.prompt, d->entries[i]->key.prompt) == 0;
            n += !is_alike;
            found = is_newer ? d->entries[i] : found;
        }
    }
    if (n == 1) {
        return found;
    }
    if (n == 0) {
        err_set_param(e, ERR_NOT_FOUND, param,
                      "no answers of %s@%s with prompt %s were seen; GET /admin/drift lists "
                      "what was",
                      asked->model[0] ? asked->model : "any model",
                      asked->version[0] ? asked->version : "any version",
                      asked->prompt[0] ? asked->prompt : "any");
    } else {
        err_set_param(e, ERR_CONFLICT, param,
                      "%zu series of answers match; say which by \"model\", \"version\" and "
                      "\"prompt\"",
                      n);
    }
    return NULL;
}

/* The new baseline, empty for one that is to be taken. NULL with an error. */
static struct answer_sample *new_baseline(const struct drift_desk *d, const struct entry *entry,
                                          enum drift_take how, const struct drift_asked *other,
                                          struct err *e)
{
    const struct entry *from =
        how == DRIFT_TAKE_OTHER ? find_asked(d, other, "from", e) : entry;
    struct answer_sample *sample = from ? mem_zalloc(sizeof(*sample)) : NULL;
    if (!sample) {
        if (from) {
            err_nomem(e);
        }
        return NULL;
    }
    if (how == DRIFT_TAKE_NEXT) {
        return sample;
    }
    if (how == DRIFT_TAKE_OTHER || !from->series.has_baseline) {
        *sample = from->series.baseline;
    } else {
        drift_series_newest(&from->series, sample);
    }
    if (sample->answers < TAKE_MIN) {
        err_set_param(e, ERR_CONFLICT, "take", "there are %llu answers yet, %d are needed",
                      (unsigned long long)sample->answers, TAKE_MIN);
        mem_free(sample);
        return NULL;
    }
    return sample;
}

int drift_desk_take(struct drift_desk *d, const struct drift_asked *asked, enum drift_take how,
                    const struct drift_asked *other, const char *by, drift_taken *taken,
                    void *ctx, struct err *e)
{
    if (d->n_takes >= TAKES_MAX) {
        return err_set(e, ERR_BUSY, "too many baselines are being stored; try again");
    }
    struct entry *entry = find_asked(d, asked, "model", e);
    struct answer_sample *sample = entry ? new_baseline(d, entry, how, other, e) : NULL;
    if (!sample) {
        return -1;
    }
    struct write *w = write_series(entry, sample);
    if (!w) {
        mem_free(sample);
        return err_nomem(e);
    }
    w->row.has_baseline = how != DRIFT_TAKE_NEXT;
    w->row.taken_ms = how != DRIFT_TAKE_NEXT ? now_ms() : 0;
    w->row.looks = 0;
    snprintf(w->row.by, sizeof(w->row.by), "%s", by);
    w->sample = sample;
    w->taken = taken;
    w->ctx = ctx;
    d->n_takes++;
    enqueue(d, w);
    pump(d);
    return 0;
}

/* It is on disk, or cannot be. */
static void end_take(struct drift_desk *d, struct write *w)
{
    struct entry *entry = find_id(d, w->series);
    struct err e = w->e;
    d->n_takes--;
    if (!w->failed && !entry) {
        w->failed = err_set_param(&e, ERR_NOT_FOUND, "model", "the series is gone") != 0;
    }
    if (!w->failed) {
        drift_series_restart(&entry->series, w->row.has_baseline ? w->sample : NULL);
        end_alerts(d, entry);
        entry->taken_ms = w->row.taken_ms;
        memcpy(entry->by, w->row.by, sizeof(entry->by));
        log_info("drift of %s@%s, prompt %s: %s has %s", entry->key.model, entry->key.version,
                 entry->key.prompt, entry->by,
                 w->row.has_baseline ? "taken a baseline" : "asked for a new baseline");
    } else if (e.kind != ERR_NOT_FOUND) {
        e.kind = ERR_IO;
    }
    w->taken(w->ctx, w->series, w->failed ? &e : NULL);
}

/* --- beginning and end --- */

static int load_series(void *ctx, const struct drift_row *row, struct err *e)
{
    struct drift_desk *d = ctx;
    struct entry *entry = add_entry(d, &row->key);
    struct err why = {0};
    if (!entry) {
        return err_nomem(e);
    }
    struct drift_series *s = &entry->series;
    entry->used_ms = row->used_ms;
    if (answer_sample_parse(&s->baseline, row->baseline, strlen(row->baseline), &why) != 0) {
        log_warn("drift of %s@%s: the baseline begins anew: %s", row->key.model,
                 row->key.version, why.message);
        s->baseline = (struct answer_sample){0};
        return 0;
    }
    s->has_baseline = row->has_baseline;
    s->looks = row->looks;
    s->answers = s->baseline.answers;
    entry->taken_ms = row->taken_ms;
    memcpy(entry->by, row->by, sizeof(entry->by));
    return 0;
}

static int load_alert(void *ctx, const struct drift_alert *a, struct err *e)
{
    struct drift_desk *d = ctx;
    struct drift_alert copy = *a;
    copy.text = mem_strdup(a->text);
    if (!copy.text) {
        return err_nomem(e);
    }
    struct entry *entry = copy.ended_ms == 0 ? find(d, &copy.key) : NULL;
    if (entry) {
        entry->alerts[copy.measure] = copy.number;
        entry->series.drifts[copy.measure] = 1;
        show(d, entry, copy.measure, 1);
    }
    keep_alert(d, &copy, false);
    return 0;
}

struct drift_desk *drift_desk_start(uv_loop_t *loop, const struct drift_desk_settings *set,
                                    struct metrics *metrics, struct err *e)
{
    struct drift_desk *d = mem_zalloc(sizeof(*d));
    if (!d) {
        err_nomem(e);
        return NULL;
    }
    d->loop = loop;
    d->set = set->test;
    d->metrics = metrics;
    d->next_id = d->next_alert = 1;
    d->queue_end = &d->queue;
    d->store = drift_store_open(set->path, e);
    if (!d->store || drift_store_each(d->store, load_series, d, e) != 0 ||
        drift_store_each_alert(d->store, load_alert, d, e) != 0) {
        drift_desk_destroy(d);
        return NULL;
    }
    uv_timer_init(loop, &d->retry);
    d->retry.data = d;
    return d;
}

void drift_desk_stop(struct drift_desk *d)
{
    if (d && !d->is_stopped) {
        d->is_stopped = true;
        uv_close((uv_handle_t *)&d->retry, NULL);
    }
}

void drift_desk_save(struct drift_desk *d)
{
    struct write *w;
    bool failed = false;
    if (!d) {
        return;
    }
    d->waits = false;
    for (size_t i = 0; i < d->n; i++) {
        d->entries[i]->is_due = d->entries[i]->is_new;
    }
    while (!failed && (w = next_write(d)) != NULL) {
        failed = write_now(d->store, w) != 0;
        tell(d, w);
        write_destroy(w);
    }
}

void drift_desk_destroy(struct drift_desk *d)
{
    if (!d) {
        return;
    }
    struct err gone = {0};
    err_set(&gone, ERR_CANCELED, "the server ends");
    while (d->queue) {
        struct write *next = d->queue->next;
        if (d->queue->taken) {
            d->queue->taken(d->queue->ctx, 0, &gone);
        }
        write_destroy(d->queue);
        d->queue = next;
    }
    for (size_t i = 0; i < d->n; i++) {
        mem_free(d->entries[i]);
    }
    for (size_t i = 0; i < d->n_alerts; i++) {
        mem_free(d->alerts[i].alert.text);
    }
    drift_store_close(d->store);
    mem_free(d);
}
