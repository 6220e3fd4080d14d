#include "runtime/serve/router.h"

#include <string.h>

#include "runtime/api/admin_reply.h"
#include "runtime/api/json_text.h"
#include "runtime/api/openapi.h"
#include "runtime/api/routes.h"
#include "runtime/base/mem.h"
#include "runtime/serve/count_tokens.h"
#include "runtime/serve/drift_admin.h"
#include "runtime/serve/embeddings.h"
#include "runtime/serve/exchange.h"
#include "runtime/serve/feedback.h"
#include "runtime/serve/findings_admin.h"
#include "runtime/serve/gate.h"
#include "runtime/serve/model_admin.h"
#include "runtime/serve/model_wait.h"
#include "runtime/serve/moderations.h"
#include "runtime/serve/replay_admin.h"
#include "runtime/serve/request_watch.h"
#include "runtime/serve/respond.h"
#include "runtime/serve/server_metrics.h"
#include "runtime/serve/tokens.h"
#include "runtime/serve/upgrade.h"
#include "runtime/serve/upgrade_admin.h"
#include "runtime/serve/version_admin.h"
#include "runtime/serve/web_pages.h"

static void openapi(struct http_exchange *ex)
{
    static const struct http_header headers[] = {{"Content-Type", "application/json"},
                                                 {"Cache-Control", "no-cache"}};
    http_respond(ex, 200, headers, sizeof(headers) / sizeof(headers[0]), openapi_json,
                 openapi_json_len);
}

static void status(struct http_exchange *ex, int code, const char *word)
{
    size_t len = 0;
    char *text = status_text(word, &len);
    respond_json(ex, code, text, len, NULL, 0);
}

/* Whoever asks again is answered by the process that serves. */
static bool is_draining(const struct server *s)
{
    return s->stopping && !s->handed_over;
}

/* Requests may be sent here: they are answered, or wait for a version that is on its way. */
static void ready(const struct server *s, struct http_exchange *ex)
{
    bool has_model = s->generation || model_set_is_coming(s->models);
    bool has_fleet = fleet_is_ready(s->fleet);
    bool is_ready = has_model && has_fleet && !is_draining(s);
    cJSON *root = cJSON_CreateObject();
    size_t len = 0;
    cJSON_AddStringToObject(root, "status",
                            is_draining(s) ? "draining"
                            : !has_model   ? "no_model"
                            : !has_fleet   ? "waits_for_fleet"
                                           : "ready");
    fleet_describe(s->fleet, root);
    char *text = json_text_take(root, &len);
    respond_json(ex, is_ready ? 200 : 503, text, len, NULL, 0);
}

static void not_found(struct http_exchange *ex)
{
    struct api_error error =
        api_error_make(404, "invalid_request_error", "route_not_found", NULL,
                       "there is no such route; docs/api.md lists them");
    respond_error(ex, &error);
}

static void wrong_method(struct http_exchange *ex, const char *allow)
{
    struct api_error error =
        api_error_make(405, "invalid_request_error", "method_not_allowed", NULL,
                       "this route exists, but not with this method");
    struct http_header header = {"Allow", allow};
    const struct http_request *request = http_exchange_request(ex);
    size_t len = 0;
    char *text = api_error_body(&error, api_dialect_of(request->path), request->id, &len);
    respond_json(ex, 405, text, len, &header, 1);
}

static void dispatch(struct server *s, struct http_exchange *ex, enum route_id id)
{
    switch (id) {
    case ROUTE_CHAT_PAGE:
    case ROUTE_CONSOLE_PAGE:
    case ROUTE_WEB_ASSET:
        web_pages_answer(ex);
        break;
    case ROUTE_HEALTHZ:
        status(ex, 200, "ok");
        break;
    case ROUTE_READYZ:
        ready(s, ex);
        break;
    case ROUTE_OPENAPI:
        openapi(ex);
        break;
    case ROUTE_METRICS:
    case ROUTE_ADMIN_STATS:
        server_metrics_answer(s, ex);
        break;
    case ROUTE_CHAT_COMPLETIONS:
        exchange_begin(s, ex, &exchange_chat);
        break;
    case ROUTE_COMPLETIONS:
        exchange_begin(s, ex, &exchange_completion);
        break;
    case ROUTE_RESPONSES:
        exchange_begin(s, ex, &exchange_responses);
        break;
    case ROUTE_MESSAGES:
        exchange_begin(s, ex, &exchange_anthropic);
        break;
    case ROUTE_COUNT_TOKENS:
        count_tokens_answer(s, ex);
        break;
    case ROUTE_EMBEDDINGS:
        embeddings_begin(s, ex);
        break;
    case ROUTE_MODERATIONS:
        moderations_begin(s, ex);
        break;
    case ROUTE_TOKENIZE:
        tokens_tokenize(s, ex);
        break;
    case ROUTE_DETOKENIZE:
        tokens_detokenize(s, ex);
        break;
    case ROUTE_MODELS_LIST:
        model_admin_list_served(s, ex);
        break;
    case ROUTE_MODELS_GET:
        model_admin_get_served(s, ex);
        break;
    case ROUTE_MODELS_CARD:
        model_admin_get_card(s, ex);
        break;
    case ROUTE_ADMIN_FILTERS_REPLAY:
        replay_admin_begin(s, ex);
        break;
    case ROUTE_ADMIN_FINDINGS:
        findings_admin_begin(s, ex);
        break;
    case ROUTE_FEEDBACK:
        feedback_begin(s, ex);
        break;
    case ROUTE_ADMIN_FEEDBACK:
    case ROUTE_ADMIN_FEEDBACK_DELETE:
    case ROUTE_ADMIN_FEEDBACK_EXPORT:
        feedback_admin_begin(s, ex, id);
        break;
    case ROUTE_ADMIN_DRIFT:
    case ROUTE_ADMIN_DRIFT_ALERTS:
    case ROUTE_ADMIN_DRIFT_BASELINE:
        drift_admin_begin(s, ex, id);
        break;
    case ROUTE_ADMIN_MODELS:
    case ROUTE_ADMIN_RELOAD:
    case ROUTE_ADMIN_MODEL_VERSION:
    case ROUTE_ADMIN_MODEL_ACTIVATE:
    case ROUTE_ADMIN_MODEL_ROLLBACK:
    case ROUTE_ADMIN_MODEL_LOAD:
    case ROUTE_ADMIN_MODEL_UNLOAD:
    case ROUTE_ADMIN_MODEL_SPLIT:
    case ROUTE_ADMIN_MODEL_LABELS:
    case ROUTE_ADMIN_MODEL_SHADOW:
    case ROUTE_ADMIN_MODEL_SHADOW_REPORT:
    case ROUTE_ADMIN_MODEL_CANARY:
    case ROUTE_ADMIN_MODEL_CANARY_SET:
        model_admin_answer(s, ex, id);
        break;
    case ROUTE_ADMIN_UPGRADE_GET:
    case ROUTE_ADMIN_UPGRADE:
        upgrade_admin_answer(s, ex, id);
        break;
    default: /* those of versions are a file of their own, the rest was answered before */
        break;
    }
}

