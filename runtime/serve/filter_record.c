#include "runtime/serve/filter_record.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/routes.h"
#include "runtime/base/clock.h"
#include "runtime/serve/finding_log.h"
#include "runtime/serve/server.h"
#include "runtime/serve/server_metrics.h"

/* What the labels and columns of one stream have in common. */
struct record {
    const struct filter_origin *origin;
    const char *place;
    const struct chain *chain;
    const char *side;
    char version[16];
    struct metrics *metrics;
    uint64_t text_ids[FED_TEXTS_MAX]; /* (texts->n), as finding_log_add_text */
    const struct fed_texts *texts;
};

static const char *side_name(enum filter_side side)
{
    return side == FILTER_INPUT ? "input" : "output";
}

/* What a filter is called, as people see it: the name that it was given, else its place. */
static void filter_name(const struct chain *chain, size_t filter, char *out, size_t size)
{
    const char *name = chain_filter_name(chain, filter);
    if (strcmp(name, chain_filter_type(chain, filter)->name) == 0) {
        snprintf(out, size, "%zu", filter);
    } else {
        snprintf(out, size, "%s", name);
    }
}

/* --- metrics --- */

static void count_event(const struct record *r, const struct chain_event *event)
{
    char name[FINDING_NAME_SIZE];
    filter_name(r->chain, event->filter, name, sizeof(name));
    const char *values[] = {chain_name(r->chain),
                            r->version,
                            name,
                            event->type,
                            r->side,
                            chain_channel_name(event->channel),
                            event->code,
                            chain_event_name(event->kind),
                            event->is_recorded ? "record" : "enforce"};
    metrics_add(r->metrics, SERVER_METRIC_VERDICTS, values, 1);
    if (event->kind == CHAIN_FAIL) {
        values[5] = event->code;
        metrics_add(r->metrics, SERVER_METRIC_FAILURES, values, 1);
    }
}

static void count_cost(const struct record *r, const struct chain_stream *stream, size_t filter)
{
    const struct chain_cost *cost = chain_stream_cost(stream, filter);
    if (cost->calls == 0) {
        return;
    }
    char name[FINDING_NAME_SIZE];
    filter_name(r->chain, filter, name, sizeof(name));
    const char *values[] = {chain_name(r->chain), r->version, name,
                            chain_filter_type(r->chain, filter)->name, r->side};
    metrics_add(r->metrics, SERVER_METRIC_CALLS, values, (double)cost->calls);
    metrics_add(r->metrics, SERVER_METRIC_BYTES, values, (double)cost->bytes);
    metrics_add(r->metrics, SERVER_METRIC_SECONDS, values, (double)cost->ns / 1e9);
}

static void count_stream(const struct record *r, const struct chain_stream *stream,
                         bool truncated)
{
    const struct chain_event *stop = chain_stream_stop(stream);
    const char *values[] = {chain_name(r->chain), r->version, r->side, stop ? stop->code : "",
                            stop ? chain_event_name(stop->kind) : ""};
    metrics_add(r->metrics, SERVER_METRIC_CHAIN_TEXTS, values, 1);
    if (stop) {
        metrics_add(r->metrics, SERVER_METRIC_CHAIN_STOPS, values, 1);
    }
    if (truncated) {
        metrics_add(r->metrics, SERVER_METRIC_OVERFLOWS, values, 1);
    }
    for (size_t i = 0; i < chain_filter_count(r->chain); i++) {
        count_cost(r, stream, i);
    }
}

/* --- findings --- */

static void copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

static void keep_texts(struct record *r, int64_t time_ms)
{
    for (size_t i = 0; i < r->texts->n; i++) {
        const struct fed_text *fed = &r->texts->items[i];
        struct finding_text text = {.time_ms = time_ms,
                                    .ordinal = fed->ordinal,
                                    .is_cut = fed->is_cut,
                                    .text = fed->text.data ? fed->text.data : "",
                                    .len = fed->text.len};
        copy(text.request, sizeof(text.request), http_exchange_request(r->origin->http)->id);
        copy(text.place, sizeof(text.place), r->place);
        copy(text.side, sizeof(text.side), r->side);
        copy(text.channel, sizeof(text.channel), chain_channel_name(fed->channel));
        r->text_ids[i] = finding_log_add_text(r->origin->server->findings, &text);
    }
}

