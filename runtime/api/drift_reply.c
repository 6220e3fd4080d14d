#include "runtime/api/drift_reply.h"

#include <math.h>
#include <stdio.h>

#include "runtime/api/json_text.h"
#include "runtime/base/mem.h"

static const double quantiles[] = {0.1, 0.25, 0.5, 0.75, 0.9};
#define N_QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

void drift_describe(char *out, size_t size, const struct answer_sample *s,
                    enum answer_measure m)
{
    double n = answer_sample_count(s, m), hits = answer_sample_hits(s, m);
    if (answer_measure_is_share(m)) {
        snprintf(out, size, "%.0f of %.0f (%.3g %%)", hits, n, n > 0 ? 100 * hits / n : 0);
        return;
    }
    int len = snprintf(out, size, "%.0f values, quantiles 10 to 90 %%:", n);
    for (size_t i = 0; i < N_QUANTILES && len > 0 && (size_t)len < size; i++) {
        len += snprintf(out + len, size - (size_t)len, " %.3g",
                        answer_sample_quantile(s, m, quantiles[i]));
    }
}

/* Counts as they are; of other numbers six digits are more than is known. */
static void add_number(cJSON *o, const char *name, double value)
{
    char text[32];
    bool is_count = value == floor(value) && fabs(value) < 1e15;
    snprintf(text, sizeof(text), is_count ? "%.0f" : "%.6g", isfinite(value) ? value : 0);
    cJSON_AddRawToObject(o, name, text);
}

static void add_time(cJSON *o, const char *name, int64_t ms)
{
    cJSON_AddItemToObject(o, name,
                          ms > 0 ? cJSON_CreateNumber((double)ms / 1000) : cJSON_CreateNull());
}

static void add_key(cJSON *o, const struct drift_key *key)
{
    cJSON_AddStringToObject(o, "model", key->model);
    cJSON_AddStringToObject(o, "version", key->version);
    cJSON_AddStringToObject(o, "prompt", key->prompt);
    cJSON_AddStringToObject(o, "hashes", key->hashes);
}

static void add_bins(cJSON *o, const struct answer_sample *s, enum answer_measure m)
{
    cJSON *bins = cJSON_AddArrayToObject(o, "bins");
    for (int i = 0; i < ANSWER_BINS; i++) {
        cJSON_AddItemToArray(bins, cJSON_CreateNumber(s->bins[m][i]));
    }
}

static void add_bounds(cJSON *o, enum answer_measure m)
{
    cJSON *bounds = cJSON_AddArrayToObject(o, "bounds");
    for (int i = 0; i < ANSWER_BINS; i++) {
        char text[32];
        snprintf(text, sizeof(text), "%.6g", answer_bin_bound(m, i));
        cJSON_AddItemToArray(bounds, cJSON_CreateRaw(text));
    }
}

/* What one side has of a measure. */
static void add_side(cJSON *o, const char *name, const struct answer_sample *s,
                     enum answer_measure m, bool with_bins)
{
    double n = answer_sample_count(s, m), hits = answer_sample_hits(s, m);
    cJSON *side = cJSON_AddObjectToObject(o, name);
    add_number(side, "n", n);
    if (answer_measure_is_share(m)) {
        add_number(side, "hits", hits);
        add_number(side, "share", n > 0 ? hits / n : 0);
        return;
    }
    cJSON *list = cJSON_AddObjectToObject(side, "quantiles");
    for (size_t i = 0; i < N_QUANTILES; i++) {
        char percent[8];
        snprintf(percent, sizeof(percent), "%.0f", 100 * quantiles[i]);
        add_number(list, percent, answer_sample_quantile(s, m, quantiles[i]));
    }
    if (with_bins) {
        add_bins(side, s, m);
    }
}

static void add_finding(cJSON *o, const struct drift_finding *f, enum answer_measure m)
{
    cJSON_AddStringToObject(
        o, "test", answer_measure_is_share(m) ? "share_interval" : "kolmogorov_smirnov");
    add_number(o, "difference", f->difference);
    add_number(o, "at_least", f->at_least);
    add_number(o, "margin", f->margin);
    add_number(o, "level", f->level);
    add_number(o, "baseline_design_effect", f->design_baseline);
    add_number(o, "now_design_effect", f->design_window);
}