static const struct route *find(struct http_exchange *ex, char allow[64])
{
    const struct http_request *r = http_exchange_request(ex);
    return route_find(r->method, r->path, allow);
}

static void on_headers(void *ctx, struct http_exchange *ex)
{
    char allow[64];
    const struct route *route = find(ex, allow);
    request_watch_begin(ctx, ex, route);
    if (!gate_pass(ctx, ex, route, allow)) {
        return;
    }
    const struct server *s = ctx;
    bool is_off = route->id == ROUTE_METRICS && s->set.metrics == METRICS_OFF;
    if (route->id == ROUTE_NOT_FOUND || is_off) {
        not_found(ex);
    } else if (route->id == ROUTE_WRONG_METHOD) {
        wrong_method(ex, allow);
    }
}

void router_dispatch(struct server *s, struct http_exchange *ex)
{
    char allow[64];
    const struct route *route = find(ex, allow);
    if (upgrade_refuses(s, ex, route)) {
        return;
    }
    if (!version_admin_has(route->id)) {
        dispatch(s, ex, route->id);
    } else if (!model_wait_for_default(s, ex)) { /* prompts are measured with its tokens */
        version_admin_begin(s, ex, route);
    }
}

static void on_request(void *ctx, struct http_exchange *ex)
{
    router_dispatch(ctx, ex);
}

static void on_abort(void *ctx, struct http_exchange *ex)
{
    char allow[64];
    struct server *s = ctx;
    const struct route *found = find(ex, allow);
    enum route_id route = found->id;
    server_metrics_count_abort(s->metrics, found);
    model_admin_abort(ctx, ex);
    upgrade_abandon(s, ex);
    if (model_wait_abort(s, ex)) {
        return;
    }
    if (route == ROUTE_EMBEDDINGS) {
        embeddings_abort(ex);
    } else if (route == ROUTE_ADMIN_FILTERS_REPLAY) {
        replay_admin_abort(ex);
    } else if (route == ROUTE_ADMIN_FINDINGS) {
        findings_admin_abort(ex);
    } else if (route == ROUTE_MODERATIONS) {
        moderations_abort(ex);
    } else if (route == ROUTE_FEEDBACK || feedback_admin_has(route)) {
        feedback_abort(ex);
    } else if (drift_admin_has(route)) {
        drift_admin_abort(ex);
    } else if (version_admin_has(route)) {
        version_admin_abort(ex);
    } else {
        exchange_abort(ex);
    }
}

static void on_response(void *ctx, const struct http_exchange *ex, struct buf *head)
{
    gate_add_fields(ctx, ex, head);
    request_watch_add_fields(ex, head);
}

static void on_end(void *ctx, struct http_exchange *ex)
{
    struct server *s = ctx;
    char allow[64];
    server_metrics_count_request(s->metrics, find(ex, allow), ex);
    request_watch_end(s, ex);
    gate_leave(ex);
}

static void on_drain(void *ctx, struct http_exchange *ex)
{
    (void)ctx;
    char allow[64];
    enum route_id route = find(ex, allow)->id;
    if (route != ROUTE_EMBEDDINGS && route != ROUTE_MODERATIONS && !version_admin_has(route) &&
        route != ROUTE_ADMIN_FILTERS_REPLAY && route != ROUTE_ADMIN_FINDINGS &&
        route != ROUTE_FEEDBACK && !feedback_admin_has(route) && !drift_admin_has(route)) {
        exchange_drained(ex);
    }
}

const struct http_handler router_handler = {.on_headers = on_headers,
                                            .on_request = on_request,
                                            .on_abort = on_abort,
                                            .on_drain = on_drain,
                                            .on_response = on_response,
                                            .on_end = on_end};
