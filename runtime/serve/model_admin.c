#include "runtime/serve/model_admin.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/admin_reply.h"
#include "runtime/api/admin_request.h"
#include "runtime/api/model_reply.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/memory_left.h"
#include "runtime/serve/model_admin_canary.h"
#include "runtime/serve/model_admin_traffic.h"
#include "runtime/serve/model_label.h"
#include "runtime/serve/model_pick.h"
#include "runtime/serve/reload.h"
#include "runtime/serve/respond.h"

/* --- what is described --- */

/* How a client asks for it: by the name what serves, by name and version what is loaded beside
 * it. set: NULL without a repository. */
static void describe(const struct model_set *set, const struct generation *g,
                     struct admin_model *out)
{
    bool is_serving = !set || g == model_set_serving(set);
    generation_describe(g, out);
    out->state = model_state_name(set ? model_set_state_of(set, g) : MODEL_SERVING);
    if (set && g == model_set_loaded(set, g->model->version)) {
        model_label_list(set, g->model->version, &out->labels);
    }
    out->asked_as = is_serving ? out->name : out->id;
}

static void describe_serving(const struct model_set *set, struct admin_model *out)
{
    const struct generation *g = model_set_serving(set);
    if (g) {
        describe(set, g, out);
        return;
    }
    *out = (struct admin_model){.name = model_set_name(set),
                                .state = model_state_name(model_set_state(set))};
}

/* The i-th model, the default before the others. */
static struct model_set *set_at(const struct model_catalog *c, size_t i)
{
    size_t at = 0;
    while (c->sets[at] != c->main) {
        at++;
    }
    return i == 0 ? c->main : c->sets[i <= at ? i - 1 : i];
}

/* --- what clients see --- */

#define ID_MAX (2 * MODEL_REPO_NAME_MAX + 2)

/* Models as clients may ask for them. */
struct shown_models {
    const struct server *server;
    const struct http_request *http; /* whose key it is */
    struct admin_model *items;       /* (n) */
    char (*ids)[ID_MAX];             /* of those that are not loaded */
    size_t n;
};

static void add_unloaded(struct shown_models *m, const struct model_set *set,
                         const struct model_version_info *v)
{
    char *id = m->ids[m->n];
    if (!model_pick_may_get(m->server, m->http, model_set_name(set), v->name)) {
        return;
    }
    snprintf(id, ID_MAX, "%s@%s", model_set_name(set), v->name);
    m->items[m->n++] = (struct admin_model){.id = id,
                                            .name = id,
                                            .state = model_state_name(v->state),
                                            .sha256 = v->sha256,
                                            .manifest = v->manifest};
    model_label_list(set, v->name, &m->items[m->n - 1].labels);
}

/* A served adapter as a model of its own, of g's numbers. */
static void describe_adapter(const struct generation *g, const struct served_adapter *a,
                             struct admin_model *out)
{
    generation_describe(g, out);
    out->id = a->id;
    out->name = out->asked_as = a->name;
    out->parent = g->model->name;
    out->sha256 = a->adapter->sha256;
    out->file_bytes = a->adapter->file_bytes;
    out->memory_bytes = a->adapter->block_bytes;
    out->manifest = NULL;
}

static void add_adapters(struct shown_models *m, const struct generation *g)
{
    for (size_t i = 0; g && i < g->adapters.count; i++) {
        const struct served_adapter *a = &g->adapters.items[i];
        if (model_pick_may_get(m->server, m->http, a->name, g->model->version)) {
            describe_adapter(g, a, &m->items[m->n++]);
        }
    }
}

static void add_loaded(struct shown_models *m, const struct model_set *set,
                       const struct generation *g)
{
    if (model_pick_may_get(m->server, m->http, g->model->name, g->model->version)) {
        describe(set, g, &m->items[m->n++]);
    }
}

static void add_serving(struct shown_models *m, const struct model_set *set)
{
    const struct generation *g = model_set_serving(set);
    if (model_pick_may_get(m->server, m->http, model_set_name(set),
                           g ? g->model->version : NULL)) {
        describe_serving(set, &m->items[m->n++]);
    }
}

/* What is loaded; all: and what would be if somebody asked for it. */
static void add_set(struct shown_models *m, const struct model_set *set, bool all)
{
    if (model_set_serving(set) || all) {
        add_serving(m, set);
    }
    for (size_t i = 0; i < model_set_count(set); i++) {
        struct model_version_info v = model_set_at(set, i);
        if (v.generation && v.generation != model_set_serving(set)) {
            add_loaded(m, set, v.generation);
        } else if (!v.generation && all && v.state != MODEL_FAILED) {
            add_unloaded(m, set, &v);
        }
    }
}

