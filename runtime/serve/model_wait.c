#include "runtime/serve/model_wait.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/serve/model_set_parts.h"
#include "runtime/serve/request_watch.h"
#include "runtime/serve/respond.h"
#include "runtime/serve/router.h"

#define DEADLINE_TICK_MS 25
#define AGAIN_AFTER_S    5

struct model_wait {
    struct model_wait *next;
    struct http_exchange *http;
    uint64_t received_ns; /* what tells its request from the next one there */
    struct model_missing missing;
    uint64_t since_ns;
    uint64_t deadline_ns; /* 0: none */
};

/* --- the list --- */

size_t model_wait_count(const struct server *s, const struct model_set *set)
{
    size_t n = 0;
    for (const struct model_wait *w = s->waits.first; w; w = w->next) {
        n += w->missing.set == set;
    }
    return n;
}

bool model_wait_has(const struct model_set *set)
{
    return model_wait_count(set->server, set) > 0;
}

static void append(struct server *s, struct model_wait *w)
{
    struct model_wait **end = &s->waits.first;
    while (*end) {
        end = &(*end)->next;
    }
    *end = w;
    w->next = NULL;
    s->waits.count++;
    s->waits.n_deadlines += w->deadline_ns != 0;
}

static void take_out(struct server *s, struct model_wait *w)
{
    struct model_wait **at = &s->waits.first;
    while (*at != w) {
        at = &(*at)->next;
    }
    *at = w->next;
    s->waits.count--;
    s->waits.n_deadlines -= w->deadline_ns != 0;
}

/* --- answers --- */

static void refuse(struct model_wait *w, const struct api_error *error)
{
    struct http_exchange *http = w->http;
    mem_free(w);
    respond_error(http, error);
}

/* What went wrong is the owner's affair, and in the log. */
static void refuse_failed(struct model_wait *w, const struct err *why)
{
    char message[ERR_MESSAGE_MAX];
    bool is_busy = why->kind == ERR_BUSY;
    snprintf(message, sizeof(message),
             is_busy
                 ? "there is no memory for the model \"%.100s\" while others are in use; "
                   "try again later"
                 : "the model \"%.100s\" could not be loaded; the owner of this server finds "
                   "the reason in GET /admin/models",
             model_set_name(w->missing.set));
    struct api_error error = api_error_make(
        503, "server_error", is_busy ? "memory_short" : "model_load_failed", "model", message);
    /* What its files are the cause of stays so until they change. */
    error.is_final = !is_busy && why->kind != ERR_CONFLICT && why->kind != ERR_NOMEM;
    error.retry_after_s = error.is_final ? 0 : AGAIN_AFTER_S;
    refuse(w, &error);
}

static void refuse_late(struct model_wait *w)
{
    struct err e = {0};
    err_set_param(&e, ERR_DEADLINE, "deadline_ms",
                  "the model \"%.100s\" was not loaded within the deadline",
                  model_set_name(w->missing.set));
    const struct api_error error = api_error_from(&e);
    refuse(w, &error);
}

static void on_deadlines(uv_timer_t *timer)
{
    struct server *s = timer->data;
    uint64_t now = clock_now_ns();
    struct model_wait *next;
    for (struct model_wait *w = s->waits.first; w; w = next) {
        next = w->next;
        if (w->deadline_ns != 0 && now >= w->deadline_ns) {
            take_out(s, w);
            refuse_late(w);
        }
    }
    if (s->waits.n_deadlines == 0) {
        uv_timer_stop(timer);
    }
}

/* --- parking --- */

static size_t most(const struct server *s)
{
    const struct generation_settings *set = &s->set.generation;
    return (size_t)set->max_sequences + (size_t)set->max_waiting;
}

static struct model_wait *on_its_way(const struct server *s, const struct http_exchange *http)
{
    struct model_wait *w = s->waits.on_its_way;
    bool is_same =
        w && w->http == http && w->received_ns == http_exchange_request(http)->received_ns;
    return is_same ? w : NULL;
}

/* A version that was kept may serve as soon as that is wanted. */
static void settle_if_there(const struct model_missing *m)
{
    if (!m->version[0] && model_set_serving(m->set)) {
        const struct model_wait_outcome now = {.set = m->set};
        model_wait_settle(&now);
    }
}

/* The one whose dispatch runs, or a new one. NULL: no memory. */
static struct model_wait *get(struct server *s, struct http_exchange *http)
{
    struct model_wait *w = on_its_way(s, http);
    if (w) {
        s->waits.on_its_way = NULL;
        return w;
    }
    w = mem_zalloc(sizeof(*w));
    if (w) {
        w->http = http;
        w->received_ns = http_exchange_request(http)->received_ns;
        w->since_ns = clock_now_ns();
    }
    return w;
}

