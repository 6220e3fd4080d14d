#include "runtime/serve/gate.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/serve/respond.h"

/* Pages of other origins have no business there, whatever is allowed elsewhere. */
static bool is_admin_path(const char *path)
{
    return strncmp(path, "/admin", 6) == 0;
}

static bool cors_is_open(const struct server *s, const struct http_request *r)
{
    return !is_admin_path(r->path) && cors_allows(&s->set.cors, r);
}

static void refuse_origin(struct http_exchange *ex)
{
    struct api_error refusal =
        api_error_make(403, "permission_error", "origin_not_allowed", NULL,
                       "pages of this origin may not call this server or route; --cors-origin "
                       "allows origins");
    respond_error(ex, &refusal);
}

/* RFC 9110 9.3.7. The fields of a preflight's answer come from gate_add_fields. */
static void answer_options(const struct server *s, struct http_exchange *ex, const char *allow)
{
    const struct http_request *r = http_exchange_request(ex);
    struct http_header header = {"Allow", allow};
    if (cors_is_preflight(r) && !cors_is_open(s, r)) {
        refuse_origin(ex);
    } else {
        http_respond(ex, 204, &header, 1, NULL, 0);
    }
}

static bool pass_limits(const struct server *s, struct http_exchange *ex,
                        const struct route *route)
{
    struct api_error refusal;
    struct access_key *key = route->auth == ROUTE_PUBLIC
                                 ? access_key_of(&s->set.access, http_exchange_request(ex))
                                 : NULL;
    if (!key) {
        return true;
    }
    http_exchange_set_guard(ex, key);
    if (access_enter(key, clock_now_ns(), &refusal)) {
        return true;
    }
    respond_error(ex, &refusal);
    return false;
}

bool gate_pass(struct server *s, struct http_exchange *ex, const struct route *route,
               const char *allow)
{
    static const struct route metrics_by_key = {ROUTE_METRICS, "GET", "/metrics", ROUTE_PUBLIC,
                                                SCOPE_METRICS};
    const struct http_request *r = http_exchange_request(ex);
    struct api_error refusal;
    if (route->id == ROUTE_METRICS && s->set.metrics == METRICS_KEY) {
        route = &metrics_by_key;
    }
    if (!access_check(&s->set.access, route, r, &refusal)) {
        respond_error(ex, &refusal);
        return false;
    }
    if (!access_origin_is_near(&s->set.access, r) && !cors_is_open(s, r)) {
        refuse_origin(ex);
        return false;
    }
    if (strcmp(r->path, "*") == 0) { /* the server as a whole; only OPTIONS comes so */
        answer_options(s, ex, "GET, HEAD, POST, PUT, OPTIONS");
        return false;
    }
    if (strcmp(r->method, "OPTIONS") == 0 && route->id == ROUTE_WRONG_METHOD) {
        answer_options(s, ex, allow);
        return false;
    }
    return pass_limits(s, ex, route);
}

void gate_add_fields(const struct server *s, const struct http_exchange *ex, struct buf *head)
{
    if (!ex) {
        return;
    }
    const struct http_request *r = http_exchange_request(ex);
    struct access_key *key = http_exchange_guard(ex);
    uint64_t now = clock_now_ns();
    char ms[24];
    snprintf(ms, sizeof(ms), "%llu", (unsigned long long)(now - r->received_ns) / 1000000);
    http_field_add(head, "openai-processing-ms", ms);
    if (strncmp(r->path, "/v1/messages", 12) == 0) {
        http_field_add(head, "request-id", r->id); /* as Anthropic's clients look for it */
    }
    if (key) {
        access_add_limit_fields(key, now, head);
    }
    if (!is_admin_path(r->path)) {
        cors_add_fields(&s->set.cors, r, head);
    }
    if (cors_is_preflight(r) && cors_is_open(s, r)) {
        char allow[64];
        route_find(r->method, r->path, allow);
        cors_add_preflight_fields(r, allow, head);
    }
}

void gate_leave(struct http_exchange *ex)
{
    struct access_key *key = http_exchange_guard(ex);
    if (key) {
        access_leave(key);
    }
}