static int find_shown(const struct server *s, struct http_exchange *ex, struct shown_models *m)
{
    size_t most = 1 + SERVED_ADAPTERS_MAX;
    for (size_t i = 0; s->catalog && i < s->catalog->n_sets; i++) {
        most += 1 + SERVED_ADAPTERS_MAX + model_set_count(s->catalog->sets[i]);
    }
    *m = (struct shown_models){.server = s,
                               .http = http_exchange_request(ex),
                               .items = mem_zarray(most, sizeof(*m->items)),
                               .ids = mem_zarray(most, sizeof(*m->ids))};
    if (!m->items || !m->ids) {
        return -1;
    }
    if (!s->catalog) {
        add_loaded(m, NULL, s->generation);
        add_adapters(m, s->generation);
    }
    for (size_t i = 0; s->catalog && i < s->catalog->n_sets; i++) {
        add_set(m, set_at(s->catalog, i), s->set.load_on_demand);
        add_adapters(m, model_set_serving(set_at(s->catalog, i)));
    }
    return 0;
}

static void shown_models_deinit(struct shown_models *m)
{
    mem_free(m->items);
    mem_free(m->ids);
}

void model_admin_list_served(struct server *s, struct http_exchange *ex)
{
    struct shown_models m;
    size_t len = 0;
    char *text = find_shown(s, ex, &m) == 0 ? models_list_text(m.items, m.n, &len) : NULL;
    shown_models_deinit(&m);
    respond_json(ex, 200, text, len, NULL, 0);
}

/* One that is not loaded, as the list has it. */
static bool get_unloaded(const struct server *s, struct http_exchange *ex, const char *id)
{
    struct shown_models m;
    bool is_found = false;
    if (find_shown(s, ex, &m) == 0) {
        for (size_t i = 0; i < m.n && !is_found; i++) {
            is_found = strcmp(m.items[i].name, id) == 0;
            if (is_found) {
                size_t len = 0;
                char *text = models_one_text(&m.items[i], &len);
                respond_json(ex, 200, text, len, NULL, 0);
            }
        }
    }
    shown_models_deinit(&m);
    return is_found;
}

void model_admin_get_served(struct server *s, struct http_exchange *ex)
{
    struct err e = {0};
    const char *id = http_exchange_request(ex)->path + strlen("/v1/models/");
    const struct served_adapter *adapter = NULL;
    const struct model_ask ask = {
        .http = http_exchange_request(ex), .model = id, .adapter = &adapter};
    const struct generation *g = model_pick(s, &ask, &e);
    if (g) {
        struct admin_model shown;
        if (adapter) {
            describe_adapter(g, adapter, &shown);
        } else {
            describe(s->catalog ? model_catalog_find(s->catalog, id, strcspn(id, "@")) : NULL,
                     g, &shown);
        }
        size_t len = 0;
        char *text = models_one_text(&shown, &len);
        respond_json(ex, 200, text, len, NULL, 0);
    } else if (e.kind != ERR_NOT_LOADED || !get_unloaded(s, ex, id)) {
        respond_err(ex, &e);
    }
}

void model_admin_get_card(struct server *s, struct http_exchange *ex)
{
    /* Whoever reads it in a browser sees text: cards come from wherever models come from. */
    static const struct http_header headers[] = {
        {"Content-Type", "text/markdown; charset=utf-8"},
        {"Cache-Control", "no-cache"},
        {"Content-Security-Policy", "default-src 'none'"},
        {"X-Content-Type-Options", "nosniff"},
    };
    struct err e = {0};
    char id[2 * MODEL_NAME_MAX];
    const char *path = http_exchange_request(ex)->path + strlen("/v1/models/");
    snprintf(id, sizeof(id), "%.*s", (int)strcspn(path, "/"), path);
    const struct model_ask ask = {.http = http_exchange_request(ex), .model = id};
    const struct generation *g = model_pick(s, &ask, &e);
    if (g && !g->card) {
        err_set_param(&e, ERR_NOT_FOUND, "model",
                      "the version %s has no card: \"card\" in its model.json names none",
                      g->id);
    }
    if (g && g->card) {
        http_respond(ex, 200, headers, sizeof(headers) / sizeof(headers[0]), g->card,
                     g->card_len);
    } else {
        respond_err(ex, &e);
    }
}

/* --- what admins see --- */

/* `loaded` is where to describe its generation. */
static struct model_version_view view(const struct model_set *set,
                                      const struct model_version_info *info,
                                      struct admin_model *loaded)
{
    if (info->generation) {
        describe(set, info->generation, loaded);
    }
    struct model_version_view out = {.name = info->name,
                                     .state = model_state_name(info->state),
                                     .problem = info->problem,
                                     .report = info->report,
                                     .sha256 = info->sha256,
                                     .loaded = info->generation ? loaded : NULL,
                                     .manifest = info->manifest};
    model_label_list(set, info->name, &out.labels);
    return out;
}