static void park(struct server *s, struct http_exchange *http,
                 const struct model_missing *missing, int64_t deadline_ms)
{
    struct err e = {0};
    if (model_wait_count(s, missing->set) >= most(s)) {
        err_set_param(&e, ERR_BUSY, "model",
                      "too many requests wait for the model \"%.100s\" to be loaded",
                      model_set_name(missing->set));
        e.retry_after_s = AGAIN_AFTER_S;
        respond_err(http, &e);
        return;
    }
    struct model_wait *w = get(s, http);
    if (!w) {
        err_nomem(&e);
        respond_err(http, &e);
        return;
    }
    w->missing = *missing;
    w->deadline_ns = deadline_ms > 0 ? w->since_ns + (uint64_t)deadline_ms * 1000000 : 0;
    append(s, w);
    /* Those that come must not put off those that wait. */
    if (w->deadline_ns != 0 && !uv_is_active((uv_handle_t *)&s->waits.timer)) {
        uv_timer_start(&s->waits.timer, on_deadlines, DEADLINE_TICK_MS, DEADLINE_TICK_MS);
    }
    if (model_set_want(missing->set, missing->version, &e) != 0) {
        request_watch_log_error(http, "%s", e.message);
        take_out(s, w);
        refuse_failed(w, &e);
    } else {
        settle_if_there(missing);
    }
}

void model_wait_or_refuse(struct server *s, struct http_exchange *http,
                          const struct model_missing *missing, int64_t deadline_ms,
                          const struct err *e)
{
    if (missing->set && e->kind == ERR_NOT_LOADED) {
        park(s, http, missing, deadline_ms);
    } else {
        respond_err(http, e);
    }
}

bool model_wait_for_default(struct server *s, struct http_exchange *http)
{
    if (s->generation) {
        return false;
    }
    const struct model_missing missing = {.set = s->models};
    park(s, http, &missing, 0);
    return true;
}

uint64_t model_wait_since(const struct server *s, const struct http_exchange *http)
{
    const struct model_wait *w = on_its_way(s, http);
    return w ? w->since_ns : 0;
}

bool model_wait_abort(struct server *s, struct http_exchange *http)
{
    for (struct model_wait *w = s->waits.first; w; w = w->next) {
        if (w->http == http) {
            take_out(s, w);
            mem_free(w);
            return true;
        }
    }
    return false;
}

/* --- when something was loaded --- */

enum fate { WAITS_ON, GOES, FAILS };

static enum fate fate_of(const struct model_wait *w, const struct model_wait_outcome *outcome)
{
    struct model_version_info info;
    const struct model_set *set = outcome->set;
    const char *version = w->missing.version;
    if (!version[0]) {
        bool is_over = outcome->failed[0] && outcome->was_to_serve && !model_set_is_coming(set);
        return model_set_serving(set) ? GOES : is_over ? FAILS : WAITS_ON;
    }
    if (!model_set_find(set, version, &info)) {
        return GOES; /* it is gone, and the request is told so */
    }
    return info.generation ? GOES : strcmp(version, outcome->failed) == 0 ? FAILS : WAITS_ON;
}

/* It may come back, to wait for something else; then it is not ours any more, and may be gone.
 * What comes back may send others on their way. */
static void dispatch(struct server *s, struct model_wait *w)
{
    struct model_wait *outer = s->waits.on_its_way;
    s->waits.on_its_way = w;
    router_dispatch(s, w->http);
    if (s->waits.on_its_way == w) {
        mem_free(w);
    }
    s->waits.on_its_way = outer;
}

/* Moves all of one fate into a list of their own: what is done with them may change the
 * server's. */
static struct model_wait *take_all(struct server *s, const struct model_wait_outcome *outcome,
                                   enum fate fate)
{
    struct model_wait *taken = NULL, **end = &taken;
    struct model_wait *next;
    for (struct model_wait *w = s->waits.first; w; w = next) {
        next = w->next;
        if (w->missing.set == outcome->set && fate_of(w, outcome) == fate) {
            take_out(s, w);
            w->next = NULL;
            *end = w;
            end = &w->next;
        }
    }
    return taken;
}

static struct model_wait *find_first(struct server *s, const struct model_set *set)
{
    struct model_wait *w = s->waits.first;
    while (w && w->missing.set != set) {
        w = w->next;
    }
    return w;
}

static void begin_next(struct server *s, struct model_set *set)
{
    struct err e = {0};
    struct model_wait *w;
    while ((w = find_first(s, set)) != NULL &&
           model_set_want(set, w->missing.version, &e) != 0) {
        take_out(s, w);
        refuse_failed(w, &e);
        e = (struct err){0};
    }
    if (w) {
        const struct model_missing missing = w->missing;
        settle_if_there(&missing);
    }
}

void model_wait_settle(const struct model_wait_outcome *outcome)
{
    struct server *s = outcome->set->server;
    struct model_wait *failed = take_all(s, outcome, FAILS);
    struct model_wait *ready = take_all(s, outcome, GOES);
    struct model_wait *next;
    for (struct model_wait *w = failed; w; w = next) {
        next = w->next;
        refuse_failed(w, &outcome->why);
    }
    for (struct model_wait *w = ready; w; w = next) {
        next = w->next;
        dispatch(s, w);
    }
    begin_next(s, outcome->set);
}

/* --- life --- */

void model_waits_init(struct server *s)
{
    s->waits.timer.data = s;
    uv_timer_init(&s->loop, &s->waits.timer);
}

void model_waits_close(struct server *s)
{
    uv_close((uv_handle_t *)&s->waits.timer, NULL);
}
