/* span_export.h: tells a collector of traces what requests did: OTLP/HTTP with JSON
 * (span_json.h), for instance the OpenTelemetry Collector, Jaeger or Tempo.
 *
 * It never slows requests: a record is copied into a queue of SPAN_QUEUE_MAX, and a thread of
 * its own, with its own loop, makes the JSON and talks to the collector. Records that find the
 * queue full are dropped and counted. While the collector cannot be reached the oldest ones
 * are tried again, ever less often; the log says once that it began and that it is over. What
 * the collector refuses for good (4xx but 429) is dropped. The log says how many it had not
 * taken at the end.
 *
 * Threads: any for add and stats; start and stop belong to one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/serve/request_record.h"

#define SPAN_QUEUE_MAX   2048 /* requests that wait */
#define SPAN_BATCH_MAX   256  /* of them, sent together */
#define SPAN_HEADERS_MAX 16
#define SPAN_STOP_MS     2000 /* what the collector has at the end to take what waits */

struct span_settings {
    const char *endpoint; /* "http://127.0.0.1:4318": /v1/traces is added; NULL: no traces */
    const char *headers;  /* as OTEL_EXPORTER_OTLP_HEADERS has them: a key, say; or NULL */
    const char *service;  /* what the spans say who they are of */
    const char *version;  /* of the program */
    double share;         /* of the traces that begin here, those that are recorded: 0 to 1 */
};

/* Requests, since the start. */
struct span_stats {
    uint64_t exported;
    uint64_t dropped_full;    /* the queue was */
    uint64_t dropped_refused; /* by the collector */
    uint64_t failures;        /* calls of the collector that it did not answer with 2xx */
    size_t waiting;           /* those that are being sent included */
};

struct span_export;

/* Names the option at fault: the endpoint or a header is none. */
int span_settings_check(const struct span_settings *set, struct err *e);

/* Starts the thread; the collector need not be there. Settings are copied but for their
 * strings, which are borrowed. */
struct span_export *span_export_start(const struct span_settings *set, struct err *e);

/* Copies it. */
void span_export_add(struct span_export *x, const struct request_record *record);

struct span_stats span_export_stats(struct span_export *x);

/* Sends what waits, if the collector takes it within SPAN_STOP_MS, and ends the thread. Accepts
 * NULL. */
void span_export_stop(struct span_export *x);