/* All that an answer points to. */
struct inventory {
    struct model_view *models;           /* (n) */
    struct model_version_view *versions; /* of all models */
    struct admin_model *loaded;          /* of each of these, then what serves of each model */
    struct traffic_view *traffic;        /* (n) */
    size_t n, n_versions;
};

static int inventory_init(struct inventory *v, const struct model_catalog *c)
{
    *v = (struct inventory){.n = c->n_sets};
    for (size_t i = 0; i < c->n_sets; i++) {
        v->n_versions += model_set_count(c->sets[i]);
    }
    v->models = mem_zarray(v->n, sizeof(*v->models));
    v->versions = mem_zarray(v->n_versions + 1, sizeof(*v->versions));
    v->loaded = mem_zarray(v->n_versions + v->n, sizeof(*v->loaded));
    v->traffic = mem_zarray(v->n, sizeof(*v->traffic));
    return v->models && v->versions && v->loaded && v->traffic ? 0 : -1;
}

static void inventory_deinit(struct inventory *v)
{
    mem_free(v->models);
    mem_free(v->versions);
    mem_free(v->loaded);
    mem_free(v->traffic);
}

static void inventory_fill(struct inventory *v, const struct server *s)
{
    size_t at = 0;
    for (size_t i = 0; i < v->n; i++) {
        struct model_set *set = set_at(s->catalog, i);
        struct admin_model *serving = &v->loaded[v->n_versions + i];
        size_t n = model_set_count(set);
        describe_serving(set, serving);
        v->traffic[i] = model_traffic_view(model_set_traffic(set));
        v->models[i] = (struct model_view){.name = model_set_name(set),
                                           .is_default = model_set_is_default(set),
                                           .state = serving->state,
                                           .problem = model_set_problem(set),
                                           .serving = serving,
                                           .traffic = &v->traffic[i],
                                           .versions = &v->versions[at],
                                           .n_versions = n,
                                           .memory_bytes = model_set_memory(set),
                                           .waiting = model_wait_count(s, set)};
        for (size_t k = 0; k < n; k++, at++) {
            struct model_version_info info = model_set_at(set, k);
            v->versions[at] = view(set, &info, &v->loaded[at]);
        }
    }
}

static char *models_text(const struct server *s, size_t *len)
{
    struct inventory v;
    char *text = NULL;
    if (inventory_init(&v, s->catalog) == 0) {
        inventory_fill(&v, s);
        const struct models_view all = {.models = v.models,
                                        .n = v.n,
                                        .memory_bytes = s->catalog->used,
                                        .memory_limit = s->set.models_memory,
                                        .memory_left = memory_left()};
        text = models_admin_text(&all, len);
    }
    inventory_deinit(&v);
    return text;
}

static void list(struct server *s, struct http_exchange *ex)
{
    size_t len = 0;
    char *text;
    if (s->catalog) {
        text = models_text(s, &len);
    } else {
        struct admin_model shown;
        describe(NULL, s->generation, &shown);
        text = admin_model_text(&shown, &len);
    }
    respond_json(ex, 200, text, len, NULL, 0);
}

static void refuse(struct http_exchange *ex, const char *code, const char *message)
{
    struct api_error error = api_error_make(404, "invalid_request_error", code, NULL, message);
    respond_error(ex, &error);
}

/* asked: a version or a label. */
static void show(const struct model_set *set, struct http_exchange *ex, const char *asked)
{
    struct model_version_info info;
    struct admin_model loaded;
    const char *version = model_label_resolve(set, asked);
    if (!version || !model_set_find(set, version, &info)) {
        model_set_answer_unknown(set, ex, asked);
        return;
    }
    struct model_version_view v = view(set, &info, &loaded);
    size_t len = 0;
    char *text = model_version_text(model_set_name(set), &v, &len);
    respond_json(ex, 200, text, len, NULL, 0);
}

/* --- what they change --- */

static void reload(struct server *s, struct http_exchange *ex)
{
    const struct http_request *r = http_exchange_request(ex);
    struct err e = {0};
    bool force = false;
    if (admin_reload_request(r->body, r->body_len, &force, &e) != 0) {
        respond_err(ex, &e);
    } else if (s->models) {
        model_set_reload(s->models, ex, force);
    } else {
        reload_begin(s, ex, force);
    }
}

static const char *actor_of(struct http_exchange *ex)
{
    const char *actor = http_request_header(http_exchange_request(ex), "weir-actor");
    return actor ? actor : "admin";
}

