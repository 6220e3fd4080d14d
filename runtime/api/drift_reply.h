/* drift_reply.h: distributions of answers and alerts as JSON, for the admin, and as words for
 * the log. */
#pragma once

#include "runtime/registry/drift_series.h"
#include "runtime/registry/drift_store.h"

/* What an alert shows: both distributions, how far they are apart, and what the test says. The
 * caller's (mem_free); NULL: no memory. */
char *drift_alert_text(const struct drift_key *key, enum answer_measure m,
                       const struct drift_look *look, const struct answer_sample *baseline);

/* Appends it as an object, with its number and times. 0, or -1 as buf.h. */
int drift_alert_append(struct buf *out, const struct drift_alert *a);

/* A series as it stands. */
struct drift_view {
    const struct drift_key *key;
    const struct drift_series *series;
    const struct drift_settings *set;
    int64_t taken_ms, used_ms;
    const char *by;         /* who took the baseline; "": it was taken by itself */
    const uint64_t *alerts; /* (ANSWER_MEASURE_COUNT) numbers of those that go on; 0: none */
    bool with_bins;         /* the whole distributions too */
};

/* Appends it as an object. 0, or -1 as buf.h. */
int drift_view_append(struct buf *out, const struct drift_view *v);

/* "1000 values, quantiles 10 to 90 %: 12 30 61 110 222" or "12 of 240 (5 %)". */
void drift_describe(char *out, size_t size, const struct answer_sample *s,
                    enum answer_measure m);
