#include "runtime/serve/server_metrics.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/serve/exchange.h"
#include "runtime/serve/finding_log.h"
#include "runtime/serve/request_record.h"
#include "runtime/serve/respond.h"
#include "runtime/serve/server.h"
#include "runtime/serve/span_export.h"

#define TEXT_BYTES_MAX ((size_t)64 << 20)

/* What filters hold is small as a rule, and a filter that holds 64 KiB has failed. */
static const double held_bounds[] = {0, 4, 16, 64, 256, 1024, 4096, 16384, 65536};

/* From a token of a small model to the first token of a long prompt behind a queue. */
static const double second_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                       0.5,   1,      2.5,   5,    10,    25,   60};

/* OpenTelemetry's for the time to a first token, and on for processors that are slower. */
static const double latency_bounds[] = {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,
                                        .75,  1,    2.5, 5,   7.5, 10,  20,  40, 80};
/* Its ones for the time per token, and for whole requests. */
static const double per_token_bounds[] = {.01, .025, .05, .075, .1, .15, .2,
                                          .3,  .4,   .5,  .75,  1,  2.5};
static const double duration_bounds[] = {.01,  .02,  .04,  .08,   .16,   .32,   .64,
                                         1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
/* A model that is sure, to one that knows nothing. */
static const double entropy_bounds[] = {0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.5, 2, 3, 4, 6, 8};
static const double token_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};

#define COUNT(a)      (sizeof(a) / sizeof((a)[0]))
#define OF_COUNTER    METRIC_COUNTER, NULL, 0
#define OF_GAUGE      METRIC_GAUGE, NULL, 0
#define OF_BYTES_HELD METRIC_HISTOGRAM, held_bounds, COUNT(held_bounds)
#define OF_LATENCY    METRIC_HISTOGRAM, latency_bounds, COUNT(latency_bounds)
#define OF_PER_TOKEN  METRIC_HISTOGRAM, per_token_bounds, COUNT(per_token_bounds)
#define OF_DURATION   METRIC_HISTOGRAM, duration_bounds, COUNT(duration_bounds)
#define OF_SECONDS    METRIC_HISTOGRAM, second_bounds, COUNT(second_bounds)
#define OF_TOKENS     METRIC_HISTOGRAM, token_bounds, COUNT(token_bounds)
#define OF_ENTROPY    METRIC_HISTOGRAM, entropy_bounds, COUNT(entropy_bounds)

#define FAMILY(...) FAMILY_OF(__VA_ARGS__)
#define FAMILY_OF(name, help, labels, open, kind, bounds, n) \
    {                                                        \
        name, kind, help, labels, open, bounds, n            \
    }

static const struct metric_family families[] = {
#define X(id, kind, name, labels, open, help) FAMILY(name, help, labels, open, OF_##kind),
    SERVER_METRICS(X)
#undef X
};

/* An alarm wants to see the zero before the first case. */
static const char *const upgrade_outcomes[] = {"done", "failed", "refused"};

struct metrics *server_metrics_create(const char *version, struct err *e)
{
    struct metrics *m = metrics_create(families, SERVER_METRIC_COUNT, e);
    if (m) {
        metrics_set(m, SERVER_METRIC_BUILD_INFO, &version, 1);
        for (size_t i = 0; i < sizeof(upgrade_outcomes) / sizeof(upgrade_outcomes[0]); i++) {
            metrics_add(m, SERVER_METRIC_UPGRADES, &upgrade_outcomes[i], 0);
        }
    }
    return m;
}

/* Paths and methods of no route are the client's to choose, so they are not labels. */
static bool is_known(const struct route *route)
{
    return route->id != ROUTE_NOT_FOUND && route->id != ROUTE_WRONG_METHOD;
}

void server_metrics_count_request(struct metrics *m, const struct route *route,
                                  const struct http_exchange *ex)
{
    char code[16];
    int status = http_exchange_status(ex);
    snprintf(code, sizeof(code), "%d", status ? status : SERVER_STATUS_CLIENT_LEFT);
    const char *values[] = {is_known(route) ? route->path : "none",
                            is_known(route) ? route->method : "none", code};
    metrics_add(m, SERVER_METRIC_HTTP_REQUESTS, values, 1);
}

