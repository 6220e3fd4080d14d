/* span_json.h: requests as spans, in the JSON of OTLP/HTTP (ExportTraceServiceRequest of
 * opentelemetry-proto; https://opentelemetry.io/docs/specs/otlp). Attributes are named as
 * OpenTelemetry's conventions for HTTP servers and for GenAI have them; those of Weir's own
 * begin with "weir.".
 *
 * A request is one span of kind server. One that a model answered has three below it: queue,
 * prefill and decode.
 *
 * Threads: any. */
#pragma once

#include "runtime/base/buf.h"
#include "runtime/serve/request_record.h"

/* Who sends them; borrowed. */
struct span_source {
    const char *service;  /* service.name */
    const char *version;  /* service.version */
    const char *instance; /* service.instance.id */
};

/* Appends all (n) as one document. 0, or -1 as buf.h. */
int span_json_append(struct buf *out, const struct span_source *source,
                     const struct request_record *records, size_t n);
