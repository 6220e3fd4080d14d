#include "runtime/serve/model_admin.h"

#include <stdio.h>
#include <string.h>

#include "runtime/api/admin_reply.h"
#include "runtime/api/admin_request.h"
#include "runtime/api/model_reply.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/model_pick.h"
#include "runtime/serve/reload.h"
#include "runtime/serve/respond.h"

#define SERVED_MAX (1 + MODEL_SET_KEPT_MAX)

/* --- what clients see --- */

/* How a client asks for it: by the name what serves, by name and version what is kept. */
static void describe(const struct server *s, const struct generation *g,
                     struct admin_model *out)
{
    bool is_serving = g == s->generation;
    generation_describe(g, out);
    out->state = model_state_name(is_serving ? MODEL_SERVING : MODEL_KEPT);
    out->asked_as = is_serving ? out->name : out->id;
}

void model_admin_list_served(struct server *s, struct http_exchange *ex)
{
    struct admin_model shown[SERVED_MAX];
    const struct http_request *http = http_exchange_request(ex);
    const struct generation *g = s->generation;
    size_t n = 0;
    for (size_t i = 0; g; g = s->models ? model_set_kept(s->models, i++) : NULL) {
        if (model_pick_may_get(s, http, g)) {
            describe(s, g, &shown[n++]);
        }
    }
    size_t len = 0;
    char *text = models_list_text(shown, n, &len);
    respond_json(ex, 200, text, len, NULL, 0);
}

void model_admin_get_served(struct server *s, struct http_exchange *ex)
{
    struct err e = {0};
    const char *id = http_exchange_request(ex)->path + strlen("/v1/models/");
    const struct model_ask ask = {.http = http_exchange_request(ex), .model = id};
    const struct generation *g = model_pick(s, &ask, &e);
    if (!g) {
        respond_err(ex, &e);
        return;
    }
    struct admin_model shown;
    describe(s, g, &shown);
    size_t len = 0;
    char *text = models_one_text(&shown, &len);
    respond_json(ex, 200, text, len, NULL, 0);
}

/* --- what admins see --- */

/* `loaded` is where to describe its generation. */
static struct model_version_view
view(const struct server *s, const struct model_version_info *info, struct admin_model *loaded)
{
    if (info->generation) {
        describe(s, info->generation, loaded);
    }
    return (struct model_version_view){.name = info->name,
                                       .state = model_state_name(info->state),
                                       .problem = info->problem,
                                       .report = info->report,
                                       .loaded = info->generation ? loaded : NULL,
                                       .manifest = info->manifest};
}

static char *versions_text(const struct server *s, const struct admin_model *serving,
                           size_t *len)
{
    size_t n = model_set_count(s->models);
    struct model_version_view *views = mem_zarray(n + 1, sizeof(*views));
    struct admin_model *loaded = mem_zarray(n + 1, sizeof(*loaded));
    char *text = NULL;
    if (views && loaded) {
        for (size_t i = 0; i < n; i++) {
            struct model_version_info info = model_set_at(s->models, i);
            views[i] = view(s, &info, &loaded[i]);
        }
        text = model_versions_text(serving, views, n, len);
    }
    mem_free(views);
    mem_free(loaded);
    return text;
}

static void list(struct server *s, struct http_exchange *ex)
{
    struct admin_model shown;
    describe(s, s->generation, &shown);
    size_t len = 0;
    char *text = s->models ? versions_text(s, &shown, &len) : admin_model_text(&shown, &len);
    respond_json(ex, 200, text, len, NULL, 0);
}

static void refuse(struct http_exchange *ex, const char *code, const char *message)
{
    struct api_error error = api_error_make(404, "invalid_request_error", code, NULL, message);
    respond_error(ex, &error);
}

static void show(struct server *s, struct http_exchange *ex, const char *version)
{
    struct model_version_info info;
    struct admin_model loaded;
    if (!model_set_find(s->models, version, &info)) {
        refuse(ex, "version_not_found",
               "there is no such version; GET /admin/models lists them");
        return;
    }
    struct model_version_view v = view(s, &info, &loaded);
    size_t len = 0;
    char *text = model_version_text(model_set_name(s->models), &v, &len);
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

static void activate(struct server *s, struct http_exchange *ex)
{
    const struct http_request *r = http_exchange_request(ex);
    struct err e = {0};
    char version[MODEL_REPO_NAME_MAX + 1];
    if (admin_activate_request(r->body, r->body_len, version, sizeof(version), &e) != 0) {
        respond_err(ex, &e);
        return;
    }
    log_info("%.64s activates model version %s", actor_of(ex), version);
    model_set_activate(s->models, ex, version);
}

/* "NAME/..." of the path behind "/admin/models/", as it is asked for: is it our model? */
static bool names_model(const struct server *s, const char *rest)
{
    const char *name = model_set_name(s->models);
    size_t len = strlen(name);
    return strncmp(rest, name, len) == 0 && rest[len] == '/';
}

static void answer_version(struct server *s, struct http_exchange *ex, enum route_id route)
{
    const char *path = http_exchange_request(ex)->path;
    if (!s->models) {
        refuse(ex, "no_repository",
               "the server serves one file (--model); versions are those of a --repo");
    } else if (!names_model(s, path + strlen("/admin/models/"))) {
        refuse(ex, "model_not_found", "no model of this name is served");
    } else if (route == ROUTE_ADMIN_MODEL_VERSION) {
        show(s, ex, strrchr(path, '/') + 1);
    } else if (route == ROUTE_ADMIN_MODEL_ACTIVATE) {
        activate(s, ex);
    } else {
        log_info("%.64s rolls the model back", actor_of(ex));
        model_set_roll_back(s->models, ex);
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
    model_set_abandon(s->models, ex);
}
