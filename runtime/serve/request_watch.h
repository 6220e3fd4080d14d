/* request_watch.h: watches each request from its head to its end, and tells then what became of
 * it: metrics (server_metrics.h), a line in the log (--log-requests), spans (span_export.h).
 *
 * What came of a request that a model is asked for, as "outcome" names it:
 *   complete, length, blocked, failed, late, left   model_outcomes.h
 *   blocked    also by a filter on the way in
 *   busy       429: no room, or a key's limit
 *   denied     401 and 403
 *   invalid    any other 4xx
 *
 * Threads: the loop. */
#pragma once

#include "runtime/api/routes.h"
#include "runtime/net/http_server.h"
#include "runtime/serve/request_record.h"

struct server;

/* on_headers of http_server.h. Without memory the request is not watched. */
void request_watch_begin(struct server *s, struct http_exchange *ex, const struct route *route);

/* Adds `traceparent`: the trace, with the span of this request. For on_response. */
void request_watch_add_fields(const struct http_exchange *ex, struct buf *head);

/* on_end. */
void request_watch_end(struct server *s, struct http_exchange *ex);

/* To be filled in by those who answer; NULL: it is not watched. Until on_end. */
struct request_record *request_watch_record(const struct http_exchange *ex);

/* `traceparent` for those whom the request makes the server ask; "" where it is not watched. */
void request_watch_parent(const struct http_exchange *ex, char parent[TRACE_PARENT_LEN + 1]);

/* Logs an error of the server's own, with the ids by which the request is found elsewhere. */
void request_watch_log_error(const struct http_exchange *ex, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
