#include "runtime/serve/version_admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/chain_work.h"
#include "runtime/serve/prompt_work.h"
#include "runtime/serve/respond.h"

#define PAGE_DEFAULT 100

static const struct {
    enum route_id first, last;
    enum version_op op; /* of the first */
    const struct version_api *api;
} kinds[] = {
    {ROUTE_ADMIN_PROMPTS, ROUTE_ADMIN_PROMPT_SPLIT, VERSION_OP_LIST, &prompt_work_api},
    {ROUTE_ADMIN_CHAINS, ROUTE_ADMIN_CHAIN_DRY_RUN, VERSION_OP_LIST, &chain_work_api},
    {ROUTE_ADMIN_CHAIN_TRACE, ROUTE_ADMIN_CHAIN_TRACE, VERSION_OP_TRACE, &chain_work_api},
    /* Of all kinds: it does not matter which. */
    {ROUTE_ADMIN_AUDIT, ROUTE_ADMIN_AUDIT, VERSION_OP_AUDIT, &prompt_work_api},
};

/* NULL: none of these routes. */
static const struct version_api *find_api(enum route_id route, enum version_op *op)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (route >= kinds[i].first && route <= kinds[i].last) {
            *op = (enum version_op)(kinds[i].op + (route - kinds[i].first));
            return kinds[i].api;
        }
    }
    return NULL;
}

bool version_admin_has(enum route_id route)
{
    enum version_op op;
    return find_api(route, &op) != NULL;
}

/* --- what was asked for --- */

/* The index-th part of "/admin/prompts/NAME/versions/3", counted from 0; "" behind the end. -1
 * when it is longer than any name. */
static int path_part(const char *path, int index, char out[VERSION_NAME_MAX + 1])
{
    out[0] = '\0';
    for (int i = 0; *path == '/'; i++) {
        size_t len = strcspn(path + 1, "/");
        if (i == index) {
            if (len > VERSION_NAME_MAX) {
                return -1;
            }
            snprintf(out, VERSION_NAME_MAX + 1, "%.*s", (int)len, path + 1);
            return 0;
        }
        path += 1 + len;
    }
    return 0;
}

/* The value of NAME in "a=1&b=2". Names and values of these routes need no decoding. */
static bool query_value(const char *query, const char *name, char *out, size_t size)
{
    size_t name_len = strlen(name);
    for (const char *at = query; *at;) {
        size_t len = strcspn(at, "&");
        if (len > name_len && strncmp(at, name, name_len) == 0 && at[name_len] == '=') {
            snprintf(out, size, "%.*s", (int)(len - name_len - 1), at + name_len + 1);
            return true;
        }
        at += len + (at[len] == '&');
    }
    return false;
}

static void read_query(struct version_request *r, const char *query)
{
    char text[32];
    r->limit = PAGE_DEFAULT;
    r->activate = true;
    if (query_value(query, "limit", text, sizeof(text))) {
        long n = strtol(text, NULL, 10);
        r->limit = n < 1 ? 1 : n > VERSION_PAGE_MAX ? VERSION_PAGE_MAX : (size_t)n;
    }
    if (query_value(query, "before", text, sizeof(text))) {
        r->before = strtoull(text, NULL, 10);
    }
    if (query_value(query, "activate", text, sizeof(text))) {
        r->activate = strcmp(text, "false") != 0;
    }
    static const char *const from_names[] = {"from", "after", "profile"};
    for (size_t i = 0; i < sizeof(from_names) / sizeof(from_names[0]); i++) {
        if (query_value(query, from_names[i], r->from, sizeof(r->from))) {
            break;
        }
    }
    query_value(query, "to", r->to, sizeof(r->to));
}

