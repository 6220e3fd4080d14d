#include "runtime/serve/model_admin_canary.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/model_canary.h"
#include "runtime/serve/model_label.h"
#include "runtime/serve/model_state.h"
#include "runtime/serve/respond.h"

bool model_admin_canary_has(enum route_id route)
{
    return route == ROUTE_ADMIN_MODEL_CANARY || route == ROUTE_ADMIN_MODEL_CANARY_SET;
}

/* An order that waits for its version. */
struct order {
    struct model_hold hold; /* first */
    struct model_set *set;
    struct canary_plan plan;
    char by[CANARY_BY_MAX + 1];
};

static void report(const struct model_set *set, struct http_exchange *ex)
{
    struct err e = {0};
    size_t len = 0;
    char *text = model_canary_report(model_set_canary(set), &len, &e);
    if (text) {
        respond_json(ex, 200, text, len, NULL, 0);
    } else {
        respond_err(ex, &e);
    }
}

static void on_stored(void *ctx, struct http_exchange *ex, const struct err *e)
{
    if (e) {
        model_state_refuse(ex, e, true);
    } else if (ex) {
        report(ctx, ex);
    }
}

/* What is in force, once it is on disk. */
static void answer_stored(struct model_set *set, struct http_exchange *ex)
{
    model_state_wait(model_set_journal(set), ex, on_stored, set);
}

/* {"action": "promote"} or "rollback", and nothing else. */
static int end(struct model_set *set, const cJSON *body, const char *by, struct err *e)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, "action");
    const char *action = cJSON_IsString(item) ? item->valuestring : "";
    bool is_promoted = strcmp(action, "promote") == 0;
    if (!is_promoted && strcmp(action, "rollback") != 0) {
        return err_set_param(e, ERR_INVALID, "action",
                             "\"action\" must be \"promote\" or \"rollback\"");
    }
    if (cJSON_GetArraySize(body) != 1) {
        return err_set_param(e, ERR_INVALID, "action",
                             "\"action\" stands alone; a canary begins with \"version\"");
    }
    return model_canary_end(model_set_canary(set), is_promoted, by, e);
}

/* What the body does not say is as the version's own model.json has it. */
static int read_plan(const struct model_set *set, const cJSON *body, const char *version,
                     struct canary_plan *plan, struct err *e)
{
    struct model_version_info info;
    const char *name = model_label_resolve(set, version);
    bool has_own =
        name && model_set_find(set, name, &info) && info.manifest && info.manifest->has_canary;
    *plan = has_own ? info.manifest->canary : canary_plan_default();
    return canary_plan_read(plan, body, "", "version", e);
}

static void refuse(struct http_exchange *ex, const char *code, const char *message)
{
    struct api_error error = api_error_make(409, "conflict", code, "version", message);
    respond_error(ex, &error);
}

static void answer_failure(struct http_exchange *ex, const struct err *e)
{
    if (e->kind == ERR_CONFLICT) {
        refuse(ex, "canary_conflict", e->message);
    } else {
        respond_err(ex, e);
    }
}

/* ex: NULL when the client did not wait. */
static void begin_loaded(struct model_hold *hold, struct http_exchange *ex,
                         struct generation *g)
{
    struct order *o = (struct order *)hold;
    struct err e = {0};
    if (g && model_canary_begin(model_set_canary(o->set), g, &o->plan, o->by, &e) != 0) {
        log_error("model %s: no canary: %s", g->id, e.message);
        if (ex) {
            answer_failure(ex, &e);
        }
    } else if (g && ex) {
        answer_stored(o->set, ex);
    }
    mem_free(o);
}

/* 0: `ex` is or will be answered. */
static int begin(struct model_set *set, struct http_exchange *ex, const cJSON *body,
                 const char *by, struct err *e)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, "version");
    if (!cJSON_IsString(item) || item->valuestring[0] == '\0' ||
        strlen(item->valuestring) > MODEL_REPO_NAME_MAX) {
        return err_set_param(e, ERR_INVALID, "version",
                             "\"version\" must be the name of a version, or a label; a canary "
                             "that runs is ended with \"action\"");
    }
    struct order *o = mem_zalloc(sizeof(*o));
    if (!o) {
        return err_nomem(e);
    }
    *o = (struct order){.hold = {begin_loaded}, .set = set};
    snprintf(o->by, sizeof(o->by), "%.*s", CANARY_BY_MAX, by);
    if (read_plan(set, body, item->valuestring, &o->plan, e) != 0) {
        mem_free(o);
        return -1;
    }
    if (model_canary_is_running(model_set_canary(set))) {
        mem_free(o);
        refuse(ex, "canary_conflict", "a canary runs; \"action\" ends it");
        return 0;
    }
    model_set_hold(set, ex, item->valuestring, &o->hold);
    return 0;
}

static void change(struct model_set *set, struct http_exchange *ex)
{
    const struct http_request *r = http_exchange_request(ex);
    char by[VERSION_ACTOR_MAX + 1];
    struct err e = {0};
    model_state_actor(ex, by);
    cJSON *body = json_parse(r->body, r->body_len, &e);
    bool is_end = cJSON_GetObjectItemCaseSensitive(body, "action") != NULL;
    int rc = body ? 0 : -1;
    if (body && !cJSON_IsObject(body)) {
        rc = err_set(&e, ERR_INVALID, "the body must be a JSON object");
    } else if (is_end) {
        rc = end(set, body, by, &e);
    } else if (body) {
        rc = begin(set, ex, body, by, &e);
    }
    cJSON_Delete(body);
    if (rc != 0) {
        answer_failure(ex, &e);
    } else if (is_end) {
        answer_stored(set, ex);
    }
}

void model_admin_canary_answer(struct model_set *set, struct http_exchange *ex,
                               enum route_id route)
{
    if (route == ROUTE_ADMIN_MODEL_CANARY) {
        report(set, ex);
    } else {
        change(set, ex);
    }
}
