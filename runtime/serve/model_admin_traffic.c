#include "runtime/serve/model_admin_traffic.h"

#include <stdio.h>

#include "runtime/api/traffic_request.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/model_label.h"
#include "runtime/serve/model_state.h"
#include "runtime/serve/respond.h"

bool model_admin_traffic_has(enum route_id route)
{
    return route == ROUTE_ADMIN_MODEL_SPLIT || route == ROUTE_ADMIN_MODEL_LABELS ||
           route == ROUTE_ADMIN_MODEL_SHADOW || route == ROUTE_ADMIN_MODEL_SHADOW_REPORT;
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

/* What is to be put in force: once its version is loaded, and it is stored. */
struct order {
    struct model_hold hold; /* first */
    struct model_set *set;
    enum route_id route;
    struct share_request share;
    char actor[VERSION_ACTOR_MAX + 1];
    char version[VERSION_NAME_MAX + 1]; /* to get the share, or whose share ends; or "" */
    struct generation *generation;      /* a reference while it is being stored, or NULL */
};

static bool is_shadow(const struct order *o)
{
    return o->route == ROUTE_ADMIN_MODEL_SHADOW;
}

static int put_in_force(const struct order *o, struct err *e)
{
    struct model_traffic *t = model_set_traffic(o->set);
    if (is_shadow(o)) {
        return model_traffic_shadow(t, o->version, o->share.percent, e);
    }
    if (model_traffic_split(t, o->version, o->share.percent, e) != 0) {
        return -1;
    }
    model_traffic_split_by(t, o->share.is_by_conversation);
    return 0;
}

static struct model_change describe(const struct order *o)
{
    return (struct model_change){.action =
                                     is_shadow(o) ? MODEL_ACTION_SHADOW : MODEL_ACTION_SPLIT,
                                 .who = o->actor,
                                 .version = o->version[0] ? o->version : NULL,
                                 .percent = o->share.percent,
                                 .is_by_conversation = o->share.is_by_conversation};
}

/* Between the check and this its version has come to serve, or the like. */
static void take_back(const struct order *o, const char *why)
{
    struct traffic_view v = model_traffic_view(model_set_traffic(o->set));
    struct model_change change = describe(o);
    if (!v.serving) {
        return; /* the server ends, and what was decided stays so */
    }
    change.version = is_shadow(o) ? v.shadow : v.split;
    change.percent = is_shadow(o) ? v.shadow_percent : v.split_percent;
    change.who = NULL;
    change.reason = why;
    model_state_changed(o->set, &change);
}

static void destroy(struct order *o)
{
    if (o->generation) {
        o->generation->n_orders--;
        generation_unref(o->generation);
        model_set_trim(o->set);
    }
    mem_free(o);
}

static void on_stored(void *ctx, struct http_exchange *ex, const struct err *e)
{
    struct order *o = ctx;
    struct err why = {0};
    if (e) {
        model_state_refuse(ex, e, false);
    } else if (put_in_force(o, &why) != 0) {
        take_back(o, why.message);
        answer_failure(ex, &why);
    } else {
        log_info("%s: model %s: %s of version %s: %d %%", o->actor, model_set_name(o->set),
                 is_shadow(o) ? "shadow" : "split", o->version, o->share.percent);
        answer_traffic(o->set, ex);
    }
    destroy(o);
}

/* Takes the order over. */
static void carry_out(struct order *o, struct http_exchange *ex, const char *version)
{
    struct err e = {0};
    snprintf(o->version, sizeof(o->version), "%s", version ? version : "");
    if (model_traffic_check(model_set_traffic(o->set), is_shadow(o), o->version,
                            o->share.percent, &e) != 0) {
        answer_failure(ex, &e);
        destroy(o);
        return;
    }
    struct generation *g = o->share.percent > 0 ? model_set_loaded(o->set, o->version) : NULL;
    if (g) { /* it stays until the share needs it */
        o->generation = generation_ref(g);
        g->n_orders++;
    }
    const struct model_change change = describe(o);
    model_state_store(model_set_journal(o->set), &change, ex, on_stored, o);
}

/* Takes the order over. */
static void end_share(struct order *o, struct http_exchange *ex)
{
    struct traffic_view v = model_traffic_view(model_set_traffic(o->set));
    const char *version = is_shadow(o) ? v.shadow : v.split;
    if (version) {
        carry_out(o, ex, version);
    } else {
        answer_traffic(o->set, ex);
        destroy(o);
    }
}

static void on_loaded(struct model_hold *hold, struct http_exchange *ex, struct generation *g)
{
    struct order *o = (struct order *)hold;
    if (g) {
        carry_out(o, ex, g->model->version);
    } else {
        destroy(o);
    }
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
    model_state_actor(ex, o->actor);
    return o->route == ROUTE_ADMIN_MODEL_SPLIT
               ? split_request_parse(&o->share, http->body, http->body_len, e)
               : shadow_request_parse(&o->share, http->body, http->body_len, e);
}

static void share(struct model_set *set, struct http_exchange *ex, enum route_id route)
{
    struct err e = {0};
    struct order *o = mem_zalloc(sizeof(*o));
    if (!o) {
        err_nomem(&e);
        respond_err(ex, &e);
        return;
    }
    o->hold.done = on_loaded;
    o->set = set;
    o->route = route;
    if (read_order(o, ex, &e) != 0) {
        respond_err(ex, &e);
        destroy(o);
        return;
    }
    const char *version = model_label_resolve(set, o->share.version);
    if (o->share.percent == 0) {
        end_share(o, ex);
    } else if (is_in_force(o, version)) {
        carry_out(o, ex, version);
    } else {
        model_set_hold(set, ex, o->share.version, &o->hold);
    }
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

/* A move that is being stored. */
struct label_move {
    struct model_set *set;
    struct label_request request;
    char actor[VERSION_ACTOR_MAX + 1];
};

static void on_label_stored(void *ctx, struct http_exchange *ex, const struct err *e)
{
    struct label_move *m = ctx;
    const char *version = m->request.version[0] ? m->request.version : NULL;
    struct err why = {0};
    if (e) {
        model_state_refuse(ex, e, false);
    } else if (model_traffic_label(model_set_traffic(m->set), m->request.label, version,
                                   &why) != 0) {
        answer_failure(ex, &why);
    } else {
        log_info("%s: model %s: label %s: %s", m->actor, model_set_name(m->set),
                 m->request.label, version ? version : "not moved any more");
        answer_traffic(m->set, ex);
    }
    mem_free(m);
}

static int check_label(const struct model_set *set, struct model_traffic *t,
                       const struct label_request *r, struct err *e)
{
    struct model_version_info ignored;
    const char *version = r->version[0] ? r->version : NULL;
    if (version && !model_set_find(set, version, &ignored)) {
        return err_set(e, ERR_NOT_FOUND, "%s", version);
    }
    return model_traffic_check_label(t, r->label, version, e);
}

static void move_label(struct model_set *set, struct http_exchange *ex)
{
    const struct http_request *http = http_exchange_request(ex);
    struct label_request r;
    struct err e = {0};
    if (label_request_parse(&r, http->body, http->body_len, &e) != 0) {
        respond_err(ex, &e);
        return;
    }
    struct model_traffic *t = model_set_traffic(set);
    if (check_label(set, t, &r, &e) != 0) {
        if (e.kind == ERR_NOT_FOUND) {
            model_set_answer_unknown(set, ex, r.version);
        } else {
            answer_failure(ex, &e);
        }
        return;
    }
    if (!r.version[0] && !model_labels_find(&t->labels, r.label)) {
        answer_traffic(set, ex); /* nothing changes */
        return;
    }
    struct label_move *m = mem_zalloc(sizeof(*m));
    if (!m) {
        err_nomem(&e);
        respond_err(ex, &e);
        return;
    }
    m->set = set;
    m->request = r;
    model_state_actor(ex, m->actor);
    const struct model_change change = {.action = r.version[0] ? MODEL_ACTION_LABEL
                                                               : MODEL_ACTION_UNLABEL,
                                        .who = m->actor,
                                        .label = m->request.label,
                                        .version = r.version[0] ? m->request.version : NULL};
    model_state_store(model_set_journal(set), &change, ex, on_label_stored, m);
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
