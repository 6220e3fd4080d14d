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
static void changed(const struct model_set *set, const char *who, const char *action,
                    const char *before, const char *after)
{
    log_info("%.64s: model %s: %s: %s, was %s", who, model_set_name(set), action, after,
             before);
}

#define SHARE_TEXT_MAX (VERSION_NAME_MAX + 32)

static void describe(struct model_set *set, enum route_id route, char out[SHARE_TEXT_MAX])
{
    struct traffic_view v = model_traffic_view(model_set_traffic(set));
    bool is_split = route == ROUTE_ADMIN_MODEL_SPLIT;
    const char *version = is_split ? v.split : v.shadow;
    if (!version) {
        snprintf(out, SHARE_TEXT_MAX, "none");
    } else if (is_split) {
        snprintf(out, SHARE_TEXT_MAX, "%.64s %d%% by %s", version, v.split_percent, v.split_by);
    } else {
        snprintf(out, SHARE_TEXT_MAX, "%.64s %d%%", version, v.shadow_percent);
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

/* What is to be put in force, maybe once its version is loaded. */
struct order {
    struct model_hold hold; /* first */
    struct model_set *set;
    enum route_id route;
    struct share_request share;
    char actor[ACTOR_MAX + 1];
};

/* version may be NULL if the percentage is 0. */
static int put_in_force(const struct order *o, const char *version, struct err *e)
{
    struct model_traffic *t = model_set_traffic(o->set);
    if (o->route == ROUTE_ADMIN_MODEL_SHADOW) {
        return model_traffic_shadow(t, version, o->share.percent, e);
    }
    if (model_traffic_split(t, version, o->share.percent, e) != 0) {
        return -1;
    }
    model_traffic_split_by(t, o->share.is_by_conversation);
    return 0;
}

static void carry_out(const struct order *o, struct http_exchange *ex, const char *version)
{
    struct err e = {0};
    char before[SHARE_TEXT_MAX], after[SHARE_TEXT_MAX];
    describe(o->set, o->route, before);
    if (put_in_force(o, version, &e) != 0) {
        answer_failure(ex, &e);
        return;
    }
    describe(o->set, o->route, after);
    changed(o->set, o->actor, o->route == ROUTE_ADMIN_MODEL_SPLIT ? "split" : "shadow", before,
            after);
    answer_traffic(o->set, ex);
}

static void on_loaded(struct model_hold *hold, struct http_exchange *ex, struct generation *g)
{
    struct order *o = (struct order *)hold;
    if (g) {
        carry_out(o, ex, g->model->version);
    }
    mem_free(o);
}

/* The shadow's own generation, which has stepped aside, is good for no other use, but as good
 * as before for this one. */
static bool is_in_force(const struct order *o, const char *version)
{
    const struct generation *g = version ? model_set_loaded(o->set, version) : NULL;
    return o->route == ROUTE_ADMIN_MODEL_SHADOW && g &&
           g == model_set_traffic(o->set)->shadow.generation && model_set_is_current(o->set, g);
}

static int read_order(struct order *o, const struct http_exchange *ex, struct err *e)
{
    const struct http_request *http = http_exchange_request(ex);
    snprintf(o->actor, sizeof(o->actor), "%s", actor_of(ex));
    return o->route == ROUTE_ADMIN_MODEL_SPLIT
               ? split_request_parse(&o->share, http->body, http->body_len, e)
               : shadow_request_parse(&o->share, http->body, http->body_len, e);
}

static void share(struct model_set *set, struct http_exchange *ex, enum route_id route)
{
    struct order order = {.hold.done = on_loaded, .set = set, .route = route};
    struct err e = {0};
    if (read_order(&order, ex, &e) != 0) {
        respond_err(ex, &e);
        return;
    }
    const char *version = model_label_resolve(set, order.share.version);
    if (order.share.percent == 0 || is_in_force(&order, version)) {
        carry_out(&order, ex, version);
        return;
    }
    struct order *waiting = mem_zalloc(sizeof(*waiting));
    if (!waiting) {
        err_nomem(&e);
        respond_err(ex, &e);
        return;
    }
    *waiting = order;
    model_set_hold(set, ex, order.share.version, &waiting->hold);
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
    char before[VERSION_NAME_MAX + 1];
    const char *moved = model_labels_find(model_set_moved_labels(set), r.label);
    snprintf(before, sizeof(before), "%s", moved ? moved : "not moved");
    if (model_traffic_label(model_set_traffic(set), r.label, version, &e) != 0) {
        answer_failure(ex, &e);
        return;
    }
    char action[VERSION_NAME_MAX + 16];
    snprintf(action, sizeof(action), "label %s", r.label);
    changed(set, actor_of(ex), action, before, version ? version : "not moved");
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
