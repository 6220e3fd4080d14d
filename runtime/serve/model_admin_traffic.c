#include "runtime/serve/model_admin_traffic.h"

#include <stdio.h>

#include "runtime/api/traffic_request.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/model_label.h"
#include "runtime/serve/respond.h"

#define ACTOR_MAX 64

bool model_admin_traffic_has(enum route_id route)
{
    return route == ROUTE_ADMIN_MODEL_SPLIT || route == ROUTE_ADMIN_MODEL_LABELS ||
           route == ROUTE_ADMIN_MODEL_SHADOW || route == ROUTE_ADMIN_MODEL_SHADOW_REPORT;
}

static const char *actor_of(const struct http_exchange *ex)
{
    const char *actor = http_request_header(http_exchange_request(ex), "weir-actor");
    return actor ? actor : "admin";
}

/* Where every change that an admin has made is told of, once it is in force. */
static void changed(const struct model_set *set, const char *who, const char *what,
                    const char *version, int percent)
{
    if (percent > 0) {
        log_info("%.64s: model %s: %s of version %s: %d %%", who, model_set_name(set), what,
                 version, percent);
    } else {
        log_info("%.64s: model %s: no %s", who, model_set_name(set), what);
    }
}

static void answer_traffic(struct model_set *set, struct http_exchange *ex)
{
    if (ex) {
        struct traffic_view v = model_traffic_view(model_set_traffic(set));
        size_t len = 0;
        char *text = traffic_text(&v, &len);
        respond_json(ex, 200, text, len, NULL, 0);
    }
}

static void answer_failure(struct http_exchange *ex, const struct err *e)
{
    if (ex && e->kind == ERR_CONFLICT) {
        struct api_error error =
            api_error_make(409, "conflict", "version_in_use", e->param, e->message);
        respond_error(ex, &error);
    } else if (ex) {
        respond_err(ex, e);
    }
}

/* --- split and shadow --- */

/* An order that waits for its version. */
struct order {
    struct model_hold hold; /* first */
    struct model_set *set;
    enum route_id route;
    int percent;
    char actor[ACTOR_MAX + 1];
};

/* version may be NULL if percent is 0. */
static int put_in_force(struct model_set *set, enum route_id route, const char *version,
                        int percent, struct err *e)
{
    struct model_traffic *t = model_set_traffic(set);
    return route == ROUTE_ADMIN_MODEL_SPLIT ? model_traffic_split(t, version, percent, e)
                                            : model_traffic_shadow(t, version, percent, e);
}

static void carry_out(struct model_set *set, struct http_exchange *ex, enum route_id route,
                      const char *version, int percent, const char *actor)
{
    struct err e = {0};
    if (put_in_force(set, route, version, percent, &e) != 0) {
        answer_failure(ex, &e);
        return;
    }
    changed(set, actor, route == ROUTE_ADMIN_MODEL_SPLIT ? "split" : "shadow", version,
            percent);
    answer_traffic(set, ex);
}

static void on_loaded(struct model_hold *hold, struct http_exchange *ex, struct generation *g)
{
    struct order *o = (struct order *)hold;
    if (g) {
        carry_out(o->set, ex, o->route, g->model->version, o->percent, o->actor);
    }
    mem_free(o);
}

static void share(struct model_set *set, struct http_exchange *ex, enum route_id route)
{
    const struct http_request *http = http_exchange_request(ex);
    struct share_request r;
    struct err e = {0};
    int most = route == ROUTE_ADMIN_MODEL_SPLIT ? 99 : 100;
    if (share_request_parse(&r, http->body, http->body_len, most, &e) != 0) {
        respond_err(ex, &e);
        return;
    }
    if (r.percent == 0) {
        carry_out(set, ex, route, NULL, 0, actor_of(ex));
        return;
    }
    const char *version = model_label_resolve(set, r.version);
    struct generation *g = version ? model_set_loaded(set, version) : NULL;
    /* A shadow's own generation goes on as it is; else one is wanted that can serve. */
    if (g && route == ROUTE_ADMIN_MODEL_SHADOW) {
        carry_out(set, ex, route, version, r.percent, actor_of(ex));
        return;
    }
    struct order *o = mem_zalloc(sizeof(*o));
    if (!o) {
        err_nomem(&e);
        respond_err(ex, &e);
        return;
    }
    *o = (struct order){
        .hold.done = on_loaded, .set = set, .route = route, .percent = r.percent};
    snprintf(o->actor, sizeof(o->actor), "%s", actor_of(ex));
    model_set_hold(set, ex, r.version, &o->hold);
}

static void report(struct model_set *set, struct http_exchange *ex)
{
    const struct model_traffic *t = model_set_traffic(set);
    struct traffic_view v = model_traffic_view(t);
    size_t len = 0;
    char *text = shadow_report_text(&v, model_traffic_report(t), &len);
    respond_json(ex, 200, text, len, NULL, 0);
}

/* --- labels --- */

static void move_label(struct model_set *set, struct http_exchange *ex)
{
    const struct http_request *http = http_exchange_request(ex);
    struct model_version_info ignored;
    struct label_request r;
    struct err e = {0};
    if (label_request_parse(&r, http->body, http->body_len, &e) != 0) {
        respond_err(ex, &e);
        return;
    }
    const char *version = r.version[0] ? r.version : NULL;
    if (version && !model_set_find(set, version, &ignored)) {
        model_set_answer_unknown(set, ex, version);
        return;
    }
    if (model_traffic_label(model_set_traffic(set), r.label, version, &e) != 0) {
        answer_failure(ex, &e);
        return;
    }
    log_info("%.64s: model %s: label %s: %s", actor_of(ex), model_set_name(set), r.label,
             version ? version : "not moved any more");
    answer_traffic(set, ex);
}

void model_admin_traffic_answer(struct model_set *set, struct http_exchange *ex,
                                enum route_id route)
{
    if (route == ROUTE_ADMIN_MODEL_LABELS) {
        move_label(set, ex);
    } else if (route == ROUTE_ADMIN_MODEL_SHADOW_REPORT) {
        report(set, ex);
    } else {
        share(set, ex, route);
    }
}
