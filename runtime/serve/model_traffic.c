#include "runtime/serve/model_traffic.h"

#include <string.h>

#include "runtime/base/log.h"
#include "runtime/registry/traffic_plan.h"
#include "runtime/serve/model_set.h"
#include "runtime/serve/model_state.h"
#include "runtime/serve/server.h"
#include "runtime/serve/server_metrics.h"
#include "runtime/serve/shadow.h"

void model_traffic_init(struct model_traffic *t, struct model_set *set)
{
    *t = (struct model_traffic){.set = set};
}

static bool is_version(const struct generation *g, const char *version)
{
    return g && strcmp(g->model->version, version) == 0;
}

static const char *version_of(const struct traffic_share *share)
{
    return share->generation ? share->generation->model->version : NULL;
}

bool model_traffic_uses(const struct model_traffic *t, const struct generation *g)
{
    return g == t->split.generation || g == t->shadow.generation;
}

/* --- shares --- */

static void show(const struct model_traffic *t, enum server_metric metric,
                 const struct generation *g, int percent)
{
    const char *values[] = {g->model->name, g->model->version};
    metrics_set(model_set_server(t->set)->metrics, metric, values, percent);
}

/* g NULL: it ends. The new version is in use before the old one is let go of, so that it is not
 * taken for one that nobody needs. */
static void set_share(struct model_traffic *t, struct traffic_share *share,
                      struct generation *g, int percent, enum server_metric metric)
{
    struct generation *old = share->generation;
    *share =
        (struct traffic_share){.generation = g ? generation_ref(g) : NULL, .percent = percent};
    if (old) {
        show(t, metric, old, 0);
        model_set_trim(t->set);
        generation_unref(old);
    }
    if (g) {
        show(t, metric, g, percent);
    }
}

static void set_split(struct model_traffic *t, struct generation *g, int percent)
{
    t->is_by_conversation = false;
    set_share(t, &t->split, g, percent, SERVER_METRIC_SPLIT_PERCENT);
}

void model_traffic_split_by(struct model_traffic *t, bool is_by_conversation)
{
    t->is_by_conversation = is_by_conversation && t->split.generation;
}

static void set_shadow(struct model_traffic *t, struct generation *g, int percent)
{
    bool is_another = g != t->shadow.generation;
    if (is_another && t->shadow.generation) {
        shadows_end(t->shadows);
    }
    if (is_another && g) {
        /* What it would read ahead, it would read too slowly to be waited for. */
        prompt_set_remove(&model_set_server(t->set)->prompts, g);
        generation_step_aside(g);
        shadows_begin(t->shadows, g);
    }
    set_share(t, &t->shadow, g, percent, SERVER_METRIC_SHADOW_PERCENT);
}

/* Where what ends by itself is told of. */
static void changed(const struct model_traffic *t, enum model_action action,
                    const struct traffic_share *before, const char *why)
{
    log_info("model %s: the %s of version %s (%d %%) ends: %s", model_set_name(t->set),
             model_action_name(action), version_of(before), before->percent, why);
    const struct model_record *r = model_state_record(model_set_journal(t->set));
    bool is_kept = (action == MODEL_ACTION_SPLIT ? r->split.percent : r->shadow.percent) > 0;
    const struct model_change change = {
        .action = action, .version = version_of(before), .reason = why};
    if (is_kept) { /* and no canary's share, which is told of with the canary */
        model_state_changed(t->set, &change);
    }
}

static int check_percent(int percent, int most, struct err *e)
{
    return percent >= 0 && percent <= most
               ? 0
               : err_set_param(e, ERR_INVALID, "percent", "\"percent\" must be 0 to %d", most);
}

/* The generation that is to get a share, which another one than the serving must be. */
static struct generation *find(const struct model_traffic *t, const char *version,
                               struct err *e)
{
    struct generation *g = model_set_loaded(t->set, version);
    if (!g) {
        err_set_param(e, ERR_NOT_FOUND, "version", "the version \"%.64s\" is not loaded",
                      version);
    } else if (g == model_set_serving(t->set)) {
        err_set_param(e, ERR_CONFLICT, "version", "the version \"%.64s\" serves already",
                      version);
        g = NULL;
    }
    return g;
}

/* What is to get the share; NULL with *rc 0: it is to end. */
static struct generation *may_split(const struct model_traffic *t, const char *version,
                                    int percent, int *rc, struct err *e)
{
    *rc = check_percent(percent, 99, e);
    if (*rc != 0 || percent == 0) {
        return NULL;
    }
    struct generation *g = find(t, version, e);
    if (g && g->is_aside) {
        err_set_param(e, ERR_CONFLICT, "version",
                      "the version \"%.64s\" is loaded as a shadow, at a low priority",
                      version);
        g = NULL;
    }
    const struct generation *serving = model_set_serving(t->set);
    if (g && !g->engine && serving && serving->engine) {
        err_set_param(e, ERR_UNSUPPORTED, "version",
                      "the version \"%.64s\" makes no text, and the one that serves does",
                      version);
        g = NULL;
    }
    *rc = g ? 0 : -1;
    return g;
}