static void add_measure(cJSON *o, enum answer_measure m)
{
    cJSON_AddStringToObject(o, "measure", answer_measure_name(m));
    cJSON_AddStringToObject(o, "unit", answer_measure_unit(m));
}

/* --- alerts --- */

char *drift_alert_text(const struct drift_key *key, enum answer_measure m,
                       const struct drift_look *look, const struct answer_sample *baseline)
{
    size_t len = 0;
    cJSON *o = cJSON_CreateObject();
    add_key(o, key);
    add_measure(o, m);
    add_number(o, "look", (double)look->number);
    add_number(o, "answers", (double)look->window->answers);
    add_time(o, "from", look->window->first_ms);
    add_time(o, "to", look->window->last_ms);
    add_finding(o, &look->findings[m], m);
    if (!answer_measure_is_share(m)) {
        add_bounds(o, m);
    }
    add_side(o, "baseline", baseline, m, true);
    add_side(o, "now", look->window, m, true);
    return json_text_take(o, &len);
}

int drift_alert_append(struct buf *out, const struct drift_alert *a)
{
    buf_printf(out, "{\"number\":%llu,\"began\":%.3f,\"ended\":", (unsigned long long)a->number,
               (double)a->began_ms / 1000);
    if (a->ended_ms > 0) {
        buf_printf(out, "%.3f", (double)a->ended_ms / 1000);
    } else {
        buf_append_str(out, "null");
    }
    buf_append_char(out, ',');
    return buf_append_str(out, a->text + 1); /* behind its brace */
}

/* --- series --- */

static void add_baseline(cJSON *o, const struct drift_view *v)
{
    cJSON *b = cJSON_AddObjectToObject(o, "baseline");
    add_number(b, "answers", (double)v->series->baseline.answers);
    add_number(b, "wanted", v->set->baseline);
    add_time(b, "from", v->series->baseline.first_ms);
    add_time(b, "to", v->series->baseline.last_ms);
    add_time(b, "taken", v->taken_ms);
    json_add_string_or_null(b, "by", v->by[0] ? v->by : NULL);
}

static cJSON *measure_object(const struct drift_view *v, const struct answer_sample *now,
                             enum answer_measure m)
{
    const struct drift_series *s = v->series;
    cJSON *o = cJSON_CreateObject();
    add_measure(o, m);
    if (s->looks > 0 && s->findings[m].is_judged) {
        add_finding(o, &s->findings[m], m);
    }
    cJSON_AddBoolToObject(o, "differs", s->drifts[m] != 0);
    cJSON_AddItemToObject(o, "alert",
                          v->alerts[m] ? cJSON_CreateNumber((double)v->alerts[m])
                                       : cJSON_CreateNull());
    if (v->with_bins && !answer_measure_is_share(m)) {
        add_bounds(o, m);
    }
    add_side(o, "baseline", &s->baseline, m, v->with_bins);
    add_side(o, "now", now, m, v->with_bins);
    return o;
}

static const char *state_of(const struct drift_series *s)
{
    bool differs = false;
    for (int m = 0; m < ANSWER_MEASURE_COUNT; m++) {
        differs = differs || s->drifts[m] != 0;
    }
    return !s->has_baseline ? "taking_baseline" : differs ? "differs" : "watched";
}

int drift_view_append(struct buf *out, const struct drift_view *v)
{
    const struct drift_series *s = v->series;
    struct answer_sample now = s->judged;
    size_t len = 0;
    if (s->looks == 0 || now.answers == 0) {
        drift_series_newest(s, &now);
    }
    cJSON *o = cJSON_CreateObject();
    add_key(o, v->key);
    cJSON_AddStringToObject(o, "state", state_of(s));
    add_baseline(o, v);
    add_number(o, "looks", (double)s->looks);
    add_time(o, "last_answer", v->used_ms);
    cJSON *of_now = cJSON_AddObjectToObject(o, "now");
    add_number(of_now, "answers", (double)now.answers);
    add_time(of_now, "from", now.first_ms);
    add_time(of_now, "to", now.last_ms);
    cJSON *measures = cJSON_AddArrayToObject(o, "measures");
    for (int m = 0; m < ANSWER_MEASURE_COUNT; m++) {
        cJSON_AddItemToArray(measures, measure_object(v, &now, (enum answer_measure)m));
    }
    char *text = json_text_take(o, &len);
    int rc = text ? buf_append(out, text, len) : -1;
    out->failed = out->failed || !text;
    mem_free(text);
    return rc;
}
