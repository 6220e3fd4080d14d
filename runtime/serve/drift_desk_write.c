#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/drift_desk_parts.h"

#define RETRY_MS      5000
#define ROW_BYTES_MAX ((size_t)1 << 20)

void drift_write_destroy(struct drift_write *w)
{
    if (w) {
        mem_free(w->row.baseline);
        mem_free(w->alert.text);
        mem_free(w->sample);
        mem_free(w);
    }
}

struct drift_write *drift_write_series(const struct drift_entry *entry,
                                       const struct answer_sample *baseline)
{
    struct drift_write *w = mem_zalloc(sizeof(*w));
    struct buf text;
    buf_init(&text, ROW_BYTES_MAX);
    if (w) {
        w->kind = DRIFT_WRITE_SERIES;
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
        drift_write_destroy(w);
        return NULL;
    }
    return w;
}

static struct drift_write *write_alert(const struct drift_alert *a)
{
    struct drift_write *w = mem_zalloc(sizeof(*w));
    if (w) {
        w->kind = DRIFT_WRITE_ALERT;
        w->alert = *a;
        w->alert.text = mem_strdup(a->text);
    }
    if (w && !w->alert.text) {
        drift_write_destroy(w);
        return NULL;
    }
    return w;
}

static int write_now(struct drift_store *store, struct drift_write *w)
{
    int rc = w->kind == DRIFT_WRITE_SERIES  ? drift_store_put(store, &w->row, &w->e)
             : w->kind == DRIFT_WRITE_ALERT ? drift_store_put_alert(store, &w->alert, &w->e)
                                            : drift_store_delete(store, &w->row.key, &w->e);
    w->failed = rc != 0;
    return rc;
}

void drift_desk_enqueue(struct drift_desk *d, struct drift_write *w)
{
    *d->queue_end = w;
    d->queue_end = &w->next;
}

/* Those that are asked for come first. NULL: nothing is due, or there is no memory now. */
static struct drift_write *next_write(struct drift_desk *d)
{
    bool is_quiet = d->waits || d->is_retired;
    struct drift_write *w = d->queue;
    if (w) {
        d->queue = w->next;
        d->queue_end = d->queue ? d->queue_end : &d->queue;
        return w;
    }
    for (size_t i = 0; i < d->n_alerts && !is_quiet; i++) {
        if (d->alerts[i].is_due) {
            w = write_alert(&d->alerts[i].alert);
            d->alerts[i].is_due = w == NULL;
            return w;
        }
    }
    for (size_t i = 0; i < d->n && !is_quiet; i++) {
        if (d->entries[i]->is_due) {
            w = drift_write_series(d->entries[i], NULL);
            d->entries[i]->is_due = d->entries[i]->is_new = w == NULL;
            return w;
        }
    }
    return NULL;
}

static void on_retry(uv_timer_t *timer)
{
    struct drift_desk *d = timer->data;
    d->waits = false;
    drift_desk_pump(d);
}

/* Each trouble is logged once, and that it is over. */
static void tell(struct drift_desk *d, const struct drift_write *w)
{
    if (w->failed && !d->was_failed) {
        log_error("baselines and alerts of drift are not stored: %s", w->e.message);
    } else if (!w->failed && d->was_failed) {
        log_info("baselines and alerts of drift are stored again");
    }
    d->was_failed = w->failed;
}

/* It stays to be written. */
static void keep_due(struct drift_desk *d, const struct drift_write *w)
{
    struct drift_kept_alert *alert =
        w->kind == DRIFT_WRITE_ALERT ? drift_desk_find_alert(d, w->alert.number) : NULL;
    struct drift_entry *entry =
        w->kind == DRIFT_WRITE_SERIES ? drift_desk_find_id(d, w->series) : NULL;
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

static void run_on_worker(uv_work_t *work)
{
    struct drift_desk *d = work->data;
    (void)write_now(d->store, d->current);
}

static void after_work(uv_work_t *work, int status)
{
    struct drift_desk *d = work->data;
    struct drift_write *w = d->current;
    d->current = NULL;
    if (status != 0) {
        w->failed = err_set(&w->e, ERR_CANCELED, "the work was not done") != 0;
    }
    tell(d, w);
    if (w->taken) {
        drift_desk_end_take(d, w);
    } else if (w->failed) {
        keep_due(d, w);
    }
    drift_write_destroy(w);
    drift_desk_pump(d);
}

void drift_desk_pump(struct drift_desk *d)
{
    if (d->current || d->is_stopped) {
        return;
    }
    d->current = next_write(d);
    d->work.data = d;
    if (d->current && uv_queue_work(d->loop, &d->work, run_on_worker, after_work) != 0) {
        struct drift_write *w = d->current;
        d->current = NULL;
        w->failed = err_nomem(&w->e) != 0;
        if (w->taken) {
            drift_desk_end_take(d, w);
        } else {
            keep_due(d, w);
        }
        drift_write_destroy(w);
    }
}

/* --- another process, and the end --- */

static void make_all_due(struct drift_desk *d)
{
    for (size_t i = 0; i < d->n; i++) {
        d->entries[i]->is_due = d->entries[i]->is_new;
    }
}

void drift_desk_settle(struct drift_desk *d)
{
    if (d) {
        make_all_due(d);
        drift_desk_pump(d);
    }
}

bool drift_desk_is_storing(const struct drift_desk *d)
{
    return d && d->current;
}

void drift_desk_retire(struct drift_desk *d)
{
    if (d) {
        d->is_retired = true;
    }
}

void drift_desk_resume(struct drift_desk *d)
{
    if (d) {
        d->is_retired = false;
        drift_desk_pump(d);
    }
}

void drift_desk_save(struct drift_desk *d)
{
    struct drift_write *w;
    bool failed = false;
    if (!d || d->is_retired) {
        return;
    }
    d->waits = false;
    make_all_due(d);
    while (!failed && (w = next_write(d)) != NULL) {
        failed = write_now(d->store, w) != 0;
        tell(d, w);
        if (w->taken) {
            drift_desk_end_take(d, w);
        }
        drift_write_destroy(w);
    }
}