void server_metrics_count_abort(struct metrics *m, const struct route *route)
{
    const char *values[] = {is_known(route) ? route->path : "none",
                            is_known(route) ? route->method : "none"};
    metrics_add(m, SERVER_METRIC_HTTP_ABORTED, values, 1);
}

/* --- requests --- */

/* One that is there under a name of Weir's, by version, and under one of vLLM's. */
static void observe_both(struct metrics *m, enum server_metric own, enum server_metric alias,
                         const struct request_record *r, uint64_t from_ns, uint64_t to_ns)
{
    const char *const values[] = {r->model, r->version};
    if (from_ns > 0 && to_ns >= from_ns) {
        metrics_observe(m, own, values, clock_seconds(from_ns, to_ns));
        metrics_observe(m, alias, values, clock_seconds(from_ns, to_ns));
    }
}

static void note_stages(struct metrics *m, const struct request_record *r)
{
    observe_both(m, SERVER_METRIC_QUEUE, SERVER_METRIC_VLLM_QUEUE, r, r->submitted_ns,
                 r->started_ns);
    observe_both(m, SERVER_METRIC_PREFILL, SERVER_METRIC_VLLM_PREFILL, r, r->started_ns,
                 r->first_ns);
    observe_both(m, SERVER_METRIC_DECODE, SERVER_METRIC_VLLM_DECODE, r, r->first_ns,
                 r->last_ns);
}

static void note_gen_ai(struct metrics *m, const struct request_record *r)
{
    char error[24] = "";
    const char *const values[] = {r->operation, "weir", r->model, r->answered_by, error};
    if (r->status >= 400) {
        snprintf(error, sizeof(error), "%d", r->status);
    } else if (strcmp(r->outcome, "failed") == 0 || strcmp(r->outcome, "left") == 0 ||
               strcmp(r->outcome, "late") == 0) {
        snprintf(error, sizeof(error), "%s", r->outcome); /* a stream that was begun well */
    }
    metrics_observe(m, SERVER_METRIC_GEN_AI_DURATION, values,
                    clock_seconds(r->received_ns, r->ended_ns));
    if (r->first_ns > 0 && !error[0]) {
        metrics_observe(m, SERVER_METRIC_GEN_AI_FIRST_TOKEN, values,
                        clock_seconds(r->received_ns, r->first_ns));
    }
    if (r->n_timed > 1 && !error[0]) {
        metrics_observe(m, SERVER_METRIC_GEN_AI_TOKEN, values,
                        clock_seconds(r->first_ns, r->last_ns) / (double)(r->n_timed - 1));
    }
}

static void note_vllm(struct metrics *m, const struct request_record *r)
{
    const char *const values[] = {r->model, r->finish};
    if (r->first_ns > 0) {
        metrics_observe(m, SERVER_METRIC_VLLM_FIRST_TOKEN, values,
                        clock_seconds(r->received_ns, r->first_ns));
    }
    if (r->finish && r->status < 400) {
        metrics_add(m, SERVER_METRIC_VLLM_SUCCESS, values, 1);
        metrics_observe(m, SERVER_METRIC_VLLM_E2E, values,
                        clock_seconds(r->received_ns, r->ended_ns));
    }
}

void server_metrics_note_request(struct metrics *m, const struct request_record *r)
{
    const char *const values[] = {r->operation, r->model, r->outcome};
    if (!r->operation) {
        return;
    }
    metrics_add(m, SERVER_METRIC_REQUESTS, values, 1);
    note_gen_ai(m, r);
    note_stages(m, r);
    note_vllm(m, r);
}

void server_metrics_note_gap(struct metrics *m, const char *model, const char *version,
                             double gap_s)
{
    const char *const values[] = {model, version};
    metrics_observe(m, SERVER_METRIC_INTER_TOKEN, values, gap_s);
    metrics_observe(m, SERVER_METRIC_VLLM_INTER_TOKEN, values, gap_s);
}

void server_metrics_add_prompt(struct metrics *m, const char *model, const char *version,
                               size_t tokens)
{
    const char *const values[] = {model, version};
    metrics_add(m, SERVER_METRIC_PROMPT_TOKENS, values, (double)tokens);
    metrics_add(m, SERVER_METRIC_VLLM_PROMPT_TOKENS, values, (double)tokens);
}

