#include "runtime/serve/request_watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/server.h"
#include "runtime/serve/server_metrics.h"
#include "runtime/serve/span_export.h"

/* --- the beginning --- */

/* https://opentelemetry.io/docs/specs/semconv/gen-ai: well-known names of operations. */
static const char *operation_of(enum route_id route)
{
    switch (route) {
    case ROUTE_CHAT_COMPLETIONS:
    case ROUTE_RESPONSES:
    case ROUTE_MESSAGES:
        return "chat";
    case ROUTE_COMPLETIONS:
        return "text_completion";
    case ROUTE_EMBEDDINGS:
        return "embeddings";
    default:
        return NULL;
    }
}

/* Machines ask these all the time: nobody wants to read of it. */
static bool is_routine(enum route_id route)
{
    return route == ROUTE_METRICS || route == ROUTE_ADMIN_STATS || route == ROUTE_HEALTHZ ||
           route == ROUTE_READYZ;
}

/* Who calls decides whether the trace is recorded; of those that begin here, chance does. */
static void join_trace(const struct server *s, struct request_record *r,
                       const struct http_request *http)
{
    const char *parent = http_request_header(http, "traceparent");
    if (parent && trace_context_parse(parent, &r->trace)) {
        memcpy(r->caller, r->trace.span, sizeof(r->caller));
        trace_context_span(r->trace.span);
        return;
    }
    trace_context_begin(&r->trace);
    r->trace.is_sampled = s->spans && trace_context_share(&r->trace) < s->set.spans.share;
}

void request_watch_begin(struct server *s, struct http_exchange *ex, const struct route *route)
{
    struct request_record *r = mem_zalloc(sizeof(*r));
    http_exchange_set_watch(ex, r);
    if (!r) {
        return;
    }
    const struct http_request *http = http_exchange_request(ex);
    bool is_known = route->id != ROUTE_NOT_FOUND && route->id != ROUTE_WRONG_METHOD;
    r->route = is_known ? route->path : "none";
    r->method = is_known ? route->method : "none";
    r->operation = operation_of(route->id);
    r->is_routine = is_routine(route->id);
    r->received_ns = http->received_ns;
    r->outcome = "";
    snprintf(r->id, sizeof(r->id), "%s", http->id);
    join_trace(s, r, http);
}

struct request_record *request_watch_record(const struct http_exchange *ex)
{
    return http_exchange_watch(ex);
}

void request_watch_log_error(const struct http_exchange *ex, const char *format, ...)
{
    char message[ERR_MESSAGE_MAX + 64];
    const struct request_record *r = http_exchange_watch(ex);
    const struct log_field fields[] = {{"request_id", http_exchange_request(ex)->id, 0},
                                       {"trace_id", r ? r->trace.trace : "", 0},
                                       {"span_id", r ? r->trace.span : "", 0}};
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    log_fields(LOG_LEVEL_ERROR, fields, sizeof(fields) / sizeof(fields[0]), "%s", message);
}

void request_watch_parent(const struct http_exchange *ex, char parent[TRACE_PARENT_LEN + 1])
{
    const struct request_record *r = http_exchange_watch(ex);
    parent[0] = '\0';
    if (r) {
        trace_context_format(&r->trace, parent);
    }
}

void request_watch_add_fields(const struct http_exchange *ex, struct buf *head)
{
    char parent[TRACE_PARENT_LEN + 1] = "";
    if (ex) {
        request_watch_parent(ex, parent);
    }
    if (parent[0]) {
        http_field_add(head, "traceparent", parent);
    }
}

/* --- the end --- */

/* What the model or a filter had to say was noted before. */
static const char *outcome_of(const struct request_record *r)
{
    if (r->outcome[0] || !r->operation) {
        return r->outcome;
    }
    switch (r->status) {
    case 401:
    case 403:
        return "denied";
    case 429:
        return "busy";
    case 408:
    case 504:
        return "late";
    case SERVER_STATUS_CLIENT_LEFT:
        return "left";
    default:
        return r->status >= 500 ? "failed" : r->status >= 400 ? "invalid" : "complete";
    }
}

static void write_log(const struct request_record *r)
{
    const struct log_field fields[] = {
        {"request_id", r->id, 0},
        {"trace_id", r->trace.trace, 0},
        {"span_id", r->trace.span, 0},
        {"method", r->method, 0},
        {"route", r->route, 0},
        {"status", NULL, r->status},
        {"seconds", NULL, clock_seconds(r->received_ns, r->ended_ns)},
        {"outcome", r->outcome, 0},
        {"model", r->answered_by, 0},
        {"prompt", r->prompt, 0},
        {"filters", r->filters, 0},
        {"answer_id", r->answer, 0},
        {"prompt_tokens", NULL, (double)r->prompt_tokens},
        {"cached_tokens", NULL, (double)r->cached_tokens},
        {"completion_tokens", NULL, (double)r->completion_tokens},
        {"first_token_seconds", NULL, clock_seconds(r->received_ns, r->first_ns)},
    };
    size_t n = sizeof(fields) / sizeof(fields[0]);
    /* The last four are of what a model was asked for, and the last one of an answer. */
    n -= !r->operation ? 4 : r->first_ns == 0;
    log_fields(LOG_LEVEL_INFO, fields, n, "request");
}

void request_watch_end(struct server *s, struct http_exchange *ex)
{
    struct request_record *r = http_exchange_watch(ex);
    if (!r) {
        return;
    }
    int status = http_exchange_status(ex);
    r->status = status ? status : SERVER_STATUS_CLIENT_LEFT;
    r->outcome = outcome_of(r);
    r->ended_ns = clock_now_ns();
    r->begin_unix_ns = clock_unix_ns() - (int64_t)(r->ended_ns - r->received_ns);
    server_metrics_note_request(s->metrics, r);
    if (s->set.log_requests && !r->is_routine) {
        write_log(r);
    }
    if (s->spans && r->trace.is_sampled && !r->is_routine) {
        span_export_add(s->spans, r);
    }
    http_exchange_set_watch(ex, NULL);
    mem_free(r);
}
