#include "runtime/serve/server_metrics.h"

#include <stdio.h>

#include "runtime/base/mem.h"
#include "runtime/serve/finding_log.h"
#include "runtime/serve/respond.h"
#include "runtime/serve/server.h"

#define TEXT_BYTES_MAX ((size_t)64 << 20)

/* nginx's word for a client that did not wait. */
#define STATUS_CLIENT_LEFT 499

/* What filters hold is small as a rule, and a filter that holds 64 KiB has failed. */
static const double held_bounds[] = {0, 4, 16, 64, 256, 1024, 4096, 16384, 65536};

/* From a token of a small model to the first token of a long prompt behind a queue. */
static const double second_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                       0.5,   1,      2.5,   5,    10,    25,   60};
static const double token_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};

#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))
#define OF_COUNTER   METRIC_COUNTER, NULL, 0
#define OF_GAUGE     METRIC_GAUGE, NULL, 0
#define OF_HISTOGRAM METRIC_HISTOGRAM, held_bounds, COUNT(held_bounds)
#define OF_SECONDS   METRIC_HISTOGRAM, second_bounds, COUNT(second_bounds)
#define OF_TOKENS    METRIC_HISTOGRAM, token_bounds, COUNT(token_bounds)

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
    snprintf(code, sizeof(code), "%d", status ? status : STATUS_CLIENT_LEFT);
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

static void show_loaded(struct server *s, const struct generation *g, enum model_state state)
{
    const char *const values[] = {g->model->name, g->model->version, model_state_name(state)};
    metrics_set(s->metrics, SERVER_METRIC_MODEL_LOADED, values, 1);
}

static void collect_models(struct server *s)
{
    const struct model_catalog *c = s->catalog;
    metrics_clear(s->metrics, SERVER_METRIC_MODEL_LOADED);
    if (!c) {
        show_loaded(s, s->generation, MODEL_SERVING);
        return;
    }
    for (size_t i = 0; i < c->n_sets; i++) {
        const struct generation *serving = model_set_serving(c->sets[i]);
        const struct generation *g;
        if (serving) {
            show_loaded(s, serving, MODEL_SERVING);
        }
        for (size_t k = 0; (g = model_set_kept(c->sets[i], k)) != NULL; k++) {
            show_loaded(s, g, model_set_state_of(c->sets[i], g));
        }
    }
    metrics_set(s->metrics, SERVER_METRIC_MODELS_MEMORY, NULL, (double)c->used);
    metrics_set(s->metrics, SERVER_METRIC_MODELS_MEMORY_LIMIT, NULL,
                (double)s->set.models_memory);
    metrics_set(s->metrics, SERVER_METRIC_REQUESTS_PARKED, NULL, (double)s->waits.count);
}

/* What is counted elsewhere. */
static void collect(struct server *s)
{
    struct http_server_stats http = http_server_stats(s->http);
    metrics_set(s->metrics, SERVER_METRIC_HTTP_REFUSED, NULL, (double)http.requests_refused);
    metrics_set(s->metrics, SERVER_METRIC_HTTP_CONNECTIONS, NULL,
                (double)http.connections_open);
    finding_log_collect(s->findings, s->metrics);
    fleet_collect(s->fleet);
    collect_models(s);
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