void server_metrics_add_tokens(struct metrics *m, const char *model, const char *version,
                               size_t prompt, size_t cached, size_t output)
{
    const char *const values[] = {model, version};
    server_metrics_add_prompt(m, model, version, prompt);
    metrics_add(m, SERVER_METRIC_CACHED_TOKENS, values, (double)cached);
    metrics_add(m, SERVER_METRIC_OUTPUT_TOKENS, values, (double)output);
    metrics_add(m, SERVER_METRIC_VLLM_QUERIES, values, (double)prompt);
    metrics_add(m, SERVER_METRIC_VLLM_HITS, values, (double)cached);
    metrics_add(m, SERVER_METRIC_VLLM_OUTPUT_TOKENS, values, (double)output);
}

/* --- models and their engines --- */

/* Pages of all generations of a model that are loaded. */
struct page_sum {
    int pages, used;
};

/* Added to what other generations of the same version do. */
static void show_work(struct server *s, const struct generation *g,
                      const struct engine_stats *e)
{
    const char *const values[] = {g->model->name, g->model->version};
    struct metrics *m = s->metrics;
    int waiting = e->waiting + g->n_coming;
    metrics_add(m, SERVER_METRIC_RUNNING, values, e->running);
    metrics_add(m, SERVER_METRIC_WAITING, values, waiting);
    metrics_add(m, SERVER_METRIC_WAITING_TOKENS, values, (double)e->waiting_tokens);
    metrics_add(m, SERVER_METRIC_KV_PAGES, values, e->kv_pages);
    metrics_add(m, SERVER_METRIC_KV_PAGES_USED, values, e->kv_pages - e->kv_pages_free);
    metrics_add(m, SERVER_METRIC_VLLM_RUNNING, values, e->running);
    metrics_add(m, SERVER_METRIC_VLLM_WAITING, values, waiting);
}

static void show_engine(struct server *s, const struct generation *g, struct page_sum *sum)
{
    const char *const values[] = {g->model->name, g->model->version};
    struct metrics *m = s->metrics;
    if (!g->engine) {
        return;
    }
    const struct engine_stats e = engine_stats(g->engine);
    show_work(s, g, &e);
    metrics_set(m, SERVER_METRIC_PREEMPTIONS, values, (double)e.preemptions);
    metrics_set(m, SERVER_METRIC_GUESSED, values, (double)e.guessed_tokens);
    metrics_set(m, SERVER_METRIC_GUESSED_RIGHT, values, (double)e.accepted_tokens);
    sum->pages += e.kv_pages;
    sum->used += e.kv_pages - e.kv_pages_free;
}

/* A model without a version that is loaded has nothing to do, which is 0 and not nothing. */
static void show_sum(struct server *s, const char *model, const struct page_sum *sum)
{
    metrics_add(s->metrics, SERVER_METRIC_VLLM_RUNNING, &model, 0);
    metrics_add(s->metrics, SERVER_METRIC_VLLM_WAITING, &model, 0);
    if (sum->pages > 0) {
        metrics_set(s->metrics, SERVER_METRIC_VLLM_KV, &model,
                    (double)sum->used / (double)sum->pages);
    }
}

static void show_loaded(struct server *s, const struct generation *g, enum model_state state,
                        struct page_sum *sum)
{
    const char *const values[] = {g->model->name, g->model->version, model_state_name(state)};
    metrics_set(s->metrics, SERVER_METRIC_MODEL_LOADED, values, 1);
    if (state == MODEL_SERVING) {
        metrics_set(s->metrics, SERVER_METRIC_MODEL_GENERATION, values, (double)g->number);
    }
    show_engine(s, g, sum);
}

static bool holds(const struct model_set *set, const struct generation *wanted)
{
    bool is = model_set_serving(set) == wanted;
    for (size_t k = 0; !is && model_set_kept(set, k); k++) {
        is = model_set_kept(set, k) == wanted;
    }
    return is;
}

static bool is_loaded(const struct server *s, const struct generation *g)
{
    bool is = g == s->generation;
    for (size_t i = 0; s->catalog && i < s->catalog->n_sets && !is; i++) {
        is = holds(s->catalog->sets[i], g);
    }
    return is;
}

/* Nobody gets it any more, but it works until the last of its requests has ended. Its counters
 * stand still, as another one of the same version may go on with them. */
