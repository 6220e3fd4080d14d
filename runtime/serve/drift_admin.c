#include "runtime/serve/drift_admin.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/serve/drift_desk.h"
#include "runtime/serve/model_state.h"
#include "runtime/serve/query_field.h"
#include "runtime/serve/respond.h"
#include "runtime/serve/server.h"

#define REPLY_BYTES_MAX ((size_t)16 << 20)
#define PAGE_DEFAULT    50

/* Who waits for a baseline to be stored. */
struct drift_wait {
    struct server *server;
    struct http_exchange *http; /* NULL: nobody any more */
};

bool drift_admin_has(enum route_id route)
{
    return route == ROUTE_ADMIN_DRIFT || route == ROUTE_ADMIN_DRIFT_ALERTS ||
           route == ROUTE_ADMIN_DRIFT_BASELINE;
}

void drift_admin_abort(struct http_exchange *http)
{
    struct drift_wait *wait = http_exchange_data(http);
    if (wait) {
        wait->http = NULL;
    }
}

/* Releases the buffer. */
static void answer(struct http_exchange *http, struct buf *reply)
{
    size_t len = 0;
    char *text = reply->failed ? NULL : buf_take(reply, &len);
    buf_deinit(reply);
    respond_json(http, 200, text, len, NULL, 0);
}

static void refuse(struct http_exchange *http, const struct err *e)
{
    if (e->kind == ERR_CONFLICT) {
        struct api_error conflict =
            api_error_make(409, "conflict", "drift_conflict", e->param, e->message);
        respond_error(http, &conflict);
    } else if (e->kind == ERR_NOT_FOUND) {
        struct api_error unknown = api_error_make(404, "invalid_request_error",
                                                  "drift_not_found", e->param, e->message);
        respond_error(http, &unknown);
    } else if (e->kind == ERR_IO) {
        struct api_error unstored =
            api_error_make(503, "server_error", "not_stored", NULL,
                           "the baseline could not be stored, and the one before goes on; try "
                           "again later");
        unstored.retry_after_s = 5;
        respond_error(http, &unstored);
    } else {
        respond_err(http, e);
    }
}

/* --- reading --- */

static void list(struct server *s, struct http_exchange *http, enum route_id route)
{
    const char *query = http_exchange_request(http)->query;
    struct drift_asked asked = {0};
    unsigned long long limit = PAGE_DEFAULT, before = 0;
    char bins[8];
    struct err e = {0};
    if (query_field_text(query, "model", asked.model, sizeof(asked.model), &e) != 0 ||
        query_field_text(query, "version", asked.version, sizeof(asked.version), &e) != 0 ||
        query_field_text(query, "prompt", asked.prompt, sizeof(asked.prompt), &e) != 0 ||
        query_field_text(query, "distributions", bins, sizeof(bins), &e) != 0 ||
        query_field_number(query, "limit", 1, DRIFT_ALERTS_MAX, &limit, &e) != 0 ||
        query_field_number(query, "before", 0, INT64_MAX, &before, &e) != 0) {
        respond_err(http, &e);
        return;
    }
    struct buf reply;
    buf_init(&reply, REPLY_BYTES_MAX);
    if (route == ROUTE_ADMIN_DRIFT) {
        drift_desk_list(s->drift, &asked, strcmp(bins, "true") == 0, &reply);
    } else {
        drift_desk_list_alerts(s->drift, &asked, before, (size_t)limit, &reply);
    }
    answer(http, &reply);
}

/* --- a new baseline --- */

