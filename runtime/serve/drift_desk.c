#include "runtime/serve/drift_desk.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/drift_reply.h"
#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/drift_desk_parts.h"
#include "runtime/serve/server_metrics.h"

#define DESCRIPTION 160 /* bytes of one in the log */

struct drift_kept_alert *drift_desk_find_alert(struct drift_desk *d, uint64_t number)
{
    for (size_t i = 0; i < d->n_alerts; i++) {
        if (d->alerts[i].alert.number == number) {
            return &d->alerts[i];
        }
    }
    return NULL;
}

struct drift_entry *drift_desk_find_id(const struct drift_desk *d, uint64_t id)
{
    for (size_t i = 0; i < d->n; i++) {
        if (d->entries[i]->id == id) {
            return d->entries[i];
        }
    }
    return NULL;
}

/* --- alerts --- */

static void show(struct drift_desk *d, const struct drift_entry *entry, int m, double differs)
{
    const struct drift_key *k = &entry->key;
    const char *values[] = {k->model, k->version, k->prompt,
                            answer_measure_name((enum answer_measure)m)};
    metrics_set(d->metrics, SERVER_METRIC_DRIFT, values, differs);
    metrics_set(d->metrics, SERVER_METRIC_DRIFT_DIFFERENCE, values,
                entry->series.findings[m].difference);
}

static void end_alert(struct drift_desk *d, struct drift_entry *entry, int m, int64_t at_ms)
{
    struct drift_kept_alert *kept = drift_desk_find_alert(d, entry->alerts[m]);
    entry->alerts[m] = 0;
    if (kept) {
        kept->alert.ended_ms = at_ms;
        kept->is_due = true;
    }
}

