#include "runtime/serve/span_json.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/utf8.h"

/* enum SpanKind and enum StatusCode of opentelemetry-proto. */
#define KIND_INTERNAL 1
#define KIND_SERVER   2
#define STATUS_ERROR  2

/* A list in which a comma stands before all but the first. */
struct list {
    struct buf *out;
    bool has_any;
};

static struct buf *next(struct list *l)
{
    buf_append_str(l->out, l->has_any ? "," : "");
    l->has_any = true;
    return l->out;
}

/* Names of an id may have come from a client; what is no UTF-8 would make all of it no JSON. */
static void append_string(struct buf *out, const char *text)
{
    json_append_string(out, text, utf8_valid_prefix(text, strlen(text)));
}

static void add_text(struct list *l, const char *key, const char *text)
{
    if (text && text[0]) {
        buf_printf(next(l), "{\"key\":\"%s\",\"value\":{\"stringValue\":", key);
        append_string(l->out, text);
        buf_append_str(l->out, "}}");
    }
}

/* 64-bit numbers are strings in protobuf's JSON. */
static void add_number(struct list *l, const char *key, uint64_t number)
{
    buf_printf(next(l), "{\"key\":\"%s\",\"value\":{\"intValue\":\"%" PRIu64 "\"}}", key,
               number);
}

static int64_t wall(const struct request_record *r, uint64_t ns)
{
    return r->begin_unix_ns + (int64_t)(ns - r->received_ns);
}

static void begin_span(struct list *spans, const struct request_record *r, const char *span,
                       const char *parent, int kind)
{
    buf_printf(next(spans), "{\"traceId\":\"%s\",\"spanId\":\"%s\",\"kind\":%d", r->trace.trace,
               span, kind);
    if (parent[0]) {
        buf_printf(spans->out, ",\"parentSpanId\":\"%s\"", parent);
    }
}

static void add_times(struct buf *out, const struct request_record *r, uint64_t from_ns,
                      uint64_t to_ns)
{
    buf_printf(out,
               ",\"startTimeUnixNano\":\"%" PRId64 "\",\"endTimeUnixNano\":\"%" PRId64 "\"",
               wall(r, from_ns), wall(r, to_ns));
}

static void add_stage(struct list *spans, const struct request_record *r, const char *name,
                      uint64_t from_ns, uint64_t to_ns)
{
    char span[TRACE_SPAN_LEN + 1];
    if (from_ns == 0 || to_ns < from_ns) {
        return;
    }
    trace_context_span(span);
    begin_span(spans, r, span, r->trace.span, KIND_INTERNAL);
    buf_printf(spans->out, ",\"name\":\"%s\"", name);
    add_times(spans->out, r, from_ns, to_ns);
    buf_append_char(spans->out, '}');
}

static void add_model_attributes(struct list *l, const struct request_record *r)
{
    add_text(l, "gen_ai.operation.name", r->operation);
    add_text(l, "gen_ai.provider.name", "weir");
    add_text(l, "gen_ai.request.model", r->model);
    add_text(l, "gen_ai.response.model", r->answered_by);
    add_text(l, "gen_ai.response.id", r->answer);
    add_number(l, "gen_ai.usage.input_tokens", r->prompt_tokens);
    add_number(l, "gen_ai.usage.output_tokens", r->completion_tokens);
    add_number(l, "weir.cached_tokens", r->cached_tokens);
    add_text(l, "weir.prompt", r->prompt);
    add_text(l, "weir.filters", r->filters);
    add_text(l, "weir.outcome", r->outcome);
    if (r->finish) {
        buf_printf(next(l),
                   "{\"key\":\"gen_ai.response.finish_reasons\",\"value\":{\"arrayValue\":"
                   "{\"values\":[{\"stringValue\":\"%s\"}]}}}",
                   r->finish);
    }
}

/* Of a server an error is what it did wrong: 5xx, or an answer that it could not end. */
static bool has_failed(const struct request_record *r)
{
    return r->status >= 500 || strcmp(r->outcome, "failed") == 0;
}

static void add_request(struct list *spans, const struct request_record *r)
{
    begin_span(spans, r, r->trace.span, r->caller, KIND_SERVER);
    buf_append_str(spans->out, ",\"name\":");
    char name[MODEL_NAME_MAX + 64];
    const char *of = r->operation ? r->model : r->route;
    snprintf(name, sizeof(name), "%s%s%s", r->operation ? r->operation : r->method,
             of[0] ? " " : "", of);
    append_string(spans->out, name);
    add_times(spans->out, r, r->received_ns, r->ended_ns);
    buf_append_str(spans->out, ",\"attributes\":[");
    struct list attributes = {spans->out, false};
    add_text(&attributes, "http.request.method", r->method);
    add_text(&attributes, "http.route", r->route);
    add_number(&attributes, "http.response.status_code", (uint64_t)r->status);
    add_text(&attributes, "weir.request_id", r->id);
    if (r->operation) {
        add_model_attributes(&attributes, r);
    }
    if (has_failed(r)) {
        char type[24];
        snprintf(type, sizeof(type), "%d", r->status);
        add_text(&attributes, "error.type", r->status >= 500 ? type : r->outcome);
    }
    buf_append_char(spans->out, ']');
    if (has_failed(r)) {
        buf_printf(spans->out, ",\"status\":{\"code\":%d}", STATUS_ERROR);
    }
    buf_append_char(spans->out, '}');
    add_stage(spans, r, "queue", r->submitted_ns, r->started_ns);
    add_stage(spans, r, "prefill", r->started_ns, r->first_ns);
    add_stage(spans, r, "decode", r->first_ns, r->last_ns);
}

int span_json_append(struct buf *out, const struct span_source *source,
                     const struct request_record *records, size_t n)
{
    buf_append_str(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    struct list attributes = {out, false};
    add_text(&attributes, "service.name", source->service);
    add_text(&attributes, "service.version", source->version);
    add_text(&attributes, "service.instance.id", source->instance);
    buf_append_str(out, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"weir\"},\"spans\":[");
    struct list spans = {out, false};
    for (size_t i = 0; i < n; i++) {
        add_request(&spans, &records[i]);
    }
    buf_append_str(out, "]}]}]}");
    return out->failed ? -1 : 0;
}