static int read_audit_kind(struct version_request *r, const char *query, struct err *e)
{
    char kind[32];
    r->audit_kind = VERSION_KINDS;
    if (!query_value(query, "kind", kind, sizeof(kind))) {
        return 0;
    }
    r->audit_kind = version_kind_named(kind);
    return r->audit_kind < VERSION_KINDS
               ? 0
               : err_set_param(e, ERR_INVALID, "kind", "\"kind\" is \"%s\", \"%s\" or \"%s\"",
                               version_kind_name(VERSION_PROMPTS),
                               version_kind_name(VERSION_FILTERS),
                               version_kind_name(VERSION_MODELS));
}

/* If-Match: "7"; If-None-Match: *. */
static int read_conditions(struct version_request *r, const struct http_request *request,
                           struct err *e)
{
    const char *match = http_request_header(request, "if-match");
    const char *none = http_request_header(request, "if-none-match");
    if (match && strcmp(match, "*") != 0) {
        char *end = NULL;
        r->change.if_match = strtoull(match + (match[0] == '"'), &end, 10);
        if (r->change.if_match == 0 || (*end != '\0' && strcmp(end, "\"") != 0)) {
            return err_set_param(e, ERR_INVALID, "If-Match",
                                 "If-Match must be the ETag of the %s, a number in quotes",
                                 r->api->noun);
        }
    }
    r->change.if_new = none && strcmp(none, "*") == 0;
    return 0;
}

static int read_request(struct version_request *r, const struct http_request *request,
                        struct err *e)
{
    const char *actor = http_request_header(request, "weir-actor");
    snprintf(r->actor, sizeof(r->actor), "%s", actor ? actor : "admin");
    r->change.actor = r->actor;
    read_query(r, request->query);
    if (path_part(request->path, 2, r->name) != 0 ||
        path_part(request->path, 4, r->item) != 0) {
        return err_set_param(e, ERR_NOT_FOUND, r->api->param, "no %s has so long a name",
                             r->api->noun);
    }
    r->body_len = request->body_len;
    r->body = mem_strndup(request->body, request->body_len);
    if (!r->body) {
        return err_nomem(e);
    }
    bool is_named = r->name[0] != '\0' && r->op != VERSION_OP_AUDIT;
    if (is_named && version_name_check(r->name, r->api->param, e) != 0) {
        return -1;
    }
    return read_audit_kind(r, request->query, e) == 0 ? read_conditions(r, request, e) : -1;
}

/* Labels, and what is only read, are each server's own. */
static bool is_of_fleet(const struct version_request *r, struct err *e)
{
    bool changes = r->op == VERSION_OP_PUT || r->op == VERSION_OP_DELETE ||
                   r->op == VERSION_OP_VERSION_DELETE || r->op == VERSION_OP_ACTIVATE ||
                   r->op == VERSION_OP_ROLLBACK || r->op == VERSION_OP_SPLIT;
    enum fleet_kind kind = r->api->kind == VERSION_PROMPTS ? FLEET_PROMPT : FLEET_FILTERS;
    return changes && fleet_governs(r->server->fleet, kind, r->name, e);
}

/* --- the way of a job --- */

static void destroy(struct version_request *r)
{
    r->server->version_requests--;
    r->api->release(r);
    mem_free(r->body);
    mem_free(r->reply);
    mem_free(r);
}

static void answer(void *user)
{
    struct version_request *r = user;
    if (!r->http) {
        if (r->failed) {
            log_warn("%s %s: %s", r->api->noun, r->name, r->e.message);
        }
        if (r->failed && r->from_folder) {
            r->api->put_failed(r);
        }
        if (r->told) {
            r->told(r->told_user, r->failed ? &r->e : NULL);
        }
    } else if (r->failed) {
        respond_err(r->http, &r->e);
    } else {
        char etag[32];
        snprintf(etag, sizeof(etag), "\"%llu\"", (unsigned long long)r->etag);
        const struct http_header headers[] = {
            {"Content-Type", r->is_text ? "text/plain; charset=utf-8" : "application/json"},
            {"ETag", etag}};
        http_respond(r->http, r->status, headers, r->etag > 0 ? 2 : 1, r->reply, r->reply_len);
    }
    if (r->publish) {
        fleet_note_change(r->server->fleet);
    }
    destroy(r);
}

