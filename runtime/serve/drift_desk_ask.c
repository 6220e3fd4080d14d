#include <stdio.h>
#include <string.h>

#include "runtime/api/drift_reply.h"
#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/drift_desk_parts.h"

#define TAKE_MIN  100 /* answers of a baseline that an admin takes */
#define TAKES_MAX 16  /* that wait to be stored */

static bool matches(const struct drift_asked *asked, const struct drift_key *key)
{
    return (!asked->model[0] || strcmp(asked->model, key->model) == 0) &&
           (!asked->version[0] || strcmp(asked->version, key->version) == 0) &&
           (!asked->prompt[0] || strcmp(asked->prompt, key->prompt) == 0);
}

static int append_entry(const struct drift_desk *d, const struct drift_entry *entry,
                        bool with_bins, struct buf *out)
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
    const struct drift_entry *entry = drift_desk_find_id(d, series);
    return entry ? append_entry(d, entry, false, out) : 0;
}

static struct drift_entry *find_asked(const struct drift_desk *d,
                                      const struct drift_asked *asked, const char *param,
                                      struct err *e)
{
    struct drift_entry *found = NULL;
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
static struct answer_sample *new_baseline(const struct drift_desk *d,
                                          const struct drift_entry *entry, enum drift_take how,
                                          const struct drift_asked *other, struct err *e)
{
    const struct drift_entry *from =
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
        answer_sample_drop_feedback(
            sample); /* of older answers; that of these is still to come */
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
    struct drift_entry *entry = find_asked(d, asked, "model", e);
    struct answer_sample *sample = entry ? new_baseline(d, entry, how, other, e) : NULL;
    if (!sample) {
        return -1;
    }
    struct drift_write *w = drift_write_series(entry, sample);
    if (!w) {
        mem_free(sample);
        return err_nomem(e);
    }
    w->row.has_baseline = how != DRIFT_TAKE_NEXT;
    w->row.taken_ms = how != DRIFT_TAKE_NEXT ? clock_unix_ms() : 0;
    w->row.looks = 0;
    snprintf(w->row.by, sizeof(w->row.by), "%s", by);
    w->sample = sample;
    w->taken = taken;
    w->ctx = ctx;
    d->n_takes++;
    drift_desk_enqueue(d, w);
    drift_desk_pump(d);
    return 0;
}

void drift_desk_end_take(struct drift_desk *d, struct drift_write *w)
{
    struct drift_entry *entry = drift_desk_find_id(d, w->series);
    struct err e = w->e;
    d->n_takes--;
    if (!w->failed && !entry) {
        w->failed = err_set_param(&e, ERR_NOT_FOUND, "model", "the series is gone") != 0;
    }
    if (!w->failed) {
        drift_series_restart(&entry->series, w->row.has_baseline ? w->sample : NULL);
        drift_desk_end_alerts(d, entry);
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
