/* How one thing that etcd says is brought about, by the code of the admin routes. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/serve/chain_work.h"
#include "runtime/serve/fleet_parts.h"
#include "runtime/serve/model_catalog.h"
#include "runtime/serve/prompt_work.h"
#include "runtime/serve/upgrade.h"
#include "runtime/serve/version_admin.h"

#define ACTOR    "fleet"
#define RETRY_MS 5000

/* --- what is in force --- */

static struct model_set *model_of(const struct fleet_item *item)
{
    const struct model_catalog *c = item->fleet->server->catalog;
    return c ? model_catalog_find(c, item->name, strlen(item->name)) : NULL;
}

/* What serves; or, where the model was unloaded, what will when somebody asks for it. */
static bool is_model_in_force(const struct fleet_item *item)
{
    const struct model_set *set = model_of(item);
    const struct generation *g = set ? model_set_serving(set) : NULL;
    const struct fleet_change *wanted = &item->change;
    struct model_version_info info;
    if (!set) {
        return false;
    }
    if (strcmp(g ? g->model->version : model_set_unloaded(set), wanted->version) != 0) {
        return false;
    }
    const char *sha256 = g                                             ? g->model->sha256
                         : model_set_find(set, wanted->version, &info) ? info.sha256
                                                                       : NULL;
    return !wanted->sha256[0] || (sha256 && strcmp(sha256, wanted->sha256) == 0);
}

static bool is_prompt_in_force(const struct fleet_item *item)
{
    const struct served_profile *p = prompt_set_find(&item->fleet->server->prompts, item->name);
    return p && !p->split.prompt && p->active.prompt->version == item->change.number &&
           strcmp(p->active.prompt->sha256, item->change.sha256) == 0;
}

static bool is_chain_in_force(const struct fleet_item *item)
{
    const struct served_chain *c = chain_set_find(&item->fleet->server->chains, item->name);
    return c && c->origin == CHAIN_OF_STORE && chain_version(c->chain) == item->change.number &&
           strcmp(chain_hash(c->chain), item->change.sha256) == 0;
}

bool fleet_item_is_in_force(const struct fleet_item *item)
{
    return item->kind == FLEET_MODEL    ? is_model_in_force(item)
           : item->kind == FLEET_PROMPT ? is_prompt_in_force(item)
                                        : is_chain_in_force(item);
}

bool fleet_item_has_something(const struct fleet_item *item)
{
    const struct server *s = item->fleet->server;
    if (item->kind == FLEET_MODEL) {
        return true; /* what a request gets that names none is looked at elsewhere */
    }
    if (item->kind == FLEET_PROMPT) {
        return prompt_set_find(&s->prompts, item->name) != NULL;
    }
    const struct served_chain *c = chain_set_find(&s->chains, item->name);
    return c && c->origin != CHAIN_OF_NOBODY;
}

/* --- how it ends --- */

static void count(struct fleet_item *item, bool is_refused)
{
    item->fleet->changes[item->kind][is_refused]++;
}

static void apply(struct fleet_item *item)
{
    item->state = FLEET_ITEM_APPLIED;
    item->refused = 0;
    item->problem[0] = '\0';
    count(item, false);
    log_info("fleet %s: %s %s is at version %s (revision %lld)", item->fleet->set->name,
             fleet_kind_name(item->kind), item->name, item->change.version,
             (long long)item->revision);
    fleet_changed(item->fleet);
}

void fleet_item_refuse(struct fleet_item *item, const char *problem, bool may_change)
{
    bool is_news = item->refused != item->revision || strcmp(problem, item->problem) != 0;
    bool is_change = is_news || item->state != FLEET_ITEM_REFUSED;
    item->state = FLEET_ITEM_REFUSED;
    item->may_change = may_change;
    item->is_ordered = false;
    item->again_at = uv_now(&item->fleet->server->loop) + RETRY_MS;
    item->refused = item->revision;
    if (is_news) {
        snprintf(item->problem, sizeof(item->problem), "%s", problem);
        count(item, true);
        log_error("fleet %s: %s %s version %s is refused, what is in force stays: %s",
                  item->fleet->set->name, fleet_kind_name(item->kind), item->name,
                  item->change.version, item->problem);
    }
    if (is_change) {
        fleet_changed(item->fleet);
    }
}

/* --- prompts and filter chains --- */

/* Whether the same again may go well. */
static bool may_pass(enum err_kind kind)
{
    return kind == ERR_BUSY || kind == ERR_IO || kind == ERR_NOMEM || kind == ERR_CANCELED;
}