static int read_text(const cJSON *object, const char *name, char *out, size_t size,
                     struct err *e)
{
    const cJSON *item = json_field_get(object, name);
    const char *text = item ? cJSON_GetStringValue(item) : "";
    if (!text || strlen(text) >= size) {
        char wanted[48];
        snprintf(wanted, sizeof(wanted), "a string of at most %zu bytes", size - 1);
        return json_field_wrong_type(name, wanted, e);
    }
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static int read_asked(const cJSON *object, struct drift_asked *asked, struct err *e)
{
    return read_text(object, "model", asked->model, sizeof(asked->model), e) == 0 &&
                   read_text(object, "version", asked->version, sizeof(asked->version), e) ==
                       0 &&
                   read_text(object, "prompt", asked->prompt, sizeof(asked->prompt), e) == 0
               ? 0
               : -1;
}

static int check_names(const cJSON *body, struct err *e)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, body)
    {
        const char *name = item->string;
        if (strcmp(name, "model") != 0 && strcmp(name, "version") != 0 &&
            strcmp(name, "prompt") != 0 && strcmp(name, "take") != 0 &&
            strcmp(name, "from") != 0) {
            return err_set_param(e, ERR_INVALID, name,
                                 "\"%.40s\" is not known; model, version, prompt, take and "
                                 "from are",
                                 name);
        }
    }
    return 0;
}

/* "take": "newest" or "next"; or "from": {...}. */
static int read_how(const cJSON *body, enum drift_take *how, struct drift_asked *other,
                    struct err *e)
{
    const cJSON *from = json_field_get(body, "from");
    char take[8] = "";
    if (read_text(body, "take", take, sizeof(take), e) != 0) {
        return -1;
    }
    if (from && take[0]) {
        return json_field_refuse("from", "beside \"take\"", e);
    }
    if (from && !cJSON_IsObject(from)) {
        return json_field_wrong_type("from", "an object with model, version and prompt", e);
    }
    *how = from                        ? DRIFT_TAKE_OTHER
           : strcmp(take, "next") == 0 ? DRIFT_TAKE_NEXT
                                       : DRIFT_TAKE_NEWEST;
    if (take[0] && *how == DRIFT_TAKE_NEWEST && strcmp(take, "newest") != 0) {
        return json_field_wrong_type("take", "\"newest\" or \"next\"", e);
    }
    return from ? read_asked(from, other, e) : 0;
}

static void on_taken(void *ctx, uint64_t series, const struct err *e)
{
    struct drift_wait *wait = ctx;
    struct http_exchange *http = wait->http;
    if (http) {
        http_exchange_set_data(http, NULL);
    }
    if (http && e) {
        refuse(http, e);
    } else if (http) {
        struct buf reply;
        buf_init(&reply, REPLY_BYTES_MAX);
        drift_desk_append(wait->server->drift, series, &reply);
        answer(http, &reply);
    }
    mem_free(wait);
}

static int take(struct server *s, const cJSON *body, struct drift_wait *wait, struct err *e)
{
    struct drift_asked asked = {0}, other = {0};
    enum drift_take how = DRIFT_TAKE_NEWEST;
    char by[VERSION_ACTOR_MAX + 1];
    model_state_actor(wait->http, by);
    return check_names(body, e) == 0 && read_asked(body, &asked, e) == 0 &&
                   read_how(body, &how, &other, e) == 0
               ? drift_desk_take(s->drift, &asked, how, &other, by, on_taken, wait, e)
               : -1;
}

static void begin_take(struct server *s, struct http_exchange *http)
{
    const struct http_request *r = http_exchange_request(http);
    struct err e = {0};
    struct drift_wait *wait = mem_zalloc(sizeof(*wait));
    cJSON *body = wait ? json_parse_object(r->body, r->body_len, &e) : NULL;
    int rc = body ? 0 : wait ? -1 : err_nomem(&e);
    if (rc == 0) {
        *wait = (struct drift_wait){s, http};
        http_exchange_set_data(http, wait);
        rc = take(s, body, wait, &e);
    }
    cJSON_Delete(body);
    if (rc != 0) {
        http_exchange_set_data(http, NULL);
        mem_free(wait);
        refuse(http, &e);
    }
}

void drift_admin_begin(struct server *s, struct http_exchange *http, enum route_id route)
{
    if (!s->drift) {
        struct api_error off = api_error_make(404, "invalid_request_error", "drift_off", NULL,
                                              "this server does not watch drift; it was "
                                              "started with --drift off");
        respond_error(http, &off);
    } else if (route == ROUTE_ADMIN_DRIFT_BASELINE) {
        begin_take(s, http);
    } else {
        list(s, http, route);
    }
}
