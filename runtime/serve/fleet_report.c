/* What a replica says of itself and of what the fleet wants. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/api/json_text.h"
#include "runtime/base/mem.h"
#include "runtime/serve/fleet_parts.h"
#include "runtime/serve/server_metrics.h"

static const char *const state_names[] = {"joining",  "never_heard", "in_step",
                                          "changing", "refuses",     "partitioned"};
/* One that is kept is in force, as far as was heard. */
static const char *const item_names[] = {"applied", "applying", "applying", "applied",
                                         "refused"};

const char *fleet_state_name(enum fleet_state state)
{
    return state_names[state];
}

static int64_t heard_ms(const struct fleet *f)
{
    int64_t now = f->link ? fleet_link_heard_ms(f->link) : 0;
    return now ? now : f->kept_heard_ms;
}

/* --- what all of these have --- */

static void add_item(cJSON *list, const struct fleet_item *item)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToArray(list, o);
    cJSON_AddStringToObject(o, "kind", fleet_kind_name(item->kind));
    cJSON_AddStringToObject(o, "name", item->name);
    cJSON_AddStringToObject(o, "version", item->change.version);
    cJSON_AddStringToObject(o, "sha256", item->change.sha256);
    cJSON_AddNumberToObject(o, "revision", (double)item->revision);
    cJSON_AddStringToObject(o, "state", item_names[item->state]);
    if (item->state == FLEET_ITEM_REFUSED) {
        cJSON_AddStringToObject(o, "problem", item->problem);
    }
}

static void add_items(cJSON *root, const struct fleet *f, bool only_refused)
{
    cJSON *list = cJSON_AddArrayToObject(root, "items");
    for (size_t i = 0; i < f->n; i++) {
        bool is_shown = !only_refused || f->items[i]->state == FLEET_ITEM_REFUSED;
        if (!f->items[i]->is_gone && is_shown) {
            add_item(list, f->items[i]);
        }
    }
}

/* --- for etcd --- */

/* Of what is in force, whoever has decided it; and the greatest number that a name has had, so
 * that a new version can get one that is new everywhere. */
static void add_in_force(cJSON *root, const struct server *s)
{
    cJSON *prompts = cJSON_AddObjectToObject(root, "prompts");
    for (size_t i = 0; i < s->prompts.count; i++) {
        const struct version_state *p = &s->prompts.profiles[i]->state;
        cJSON_AddNumberToObject(prompts, p->name, (double)p->latest);
    }
    cJSON *chains = cJSON_AddObjectToObject(root, "filters");
    for (size_t i = 0; i < s->chains.count; i++) {
        const struct served_chain *c = &s->chains.chains[i];
        cJSON_AddNumberToObject(chains, c->name, (double)c->latest);
    }
    cJSON *models = cJSON_AddArrayToObject(root, "models");
    for (size_t i = 0; s->catalog && i < s->catalog->n_sets; i++) {
        const struct generation *g = model_set_serving(s->catalog->sets[i]);
        if (g) {
            cJSON *o = cJSON_CreateObject();
            cJSON_AddItemToArray(models, o);
            cJSON_AddStringToObject(o, "name", model_set_name(s->catalog->sets[i]));
            cJSON_AddStringToObject(o, "version", g->model->version);
            cJSON_AddStringToObject(o, "sha256", g->model->sha256);
        }
    }
}

char *fleet_report_text(const struct fleet *f, size_t *len)
{
    char host[256] = "";
    cJSON *root = cJSON_CreateObject();
    gethostname(host, sizeof(host) - 1);
    cJSON_AddStringToObject(root, "id", f->id);
    cJSON_AddStringToObject(root, "host", host);
    cJSON_AddNumberToObject(root, "pid", (double)getpid());
    cJSON_AddStringToObject(root, "weir", f->server->set.version);
    cJSON_AddStringToObject(root, "state", state_names[fleet_state(f)]);
    cJSON_AddNumberToObject(root, "revision", (double)f->revision);
    add_items(root, f, false);
    add_in_force(root, f->server);
    return json_text_take(root, len);
}

/* --- for /readyz --- */