int model_traffic_split(struct model_traffic *t, const char *version, int percent,
                        struct err *e)
{
    int rc;
    struct generation *g = may_split(t, version, percent, &rc, e);
    if (!g) {
        if (rc == 0) {
            set_split(t, NULL, 0);
        }
        return rc;
    }
    set_split(t, g, percent);
    if (is_version(t->shadow.generation, version)) {
        changed(t, MODEL_ACTION_SHADOW, &t->shadow, "it has a share of the requests now");
        set_shadow(t, NULL, 0);
    }
    return 0;
}

static struct generation *may_shadow(const struct model_traffic *t, const char *version,
                                     int percent, int *rc, struct err *e)
{
    *rc = check_percent(percent, 100, e);
    if (*rc != 0 || percent == 0) {
        return NULL;
    }
    struct generation *g = find(t, version, e);
    if (g && !g->engine) {
        err_set_param(e, ERR_UNSUPPORTED, "version", "the version \"%.64s\" makes no text",
                      version);
        g = NULL;
    } else if (g && is_version(t->split.generation, version)) {
        err_set_param(e, ERR_CONFLICT, "version",
                      "the version \"%.64s\" has a share of the requests; end that first",
                      version);
        g = NULL;
    }
    *rc = g ? 0 : -1;
    return g;
}

int model_traffic_shadow(struct model_traffic *t, const char *version, int percent,
                         struct err *e)
{
    int rc;
    struct generation *g = may_shadow(t, version, percent, &rc, e);
    if (!g) {
        if (rc == 0) {
            set_shadow(t, NULL, 0);
        }
        return rc;
    }
    if (!t->shadows) {
        t->shadows = shadows_create(model_set_server(t->set), e);
    }
    if (!t->shadows) {
        return -1;
    }
    set_shadow(t, g, percent);
    return 0;
}

int model_traffic_check(const struct model_traffic *t, bool is_shadow, const char *version,
                        int percent, struct err *e)
{
    int rc = -1;
    (void)(is_shadow ? may_shadow : may_split)(t, version, percent, &rc, e);
    return rc;
}

struct generation *model_traffic_choose(const struct model_traffic *t,
                                        struct generation *serving, uint64_t sticky)
{
    struct generation *g = t->split.generation;
    bool is_taken =
        g && sticky != 0 && traffic_plan_takes(g->model->version, sticky, t->split.percent);
    return is_taken ? g : serving;
}

void model_traffic_drop(struct model_traffic *t, const char *version, const char *why)
{
    if (is_version(t->split.generation, version)) {
        changed(t, MODEL_ACTION_SPLIT, &t->split, why);
        set_split(t, NULL, 0);
    }
    if (is_version(t->shadow.generation, version)) {
        changed(t, MODEL_ACTION_SHADOW, &t->shadow, why);
        set_shadow(t, NULL, 0);
    }
}

void model_traffic_stop(struct model_traffic *t)
{
    set_split(t, NULL, 0);
    set_shadow(t, NULL, 0);
    shadows_destroy(t->shadows);
    t->shadows = NULL;
}

/* --- labels --- */

int model_traffic_check_label(const struct model_traffic *t, const char *label,
                              const char *version, struct err *e)
{
    struct model_version_info ignored;
    if (version && model_set_find(t->set, label, &ignored)) {
        return err_set_param(e, ERR_CONFLICT, "label",
                             "there is a version \"%.64s\"; a label needs a name of its own",
                             label);
    }
    struct model_labels copy = t->labels;
    return model_labels_set(&copy, label, version, e);
}

int model_traffic_label(struct model_traffic *t, const char *label, const char *version,
                        struct err *e)
{
    return model_traffic_check_label(t, label, version, e) == 0
               ? model_labels_set(&t->labels, label, version, e)
               : -1;
}

/* --- what is in force --- */

struct traffic_view model_traffic_view(const struct model_traffic *t)
{
    const struct generation *serving = model_set_serving(t->set);
    return (struct traffic_view){.model = model_set_name(t->set),
                                 .serving = serving ? serving->model->version : NULL,
                                 .split = version_of(&t->split),
                                 .split_percent = t->split.percent,
                                 .split_by = t->is_by_conversation ? "conversation" : "key",
                                 .shadow = version_of(&t->shadow),
                                 .shadow_percent = t->shadow.percent,
                                 .labels = &t->labels};
}

const struct shadow_report *model_traffic_report(const struct model_traffic *t)
{
    return t->shadows ? shadows_report(t->shadows) : NULL;
}