static void activate(struct model_set *set, struct http_exchange *ex)
{
    const struct http_request *r = http_exchange_request(ex);
    struct err e = {0};
    char version[MODEL_REPO_NAME_MAX + 1];
    if (admin_activate_request(r->body, r->body_len, version, sizeof(version), &e) != 0) {
        respond_err(ex, &e);
        return;
    }
    log_info("%.64s activates model %s@%s", actor_of(ex), model_set_name(set), version);
    model_set_activate(set, ex, version);
}

/* Loads a version, or takes one out of use. */
static void load_or_unload(struct model_set *set, struct http_exchange *ex, bool is_load)
{
    const struct http_request *r = http_exchange_request(ex);
    struct err e = {0};
    char version[MODEL_REPO_NAME_MAX + 1];
    if (admin_version_request(r->body, r->body_len, version, sizeof(version), &e) != 0) {
        respond_err(ex, &e);
        return;
    }
    log_info("%.64s %s model %s%s%s", actor_of(ex), is_load ? "loads" : "unloads",
             model_set_name(set), version[0] ? "@" : "", version);
    if (is_load) {
        model_set_load(set, ex, version);
    } else if (model_set_unload(set, ex, version)) {
        size_t len = 0;
        char *text = model_unloaded_text(model_set_name(set), version, &len);
        respond_json(ex, 200, text, len, NULL, 0);
    }
}

static void refuse_unknown(const struct model_catalog *c, struct http_exchange *ex,
                           const char *name, size_t len)
{
    char names[256] = "";
    char message[ERR_MESSAGE_MAX];
    for (size_t i = 0; i < c->n_sets; i++) {
        size_t at = strlen(names);
        snprintf(names + at, sizeof(names) - at, "%s%s", at ? ", " : "",
                 model_set_name(c->sets[i]));
    }
    snprintf(message, sizeof(message), "there is no model \"%.*s\"; there are: %s",
             (int)(len < 64 ? len : 64), name, names);
    refuse(ex, "model_not_found", message);
}

/* The model of the path, "/admin/models/NAME/...". NULL: that there is none was answered. */
static struct model_set *find_named(struct server *s, struct http_exchange *ex)
{
    const char *name = http_exchange_request(ex)->path + strlen("/admin/models/");
    size_t len = strcspn(name, "/");
    struct model_set *set = s->catalog ? model_catalog_find(s->catalog, name, len) : NULL;
    if (!s->catalog) {
        refuse(ex, "no_repository",
               "the server serves one file (--model); versions are those of a --repo");
    } else if (!set) {
        refuse_unknown(s->catalog, ex, name, len);
    }
    return set;
}

static void answer_version(struct server *s, struct http_exchange *ex, enum route_id route)
{
    struct err e = {0};
    struct model_set *set = find_named(s, ex);
    if (!set) {
        return;
    }
    bool decides = route == ROUTE_ADMIN_MODEL_ACTIVATE || route == ROUTE_ADMIN_MODEL_ROLLBACK;
    if (decides && fleet_governs(s->fleet, FLEET_MODEL, model_set_name(set), &e)) {
        struct api_error error =
            api_error_make(409, "conflict", "fleet_decides", NULL, e.message);
        respond_error(ex, &error);
    } else if (route == ROUTE_ADMIN_MODEL_VERSION) {
        show(set, ex, strrchr(http_exchange_request(ex)->path, '/') + 1);
    } else if (route == ROUTE_ADMIN_MODEL_ACTIVATE) {
        activate(set, ex);
    } else if (route == ROUTE_ADMIN_MODEL_LOAD || route == ROUTE_ADMIN_MODEL_UNLOAD) {
        load_or_unload(set, ex, route == ROUTE_ADMIN_MODEL_LOAD);
    } else if (model_admin_canary_has(route)) {
        model_admin_canary_answer(set, ex, route);
    } else if (model_admin_traffic_has(route)) {
        model_admin_traffic_answer(set, ex, route);
    } else {
        log_info("%.64s rolls model %s back", actor_of(ex), model_set_name(set));
        model_set_roll_back(set, ex);
    }
}

void model_admin_answer(struct server *s, struct http_exchange *ex, enum route_id route)
{
    if (route == ROUTE_ADMIN_MODELS) {
        list(s, ex);
    } else if (route == ROUTE_ADMIN_RELOAD) {
        reload(s, ex);
    } else {
        answer_version(s, ex, route);
    }
}

void model_admin_abort(struct server *s, struct http_exchange *ex)
{
    reload_abandon(s, ex);
    model_catalog_abandon(s->catalog, ex);
}
