/* metrics.h: counters, gauges and histograms, and how Prometheus reads them: the text format
 * 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats).
 *
 * A family is a name and the names of its labels, one line of a constant table. A series is a
 * family with a value for each label; it comes into being when it is first counted.
 *
 * Bounds. Label values of a family come from the program or its owner, but for one, the open
 * label, whose values something else makes up (the codes of filters). Beside the same values of
 * the other labels that one has METRICS_OPEN_MAX values at the most; whatever comes behind
 * them is counted under "other". A family has METRICS_SERIES_MAX series; where one more is
 * needed, the series that has not changed for the longest time is forgotten, as a counter that
 * starts again at 0 is something that readers know.
 *
 * Nothing here fails: what cannot be counted for want of memory is not counted.
 *
 * Threads: one at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

#define METRICS_LABELS_MAX 12
#define METRICS_VALUE_MAX  128 /* bytes of a label's value; longer ones are cut */
#define METRICS_SERIES_MAX 2000
#define METRICS_OPEN_MAX   32
#define METRICS_OTHER      "other"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_family {
    const char *name; /* with its unit; of a counter ending in _total */
    enum metric_kind kind;
    const char *help;
    const char *labels; /* names with commas between: "route,code"; "" for none */
    const char *open;   /* the open label among them, or NULL */
    /* Of histograms: upper bounds of the buckets, ascending; the one for +Inf is added. */
    const double *bounds;
    size_t n_bounds;
};

struct metrics;

/* families: (n), borrowed for the life of the metrics. NULL when out of memory. */
struct metrics *metrics_create(const struct metric_family *families, size_t n, struct err *e);
void metrics_destroy(struct metrics *m); /* accepts NULL */

/* `values` has one for each label, in the table's order; NULL reads as "". */

/* Of a counter (by >= 0) or gauge. */
void metrics_add(struct metrics *m, size_t family, const char *const *values, double by);
/* Of a gauge, or of a counter that is kept elsewhere and only shown here. */
void metrics_set(struct metrics *m, size_t family, const char *const *values, double value);
/* Forgets all series of a gauge: those that are true now are set anew. */
void metrics_clear(struct metrics *m, size_t family);
/* Of a histogram. */
void metrics_observe(struct metrics *m, size_t family, const char *const *values, double value);

/* A counter's or gauge's value; of a histogram the number of observations. 0 where there is no
 * such series. */
double metrics_value(const struct metrics *m, size_t family, const char *const *values);
size_t metrics_series_count(const struct metrics *m, size_t family);

/* Appends all families that have a series. 0, or -1 as buf.h. */
int metrics_write(const struct metrics *m, struct buf *out);