void drift_desk_end_alerts(struct drift_desk *d, struct drift_entry *entry)
{
    for (int m = 0; m < ANSWER_MEASURE_COUNT; m++) {
        if (entry->alerts[m]) {
            end_alert(d, entry, m, clock_unix_ms());
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
    d->alerts[d->n_alerts++] = (struct drift_kept_alert){.alert = *a, .is_due = is_due};
    d->next_alert = a->number >= d->next_alert ? a->number + 1 : d->next_alert;
}

static void log_alert(const struct drift_entry *entry, int m, const struct drift_look *look,
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

static void raise_alert(struct drift_desk *d, struct drift_entry *entry, int m,
                        const struct drift_look *look)
{
    const struct drift_key *k = &entry->key;
    const char *values[] = {k->model, k->version, k->prompt,
                            answer_measure_name((enum answer_measure)m)};
    const struct drift_alert a = {
        .number = d->next_alert,
        .key = *k,
        .measure = m,
        .began_ms = clock_unix_ms(),
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
    struct drift_entry *entry;
};

static void on_look(void *ctx, const struct drift_look *look)
{
    const struct looking *l = ctx;
    struct drift_entry *entry = l->entry;
    const char *values[] = {entry->key.model, entry->key.version, entry->key.prompt};
    metrics_add(l->desk->metrics, SERVER_METRIC_DRIFT_LOOKS, values, 1);
    for (int m = 0; m < ANSWER_MEASURE_COUNT; m++) {
        if (look->changes[m] == DRIFT_BEGAN) {
            raise_alert(l->desk, entry, m, look);
        } else if (look->changes[m] == DRIFT_ENDED) {
            end_alert(l->desk, entry, m, clock_unix_ms());
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
    struct drift_entry *entry = d->entries[i];
    struct drift_write *w = d->is_retired ? NULL : mem_zalloc(sizeof(*w));
    if (w) { /* else the row stays, and leaves another time */
        w->kind = DRIFT_WRITE_DELETE;
        w->row.key = entry->key;
        drift_desk_enqueue(d, w);
    }
    drift_desk_end_alerts(d, entry);
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
static struct drift_entry *add_entry(struct drift_desk *d, const struct drift_key *key)
{
    struct drift_entry *entry = mem_zalloc(sizeof(*entry));
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

static struct drift_entry *find(const struct drift_desk *d, const struct drift_key *key)
{
    for (size_t i = 0; i < d->n; i++) {
        if (drift_key_equals(&d->entries[i]->key, key)) {
            return d->entries[i];
        }
    }
    return NULL;
}

struct drift_mark drift_desk_note(struct drift_desk *d, const struct drift_key *key,
                                  const struct answer_seen *a)
{
    struct drift_entry *entry = d ? find(d, key) : NULL;
    if (!entry) {
        entry = d ? add_entry(d, key) : NULL;
    }
    if (!entry) {
        return (struct drift_mark){0};
    }
    struct looking l = {d, entry};
    struct answer_seen seen = *a;
    struct drift_series *s = &entry->series;
    const struct drift_mark mark = {.series = entry->id, .number = s->answers};
    seen.time_ms = entry->used_ms = clock_unix_ms();
    entry->is_new = true;
    if (drift_series_add(s, &d->set, &seen, on_look, &l)) {
        entry->taken_ms = entry->used_ms;
        entry->is_due = true;
        log_info("drift of %s@%s, prompt %s: the baseline is taken, %llu answers", key->model,
                 key->version, key->prompt, (unsigned long long)s->baseline.answers);
    }
    entry->is_due =
        entry->is_due || (!s->has_baseline && s->baseline.answers % d->set.window == 0);
    drift_desk_pump(d);
    return mark;
}

void drift_desk_note_feedback(struct drift_desk *d, const struct drift_mark *mark,
                              bool is_spoken_of, bool is_disliked)
{
    struct drift_entry *entry = d ? drift_desk_find_id(d, mark->series) : NULL;
    const struct answer_feedback f = {mark->number, is_spoken_of, is_disliked};
    if (entry) {
        entry->is_new = true;
        drift_series_add_feedback(&entry->series, &f);
    }
}

/* --- beginning and end --- */

static int load_series(void *ctx, const struct drift_row *row, struct err *e)
{
    struct drift_desk *d = ctx;
    struct drift_entry *entry = add_entry(d, &row->key);
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

/* Whether it is an object that members can be put before, as drift_alert_append does. */
static bool is_alert_text(const char *text, struct err *why)
{
    cJSON *root = json_parse_object(text, strlen(text), why);
    bool is_whole = root && root->child && text[0] == '{';
    cJSON_Delete(root);
    if (root && !is_whole) {
        err_set(why, ERR_FORMAT, "the text begins otherwise than an alert");
    }
    return is_whole;
}

static int load_alert(void *ctx, const struct drift_alert *a, struct err *e)
{
    struct drift_desk *d = ctx;
    struct drift_alert copy = *a;
    struct err why = {0};
    if (!is_alert_text(a->text, &why)) {
        log_warn("drift of %s@%s: alert %llu is left out: %s", a->key.model, a->key.version,
                 (unsigned long long)a->number, why.message);
        d->next_alert = a->number >= d->next_alert ? a->number + 1 : d->next_alert;
        return 0;
    }
    copy.text = mem_strdup(a->text);
    if (!copy.text) {
        return err_nomem(e);
    }
    struct drift_entry *entry = copy.ended_ms == 0 ? find(d, &copy.key) : NULL;
    bool is_over = copy.ended_ms == 0 && !entry; /* its series has left */
    if (entry) {
        entry->alerts[copy.measure] = copy.number;
        entry->series.drifts[copy.measure] = 1;
        show(d, entry, copy.measure, 1);
    }
    copy.ended_ms = is_over ? clock_unix_ms() : copy.ended_ms;
    keep_alert(d, &copy, is_over);
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
    if (!d->store) {
        drift_desk_destroy(d);
        return NULL;
    }
    uv_timer_init(loop, &d->retry);
    d->retry.data = d;
    return d;
}

int drift_desk_load(struct drift_desk *d, struct err *e)
{
    if (!d) {
        return 0;
    }
    return drift_store_each(d->store, load_series, d, e) == 0
               ? drift_store_each_alert(d->store, load_alert, d, e)
               : -1;
}

void drift_desk_stop(struct drift_desk *d)
{
    if (d && !d->is_stopped) {
        d->is_stopped = true;
        uv_close((uv_handle_t *)&d->retry, NULL);
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
        struct drift_write *next = d->queue->next;
        if (d->queue->taken) {
            d->queue->taken(d->queue->ctx, 0, &gone);
        }
        drift_write_destroy(d->queue);
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
