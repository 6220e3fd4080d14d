/* Shares of the traffic that were in force before a restart are put back: one after the other,
 * once a version serves and theirs is loaded. One that cannot be is ended, with a row of the
 * audit, so that it does not come back by surprise at a later restart. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/model_canary.h"
#include "runtime/serve/model_set_parts.h"

/* A share whose version is being loaded. */
struct restoration {
    struct model_hold hold; /* first */
    struct model_set *set;
    enum model_action action;       /* split, shadow, or canary_begin */
    struct model_store_share share; /* its percent is of no account for a canary */
};

static int put_back(const struct restoration *r, struct generation *g, struct err *e)
{
    struct model_traffic *t = &r->set->traffic;
    if (r->action == MODEL_ACTION_CANARY_BEGIN) {
        return model_canary_resume(r->set->canary, g,
                                   model_state_record(r->set->journal)->canary_plan, e);
    }
    if (r->action == MODEL_ACTION_SHADOW) {
        return model_traffic_shadow(t, r->share.version, r->share.percent, e);
    }
    if (model_traffic_split(t, r->share.version, r->share.percent, e) != 0) {
        return -1;
    }
    model_traffic_split_by(t, r->share.is_by_conversation);
    return 0;
}

static const char *what(const struct restoration *r)
{
    return r->action == MODEL_ACTION_CANARY_BEGIN ? "canary" : model_action_name(r->action);
}

static void give_up(const struct restoration *r, const char *why)
{
    log_error("model %s@%s: its %s is not put back: %s", r->set->repo.name, r->share.version,
              what(r), why);
    const struct model_change change = {
        .action = r->action == MODEL_ACTION_CANARY_BEGIN ? MODEL_ACTION_CANARY_END : r->action,
        .version = r->share.version,
        .reason = why};
    model_state_note(r->set->journal, &change);
}

static void on_loaded(struct model_hold *hold, struct http_exchange *ex, struct generation *g)
{
    struct restoration *r = (struct restoration *)hold;
    const struct model_set *set = r->set;
    struct err e = {0};
    (void)ex; /* nobody waits */
    if (set->is_stopped || (!g && set->server->stopping)) {
        mem_free(r); /* the next start puts it back */
        return;
    }
    if (!g) {
        const struct listed_version *v = model_list_find(&set->list, r->share.version);
        give_up(r, v && v->problem[0] ? v->problem : "the version cannot be loaded");
    } else if (put_back(r, g, &e) != 0) {
        give_up(r, e.message);
    } else {
        log_info("model %s: its %s is in force again", g->id, what(r));
    }
    mem_free(r);
}

static void begin(struct model_set *set, enum model_action action,
                  const struct model_store_share *share)
{
    struct restoration *r = mem_zalloc(sizeof(*r));
    if (!r) {
        log_error("model %s@%s: no memory to put its share back", set->repo.name,
                  share->version);
        return;
    }
    r->hold.done = on_loaded;
    r->set = set;
    r->action = action;
    r->share = *share;
    model_set_hold(set, NULL, r->share.version, &r->hold);
}

void model_restore_prepare(struct model_set *set)
{
    const struct model_record *r = model_state_record(set->journal);
    for (size_t i = 0; i < r->n_labels; i++) {
        struct err e = {0};
        if (model_labels_set(&set->traffic.labels, r->labels[i].name, r->labels[i].version,
                             &e) != 0) {
            log_error("model %s: label %s: %s", r->name, r->labels[i].name, e.message);
        }
    }
    set->split_before = r->split;
    set->shadow_before = r->shadow;
    set->canary_before.percent = r->canary[0] ? 1 : 0;
    snprintf(set->canary_before.version, sizeof(set->canary_before.version), "%s", r->canary);
}

bool model_restore_next(struct model_set *set)
{
    const struct {
        enum model_action action;
        struct model_store_share *share;
    } before[] = {{MODEL_ACTION_SPLIT, &set->split_before},
                  {MODEL_ACTION_SHADOW, &set->shadow_before},
                  {MODEL_ACTION_CANARY_BEGIN, &set->canary_before}};
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]) && !set->attempt; i++) {
        const struct model_store_share share = *before[i].share;
        *before[i].share = (struct model_store_share){.percent = 0};
        if (share.percent > 0) {
            begin(set, before[i].action, &share);
        }
    }
    return set->attempt != NULL;
}