static void show_leaving(struct server *s, const struct generation *g)
{
    if (g->engine && !is_loaded(s, g)) {
        const struct engine_stats e = engine_stats(g->engine);
        show_work(s, g, &e);
    }
}

static void forget_what_was_loaded(struct metrics *m)
{
    static const enum server_metric gauges[] = {
        SERVER_METRIC_MODEL_LOADED,  SERVER_METRIC_MODEL_GENERATION, SERVER_METRIC_RUNNING,
        SERVER_METRIC_WAITING,       SERVER_METRIC_WAITING_TOKENS,   SERVER_METRIC_KV_PAGES,
        SERVER_METRIC_KV_PAGES_USED, SERVER_METRIC_VLLM_RUNNING,     SERVER_METRIC_VLLM_WAITING,
        SERVER_METRIC_VLLM_KV};
    for (size_t i = 0; i < COUNT(gauges); i++) {
        metrics_clear(m, gauges[i]);
    }
}

static void collect_set(struct server *s, const struct model_set *set)
{
    struct page_sum sum = {0};
    const struct generation *serving = model_set_serving(set);
    const struct generation *g;
    if (serving) {
        show_loaded(s, serving, MODEL_SERVING, &sum);
    }
    for (size_t k = 0; (g = model_set_kept(set, k)) != NULL; k++) {
        show_loaded(s, g, model_set_state_of(set, g), &sum);
    }
    show_sum(s, model_set_name(set), &sum);
}

static void collect_models(struct server *s)
{
    const struct model_catalog *c = s->catalog;
    forget_what_was_loaded(s->metrics);
    exchange_visit_generations(s, show_leaving);
    if (!c && s->generation) {
        struct page_sum sum = {0};
        show_loaded(s, s->generation, MODEL_SERVING, &sum);
        show_sum(s, s->generation->model->name, &sum);
    }
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->n_sets; i++) {
        collect_set(s, c->sets[i]);
    }
    metrics_set(s->metrics, SERVER_METRIC_MODELS_MEMORY, NULL, (double)c->used);
    metrics_set(s->metrics, SERVER_METRIC_MODELS_MEMORY_LIMIT, NULL,
                (double)s->set.models_memory);
    metrics_set(s->metrics, SERVER_METRIC_REQUESTS_PARKED, NULL, (double)s->waits.count);
}

static void collect_traces(struct server *s)
{
    static const char *const reasons[] = {"queue_full", "refused"};
    if (!s->spans) {
        return;
    }
    const struct span_stats t = span_export_stats(s->spans);
    metrics_set(s->metrics, SERVER_METRIC_SPANS_EXPORTED, NULL, (double)t.exported);
    metrics_set(s->metrics, SERVER_METRIC_SPANS_DROPPED, &reasons[0], (double)t.dropped_full);
    metrics_set(s->metrics, SERVER_METRIC_SPANS_DROPPED, &reasons[1],
                (double)t.dropped_refused);
    metrics_set(s->metrics, SERVER_METRIC_SPANS_FAILURES, NULL, (double)t.failures);
    metrics_set(s->metrics, SERVER_METRIC_SPANS_WAITING, NULL, (double)t.waiting);
}

/* What is counted elsewhere. */
static void collect(struct server *s)
{
    struct http_server_stats http = http_server_stats(s->http);
    metrics_set(s->metrics, SERVER_METRIC_HTTP_REFUSED, NULL, (double)http.requests_refused);
    metrics_set(s->metrics, SERVER_METRIC_HTTP_CONNECTIONS, NULL,
                (double)http.connections_open);
    finding_log_collect(s->findings, s->metrics);
    feedback_desk_collect(s->feedback, s->metrics);
    fleet_collect(s->fleet);
    collect_models(s);
    collect_traces(s);
    exchange_count_all_tokens(s);
}

void server_metrics_answer(struct server *s, struct http_exchange *ex)
{
    static const struct http_header headers[] = {
        {"Content-Type", "text/plain; version=0.0.4; charset=utf-8"},
        {"Cache-Control", "no-store"}};
    struct buf text;
    struct err e = {0};
    buf_init(&text, TEXT_BYTES_MAX);
    collect(s);
    if (metrics_write(s->metrics, &text) == 0) {
        http_respond(ex, 200, headers, 2, text.data, text.len);
    } else {
        err_nomem(&e);
        respond_err(ex, &e);
    }
    buf_deinit(&text);
}
