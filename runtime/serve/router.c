#include "runtime/serve/router.h"

#include <string.h>

#include "runtime/api/admin_reply.h"
#include "runtime/api/openapi.h"
#include "runtime/api/routes.h"
#include "runtime/base/mem.h"
#include "runtime/serve/count_tokens.h"
#include "runtime/serve/embeddings.h"
#include "runtime/serve/exchange.h"
#include "runtime/serve/gate.h"
#include "runtime/serve/model_admin.h"
#include "runtime/serve/moderations.h"
#include "runtime/serve/prompt_admin.h"
#include "runtime/serve/respond.h"
#include "runtime/serve/tokens.h"
#include "runtime/web/page.h"

static void chat_page(struct http_exchange *ex)
{
    static const struct http_header headers[] = {
        {"Content-Type", "text/html; charset=utf-8"},
        {"Cache-Control", "no-cache"},
        /* The page is one file and talks to nobody but this server. */
        {"Content-Security-Policy",
         "default-src 'none'; style-src 'unsafe-inline'; "
         "script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
         "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"},
        {"X-Content-Type-Options", "nosniff"},
    };
    http_respond(ex, 200, headers, sizeof(headers) / sizeof(headers[0]), web_page,
                 web_page_len);
}

static void openapi(struct http_exchange *ex)
{
    static const struct http_header headers[] = {{"Content-Type", "application/json"},
                                                 {"Cache-Control", "no-cache"}};
    http_respond(ex, 200, headers, sizeof(headers) / sizeof(headers[0]), openapi_json,
                 openapi_json_len);
}

/* Whether the model makes text; if not, that is answered. */
static bool makes_text(const struct server *s, struct http_exchange *ex)
{
    struct err e = {0};
    if (generation_check_text(s->generation, &e) == 0) {
        return true;
    }
    respond_err(ex, &e);
    return false;
}

static void status(struct http_exchange *ex, int code, const char *word)
{
    size_t len = 0;
    char *text = status_text(word, &len);
    respond_json(ex, code, text, len, NULL, 0);
}

static void admin_filters_get(struct server *s, struct http_exchange *ex)
{
    size_t len = 0;
    char *text = admin_filters_text(chain_name(s->chain), chain_version(s->chain),
                                    chain_hash(s->chain), chain_filter_count(s->chain), &len);
    respond_json(ex, 200, text, len, NULL, 0);
}

static void admin_filters_put(struct server *s, struct http_exchange *ex)
{
    const struct http_request *r = http_exchange_request(ex);
    struct err e = {0};
    /* No folder: a chain that comes over the network names no files of this machine. */
    struct chain_options options = {.version = chain_version(s->chain) + 1};
    struct chain *c = chain_from_json(r->body, r->body_len, &options, &e);
    if (!c) {
        if (e.kind == ERR_NOT_FOUND) {
            e.kind = ERR_INVALID; /* a type that the body names is missing, not the route */
        }
        respond_err(ex, &e);
        return;
    }
    server_publish_chain(s, c);
    admin_filters_get(s, ex);
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

static void answer(struct server *s, struct http_exchange *ex, const struct exchange_api *api)
{
    if (makes_text(s, ex)) {
        exchange_begin(s, ex, api);
    }
}

static void dispatch(struct server *s, struct http_exchange *ex, enum route_id id)
{
    switch (id) {
    case ROUTE_CHAT_PAGE:
        chat_page(ex);
        break;
    case ROUTE_HEALTHZ:
        status(ex, 200, "ok");
        break;
    case ROUTE_READYZ:
        status(ex, s->stopping ? 503 : 200, s->stopping ? "draining" : "ready");
        break;
    case ROUTE_OPENAPI:
        openapi(ex);
        break;
    case ROUTE_CHAT_COMPLETIONS:
        answer(s, ex, &exchange_chat);
        break;
    case ROUTE_COMPLETIONS:
        answer(s, ex, &exchange_completion);
        break;
    case ROUTE_RESPONSES:
        answer(s, ex, &exchange_responses);
        break;
    case ROUTE_MESSAGES:
        answer(s, ex, &exchange_anthropic);
        break;
    case ROUTE_COUNT_TOKENS:
        if (makes_text(s, ex)) {
            count_tokens_answer(s, ex);
        }
        break;
    case ROUTE_EMBEDDINGS:
        embeddings_begin(s, ex);
        break;
    case ROUTE_MODERATIONS:
        moderations_answer(s, ex);
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
    case ROUTE_ADMIN_FILTERS_GET:
        admin_filters_get(s, ex);
        break;
    case ROUTE_ADMIN_FILTERS_PUT:
        admin_filters_put(s, ex);
        break;
    case ROUTE_ADMIN_MODELS:
    case ROUTE_ADMIN_RELOAD:
    case ROUTE_ADMIN_MODEL_VERSION:
    case ROUTE_ADMIN_MODEL_ACTIVATE:
    case ROUTE_ADMIN_MODEL_ROLLBACK:
        model_admin_answer(s, ex, id);
        break;
    default: /* those of prompts are a file of their own, the rest was answered before */
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
    if (!gate_pass(ctx, ex, route, allow)) {
        return;
    }
    if (route->id == ROUTE_NOT_FOUND) {
        not_found(ex);
    } else if (route->id == ROUTE_WRONG_METHOD) {
        wrong_method(ex, allow);
    }
}

static void on_request(void *ctx, struct http_exchange *ex)
{
    char allow[64];
    const struct route *route = find(ex, allow);
    if (prompt_admin_has(route->id)) {
        prompt_admin_begin(ctx, ex, route);
    } else {
        dispatch(ctx, ex, route->id);
    }
}

static void on_abort(void *ctx, struct http_exchange *ex)
{
    char allow[64];
    model_admin_abort(ctx, ex);
    enum route_id route = find(ex, allow)->id;
    if (route == ROUTE_EMBEDDINGS) {
        embeddings_abort(ex);
    } else if (prompt_admin_has(route)) {
        prompt_admin_abort(ex);
    } else {
        exchange_abort(ex);
    }
}

static void on_response(void *ctx, const struct http_exchange *ex, struct buf *head)
{
    gate_add_fields(ctx, ex, head);
}

static void on_end(void *ctx, struct http_exchange *ex)
{
    (void)ctx;
    gate_leave(ex);
}

static void on_drain(void *ctx, struct http_exchange *ex)
{
    (void)ctx;
    char allow[64];
    enum route_id route = find(ex, allow)->id;
    if (route != ROUTE_EMBEDDINGS && !prompt_admin_has(route)) {
        exchange_drained(ex);
    }
}

const struct http_handler router_handler = {.on_headers = on_headers,
                                            .on_request = on_request,
                                            .on_abort = on_abort,
                                            .on_drain = on_drain,
                                            .on_response = on_response,
                                            .on_end = on_end};