static void on_told(void *user, const struct err *e)
{
    struct fleet_item *item = user;
    item->is_working = false;
    if (item->state != FLEET_ITEM_APPLYING || item->applying != item->revision) {
        /* Another one is wanted by now. */
        item->state = item->state == FLEET_ITEM_APPLYING ? FLEET_ITEM_PENDING : item->state;
        fleet_item_advance(item);
    } else if (e) {
        fleet_item_refuse(item, e->message, may_pass(e->kind));
    } else {
        apply(item);
    }
    fleet_item_is_done(item->fleet);
}

static void order_version(struct fleet_item *item)
{
    struct err e = {0};
    const struct version_order order = {.name = item->name,
                                        .json = item->change.content,
                                        .len = item->change.content_len,
                                        .number = item->change.number,
                                        .sha256 = item->change.sha256,
                                        .actor = ACTOR,
                                        .told = on_told,
                                        .user = item};
    const struct version_api *api =
        item->kind == FLEET_PROMPT ? &prompt_work_api : &chain_work_api;
    item->state = FLEET_ITEM_APPLYING;
    item->applying = item->revision;
    item->is_working = version_admin_order(item->fleet->server, api, &order, &e) == 0;
    if (!item->is_working) {
        fleet_item_refuse(item, e.message, true);
    }
}

/* --- models --- */

static bool find_version(const struct model_set *set, const char *version,
                         struct model_version_info *out)
{
    return set && model_set_find(set, version, out);
}

/* Loads are asked for and looked at, since they go on for a while and end in the set. */
static void advance_model(struct fleet_item *item)
{
    struct model_catalog *c = item->fleet->server->catalog;
    struct model_set *set = model_of(item);
    struct model_version_info info;
    char problem[ERR_MESSAGE_MAX];
    if (!set) {
        snprintf(problem, sizeof(problem), "there is no model \"%s\" %s", item->name,
                 c ? "in the repository" : "here: it is served without --repo");
        fleet_item_refuse(item, problem, c != NULL);
    } else if (!find_version(set, item->change.version, &info)) {
        snprintf(problem, sizeof(problem), "the repository has no version \"%s\" of \"%s\" yet",
                 item->change.version, item->name);
        fleet_item_refuse(item, problem, true);
    } else if (model_catalog_is_loading(c)) {
        item->state = item->is_ordered ? FLEET_ITEM_APPLYING : FLEET_ITEM_PENDING;
    } else if (item->is_ordered) {
        bool is_other = info.state == MODEL_SERVING; /* by its name, so the files differ */
        fleet_item_refuse(item,
                          is_other       ? "its file is another one here, by its SHA-256"
                          : info.problem ? info.problem
                                         : "it was not taken into service; the log says why",
                          !is_other && info.may_pass);
    } else {
        item->is_ordered = true;
        item->state = FLEET_ITEM_APPLYING;
        item->applying = item->revision;
        model_set_order(set, item->change.version, ACTOR);
    }
}

/* --- both --- */

/* Not now, whatever it is: another process is about to have the state, or there is no model. */
static bool must_wait(const struct fleet_item *item)
{
    const struct server *s = item->fleet->server;
    bool is_held = !s->is_ready || s->stopping || !s->generation || upgrade_holds_folders(s);
    return is_held || (item->kind == FLEET_MODEL && s->upgrade);
}

void fleet_item_advance(struct fleet_item *item)
{
    bool is_version = item->kind != FLEET_MODEL;
    if (item->is_gone || item->is_working || must_wait(item)) {
        return;
    }
    if (item->state == FLEET_ITEM_APPLYING && item->applying != item->revision) {
        item->is_ordered = false;
        item->state = FLEET_ITEM_PENDING;
    }
    if (item->state == FLEET_ITEM_REFUSED &&
        (!item->may_change || uv_now(&item->fleet->server->loop) < item->again_at)) {
        return;
    }
    bool is_there = fleet_item_is_in_force(item);
    if (is_there && item->state != FLEET_ITEM_APPLIED) {
        item->is_ordered = false;
        apply(item);
    } else if (!is_there && item->state == FLEET_ITEM_APPLIED) {
        item->state = FLEET_ITEM_PENDING; /* something here has changed it */
        fleet_changed(item->fleet);
    } else if (!is_there && is_version) {
        order_version(item);
    } else if (!is_there) {
        advance_model(item);
    }
}