static uint64_t text_of(const struct record *r, const struct chain_event *event)
{
    for (size_t i = 0; i < r->texts->n; i++) {
        const struct fed_text *fed = &r->texts->items[i];
        if (fed->channel == event->channel && fed->ordinal == event->ordinal) {
            return r->text_ids[i];
        }
    }
    return 0;
}

/* What all findings of the stream have in common. */
static void begin_finding(const struct record *r, struct finding *f, int64_t time_ms)
{
    const struct http_request *http = http_exchange_request(r->origin->http);
    const char *key = access_key_name(&r->origin->server->set.access, http);
    char allow[64];
    *f = (struct finding){.time_ms = time_ms, .version = chain_version(r->chain)};
    copy(f->request, sizeof(f->request), http->id);
    copy(f->answer, sizeof(f->answer), r->origin->answer);
    copy(f->key, sizeof(f->key), key ? key : "");
    copy(f->route, sizeof(f->route), route_find(http->method, http->path, allow)->path);
    copy(f->place, sizeof(f->place), r->place);
    copy(f->chain, sizeof(f->chain), chain_name(r->chain));
    copy(f->side, sizeof(f->side), r->side);
}

static void store_event(const struct record *r, struct finding *f,
                        const struct chain_event *event)
{
    copy(f->channel, sizeof(f->channel), chain_channel_name(event->channel));
    f->ordinal = event->ordinal;
    f->filter = (uint32_t)event->filter;
    filter_name(r->chain, event->filter, f->name, sizeof(f->name));
    copy(f->type, sizeof(f->type), event->type);
    copy(f->code, sizeof(f->code), event->code);
    copy(f->verdict, sizeof(f->verdict), chain_event_name(event->kind));
    copy(f->message, sizeof(f->message), event->message);
    f->is_recorded = event->is_recorded;
    f->from = event->from;
    f->to = event->to;
    f->at = event->at;
    f->text = text_of(r, event);
    finding_log_add(r->origin->server->findings, f);
}

/* --- what the header promises --- */

bool filter_record_wants_texts(const struct server *s)
{
    return finding_log_texts(s->findings) != FINDING_TEXTS_NONE;
}

void filter_record(const struct filter_origin *origin, const char *place,
                   const struct chain *chain, enum filter_side side,
                   const struct chain_stream *stream, const struct fed_texts *texts,
                   const struct filter_hold *hold)
{
    struct server *s = origin->server;
    struct record r = {.origin = origin,
                       .place = place,
                       .chain = chain,
                       .side = side_name(side),
                       .metrics = s->metrics,
                       .texts = texts};
    size_t n = 0;
    bool truncated = false;
    const struct chain_event *events = chain_stream_events(stream, &n, &truncated);
    snprintf(r.version, sizeof(r.version), "%u", chain_version(chain));
    count_stream(&r, stream, truncated);
    if (hold) {
        const char *values[] = {chain_name(chain), r.version};
        metrics_observe(s->metrics, SERVER_METRIC_HELD, values, (double)hold->bytes);
        metrics_observe(s->metrics, SERVER_METRIC_HOLD, values,
                        (double)hold->longest_ns * 1e-9);
    }
    enum finding_texts wanted = finding_log_texts(s->findings);
    if (n == 0 && wanted != FINDING_TEXTS_ALL) {
        return;
    }
    struct finding finding;
    int64_t time_ms = clock_unix_ms();
    if (wanted != FINDING_TEXTS_NONE) {
        keep_texts(&r, time_ms);
    }
    if (n > 0) {
        begin_finding(&r, &finding, time_ms);
    }
    for (size_t i = 0; i < n; i++) {
        count_event(&r, &events[i]);
        store_event(&r, &finding, &events[i]);
    }
}

void filter_record_text(const struct filter_origin *origin, const char *place,
                        const struct chain *chain, enum filter_side side,
                        const struct chain_stream *stream, const char *text, size_t len)
{
    struct fed_texts texts = {0};
    if (filter_record_wants_texts(origin->server)) {
        fed_texts_add(&texts, FILTER_CONTENT, 0, text, len);
    }
    filter_record(origin, place, chain, side, stream, &texts, NULL);
    fed_texts_deinit(&texts);
}
