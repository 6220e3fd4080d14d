#include "runtime/serve/prompt_admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/prompt_work.h"
#include "runtime/serve/prompts_dir.h"
#include "runtime/serve/respond.h"

#define PAGE_DEFAULT 100

bool prompt_admin_has(enum route_id route)
{
    return route >= ROUTE_ADMIN_PROMPTS && route <= ROUTE_ADMIN_AUDIT;
}

/* --- what was asked for --- */

/* The index-th part of "/admin/prompts/NAME/versions/3", counted from 0; "" behind the end. -1
 * when it is longer than any name. */
static int path_part(const char *path, int index, char out[PROMPT_NAME_MAX + 1])
{
    out[0] = '\0';
    for (int i = 0; *path == '/'; i++) {
        size_t len = strcspn(path + 1, "/");
        if (i == index) {
            if (len > PROMPT_NAME_MAX) {
                return -1;
            }
            snprintf(out, PROMPT_NAME_MAX + 1, "%.*s", (int)len, path + 1);
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

static void read_query(struct prompt_request *r, const char *query)
{
    char text[32];
    r->limit = PAGE_DEFAULT;
    r->activate = true;
    if (query_value(query, "limit", text, sizeof(text))) {
        long n = strtol(text, NULL, 10);
        r->limit = n < 1 ? 1 : n > PROMPT_PAGE_MAX ? PROMPT_PAGE_MAX : (size_t)n;
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

/* If-Match: "7"; If-None-Match: *. */
static int read_conditions(struct prompt_request *r, const struct http_request *request,
                           struct err *e)
{
    const char *match = http_request_header(request, "if-match");
    const char *none = http_request_header(request, "if-none-match");
    if (match && strcmp(match, "*") != 0) {
        char *end = NULL;
        r->change.if_match = strtoull(match + (match[0] == '"'), &end, 10);
        if (r->change.if_match == 0 || (*end != '\0' && strcmp(end, "\"") != 0)) {
            return err_set_param(e, ERR_INVALID, "If-Match",
                                 "If-Match must be the ETag of the prompt, a number in quotes");
        }
    }
    r->change.if_new = none && strcmp(none, "*") == 0;
    return 0;
}

static int read_request(struct prompt_request *r, const struct http_request *request,
                        struct err *e)
{
    const char *actor = http_request_header(request, "weir-actor");
    snprintf(r->actor, sizeof(r->actor), "%s", actor ? actor : "admin");
    r->change.actor = r->actor;
    read_query(r, request->query);
    if (path_part(request->path, 2, r->profile) != 0 ||
        path_part(request->path, 4, r->item) != 0) {
        return err_set_param(e, ERR_NOT_FOUND, "profile", "no prompt has so long a name");
    }
    r->body_len = request->body_len;
    r->body = mem_strndup(request->body, request->body_len);
    if (!r->body) {
        return err_nomem(e);
    }
    bool is_named = r->profile[0] != '\0' && r->route != ROUTE_ADMIN_AUDIT;
    if (is_named && prompt_name_check(r->profile, "profile", e) != 0) {
        return -1;
    }
    return read_conditions(r, request, e);
}

/* --- the way of a job --- */

static void destroy(struct prompt_request *r)
{
    prompt_unref(r->active);
    prompt_unref(r->split);
    generation_unref(r->generation);
    mem_free(r->body);
    mem_free(r->reply);
    mem_free(r);
}

static void answer(void *user)
{
    struct prompt_request *r = user;
    if (!r->http) {
        if (r->failed) {
            log_warn("prompt %s: %s", r->profile, r->e.message);
        }
        if (r->failed && r->from_folder) {
            prompts_dir_failed(r->server->prompts_dir, r->profile, &r->e);
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
    destroy(r);
}

static void after_work(uv_work_t *work, int status)
{
    struct prompt_request *r = work->data;
    if (status != 0) {
        r->failed = err_set(&r->e, ERR_CANCELED, "a change of prompts was not made") != 0;
    }
    if (!r->publish) {
        answer(r);
        return;
    }
    struct err e = {0};
    if (prompt_set_publish(&r->server->prompts, &r->state, r->active, r->split, answer, r,
                           &e) != 0) {
        r->failed = true;
        r->e = e;
        answer(r);
    }
}

static void run_on_worker(uv_work_t *work)
{
    prompt_work_run(work->data);
}

static struct prompt_request *create(struct server *s, enum route_id route)
{
    struct prompt_request *r = mem_zalloc(sizeof(*r));
    if (r) {
        r->server = s;
        r->store = s->store;
        r->prefix = s->prompts.stats;
        r->generation = generation_ref(s->generation);
        r->route = route;
        r->work.data = r;
    }
    return r;
}

static int start(struct prompt_request *r, struct err *e)
{
    int rc = uv_queue_work(&r->server->loop, &r->work, run_on_worker, after_work);
    return rc == 0 ? 0 : err_set(e, ERR_IO, "cannot start work: %s", uv_strerror(rc));
}

void prompt_admin_begin(struct server *s, struct http_exchange *http, const struct route *route)
{
    struct err e = {0};
    struct prompt_request *r = create(s, route->id);
    int rc = r ? read_request(r, http_exchange_request(http), &e) : err_nomem(&e);
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

void prompt_admin_abort(struct http_exchange *http)
{
    struct prompt_request *r = http_exchange_data(http);
    if (r) {
        r->http = NULL;
    }
}

int prompt_admin_put(struct server *s, const char *profile, const char *json, size_t len,
                     const char *actor, struct err *e)
{
    struct prompt_request *r = create(s, ROUTE_ADMIN_PROMPT_PUT);
    if (!r) {
        return err_nomem(e);
    }
    snprintf(r->profile, sizeof(r->profile), "%s", profile);
    snprintf(r->actor, sizeof(r->actor), "%s", actor);
    r->change.actor = r->actor;
    r->activate = true;
    r->from_folder = true;
    r->body = mem_strndup(json, len);
    r->body_len = len;
    int rc = r->body ? start(r, e) : err_nomem(e);
    if (rc != 0) {
        destroy(r);
    }
    return rc;
}