void fleet_describe(const struct fleet *f, cJSON *root)
{
    if (!f) {
        return;
    }
    cJSON *o = cJSON_AddObjectToObject(root, "fleet");
    cJSON_AddStringToObject(o, "name", f->set->name);
    cJSON_AddStringToObject(o, "state", state_names[fleet_state(f)]);
    cJSON_AddNumberToObject(o, "revision", (double)f->revision);
    cJSON_AddNumberToObject(o, "last_contact", (double)(heard_ms(f) / 1000));
    if (!f->is_connected && f->why[0]) {
        cJSON_AddNumberToObject(o, "lost_since", (double)(f->lost_ms / 1000));
        cJSON_AddStringToObject(o, "why", f->why);
    }
    add_items(o, f, true);
}

void fleet_collect(const struct fleet *f)
{
    if (!f) {
        return;
    }
    struct metrics *m = f->server->metrics;
    enum fleet_state state = fleet_state(f);
    for (int i = 0; i <= FLEET_PARTITIONED; i++) {
        const char *values[] = {f->set->name, state_names[i]};
        metrics_set(m, SERVER_METRIC_FLEET_STATE, values, i == (int)state);
    }
    const char *name[] = {f->set->name};
    metrics_set(m, SERVER_METRIC_FLEET_REVISION, name, (double)f->revision);
    metrics_set(m, SERVER_METRIC_FLEET_CONTACT, name, (double)heard_ms(f) / 1000);
    metrics_set(m, SERVER_METRIC_FLEET_FAILURES, name,
                f->link ? (double)fleet_link_failures(f->link) : 0);
    for (int kind = 0; kind < FLEET_KINDS; kind++) {
        for (int i = 0; i < 2; i++) {
            const char *values[] = {f->set->name, fleet_kind_name((enum fleet_kind)kind),
                                    i == 0 ? "applied" : "refused"};
            metrics_set(m, SERVER_METRIC_FLEET_CHANGES, values, (double)f->changes[kind][i]);
        }
    }
}

/* --- over a restart --- */

char *fleet_kept_text(const struct fleet *f, size_t *len)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "fleet", f->set->name);
    cJSON_AddNumberToObject(root, "revision", (double)f->revision);
    cJSON_AddNumberToObject(root, "heard_ms", (double)heard_ms(f));
    add_items(root, f, false);
    return json_text_take(root, len);
}

static const char *text_of(const cJSON *o, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
    return text ? text : "";
}

static int64_t number_of(const cJSON *o, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, name);
    bool is_number = cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble < 9e15;
    return is_number ? (int64_t)item->valuedouble : 0;
}

static int keep_item(struct fleet *f, const cJSON *o, struct err *e)
{
    const char *kind = text_of(o, "kind");
    const char *name = text_of(o, "name");
    int k = 0;
    while (k < FLEET_KINDS && strcmp(kind, fleet_kind_name((enum fleet_kind)k)) != 0) {
        k++;
    }
    if (k == FLEET_KINDS || version_name_check(name, "name", e) != 0) {
        return err_set(e, ERR_FORMAT, "\"items\" has one that is none");
    }
    struct fleet_item *item = fleet_item_get(f, (enum fleet_kind)k, name);
    if (!item) {
        return err_nomem(e);
    }
    item->state = FLEET_ITEM_KEPT;
    item->revision = number_of(o, "revision");
    snprintf(item->change.version, sizeof(item->change.version), "%s", text_of(o, "version"));
    snprintf(item->change.sha256, sizeof(item->change.sha256), "%s", text_of(o, "sha256"));
    return 0;
}

int fleet_kept_read(struct fleet *f, const char *text, size_t len, struct err *e)
{
    cJSON *root = json_parse(text, len, e);
    const cJSON *o;
    int rc = root ? 0 : -1;
    if (rc == 0 && strcmp(text_of(root, "fleet"), f->set->name) != 0) {
        rc = err_set(e, ERR_CONFLICT, "it is of the fleet \"%.64s\"", text_of(root, "fleet"));
    }
    if (rc == 0) {
        f->was_heard = true;
        f->revision = number_of(root, "revision");
        f->kept_heard_ms = number_of(root, "heard_ms");
        cJSON_ArrayForEach(o, cJSON_GetObjectItemCaseSensitive(root, "items"))
        {
            rc = rc == 0 ? keep_item(f, o, e) : rc;
        }
    }
    cJSON_Delete(root);
    return rc;
}