static void after_work(uv_work_t *work, int status)
{
    struct version_request *r = work->data;
    if (status != 0) {
        r->failed = err_set(&r->e, ERR_CANCELED, "a change was not made") != 0;
    }
    if (!r->publish) {
        answer(r);
        return;
    }
    struct err e = {0};
    if (r->api->publish(r, answer, &e) != 0) {
        r->failed = true;
        r->e = e;
        answer(r);
    }
}

static void run_on_worker(uv_work_t *work)
{
    version_work_run(work->data);
}

static struct version_request *create(struct server *s, const struct version_api *api,
                                      enum version_op op, const char *name)
{
    struct version_request *r = mem_zalloc(api->request_size);
    if (r) {
        r->server = s;
        s->version_requests++;
        r->api = api;
        r->store = version_database_store(s->database, api->kind);
        r->op = op;
        r->work.data = r;
        snprintf(r->name, sizeof(r->name), "%s", name);
    }
    return r;
}

/* The loop's part before the work, once it is known what is asked for. */
static int start(struct version_request *r, struct err *e)
{
    r->api->begin(r);
    int rc = uv_queue_work(&r->server->loop, &r->work, run_on_worker, after_work);
    return rc == 0 ? 0 : err_set(e, ERR_IO, "cannot start work: %s", uv_strerror(rc));
}

void version_admin_begin(struct server *s, struct http_exchange *http,
                         const struct route *route)
{
    struct err e = {0};
    enum version_op op = VERSION_OP_LIST;
    const struct version_api *api = find_api(route->id, &op);
    struct version_request *r = create(s, api, op, "");
    int rc = r ? read_request(r, http_exchange_request(http), &e) : err_nomem(&e);
    if (rc == 0 && is_of_fleet(r, &e)) {
        struct api_error error =
            api_error_make(409, "conflict", "fleet_decides", r->api->param, e.message);
        destroy(r);
        http_exchange_set_data(http, NULL);
        respond_error(http, &error);
        return;
    }
    if (rc == 0) {
        r->http = http;
        http_exchange_set_data(http, r);
        rc = start(r, &e);
    }
    if (rc != 0) {
        if (r) {
            destroy(r);
        }
        http_exchange_set_data(http, NULL);
        respond_err(http, &e);
    }
}

void version_admin_abort(struct http_exchange *http)
{
    struct version_request *r = http_exchange_data(http);
    if (r) {
        r->http = NULL;
    }
}

/* A PUT that nobody waits for at a connection. */
static struct version_request *create_put(struct server *s, const struct version_api *api,
                                          const struct version_order *order)
{
    struct version_request *r = create(s, api, VERSION_OP_PUT, order->name);
    if (!r) {
        return NULL;
    }
    snprintf(r->actor, sizeof(r->actor), "%s", order->actor);
    r->change.actor = r->actor;
    r->change.number = order->number;
    snprintf(r->sha256, sizeof(r->sha256), "%s", order->sha256 ? order->sha256 : "");
    r->activate = true;
    r->told = order->told;
    r->told_user = order->user;
    r->body = mem_strndup(order->json, order->len);
    r->body_len = order->len;
    if (!r->body) {
        destroy(r);
        return NULL;
    }
    return r;
}

static int start_put(struct version_request *r, struct err *e)
{
    if (!r) {
        return err_nomem(e);
    }
    int rc = start(r, e);
    if (rc != 0) {
        destroy(r);
    }
    return rc;
}

int version_admin_put(struct server *s, const struct version_api *api, const char *name,
                      const char *json, size_t len, const char *actor, struct err *e)
{
    const struct version_order order = {.name = name, .json = json, .len = len, .actor = actor};
    struct version_request *r = create_put(s, api, &order);
    if (r) {
        r->from_folder = true;
    }
    return start_put(r, e);
}

int version_admin_order(struct server *s, const struct version_api *api,
                        const struct version_order *order, struct err *e)
{
    return start_put(create_put(s, api, order), e);
}
