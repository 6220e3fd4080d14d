/* From a decision to what serves: it is stored, published and answered, in this order. What
 * comes by itself is published first, since no decision is lost with it: after a restart it
 * comes again. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/model_set_parts.h"

/* A decision that is being stored. */
struct publication {
    struct model_set *set;
    struct generation *generation; /* a reference */
    enum model_action action;
};

static const struct model_store_version *chosen(const struct model_set *set)
{
    return &model_state_record(set->journal)->active;
}

static bool is_version(const struct generation *g, const char *version)
{
    return strcmp(g->model->version, version) == 0;
}

bool model_publish_is_decided(const struct model_set *set)
{
    return is_version(set->serving, chosen(set)->version);
}

/* --- what happens --- */

/* A model that was unloaded is loaded again, with the version that is wanted or, where that one
 * cannot serve, another. */
static enum model_action action_of_return(const struct model_set *set,
                                          const struct generation *g, bool is_asked_for)
{
    const char *wanted = chosen(set)->version;
    if (!wanted[0]) {
        return MODEL_ACTION_PUBLISH;
    }
    if (is_version(g, wanted)) {
        return MODEL_ACTION_LOAD;
    }
    return is_asked_for                                           ? MODEL_ACTION_ACTIVATE
           : model_version_compare(g->model->version, wanted) > 0 ? MODEL_ACTION_PUBLISH
                                                                  : MODEL_ACTION_FALLBACK;
}

static enum model_action action_of(const struct model_set *set, const struct generation *g,
                                   const struct publish_wish *wish)
{
    if (wish->purpose == LOAD_TO_GO_BACK) {
        return MODEL_ACTION_ROLLBACK;
    }
    if (!set->serving) {
        return action_of_return(set, g, wish->is_asked_for);
    }
    if (g != set->serving && is_version(set->serving, g->model->version)) {
        return MODEL_ACTION_RELOAD;
    }
    return wish->is_asked_for ? MODEL_ACTION_ACTIVATE : MODEL_ACTION_PUBLISH;
}

static struct model_change describe(const struct model_set *set, const struct generation *g,
                                    enum model_action action, const char *who)
{
    const struct listed_version *v = model_list_find(&set->list, g->model->version);
    const struct generation *old = set->serving;
    struct model_change c = {.action = action,
                             .who = who,
                             .version = g->model->version,
                             .sha256 = g->model->sha256,
                             .stamp = g->stamp,
                             .text = v ? v->report : NULL,
                             .replaced = old              ? old->model->version
                                         : set->resume[0] ? set->resume
                                                          : NULL,
                             .replaced_sha256 = old ? old->model->sha256 : NULL};
    return c;
}

/* What an owner chose among. NULL, and no rows, where there is no memory: what is not known is
 * new at the next start. */
static struct model_store_seen *list_seen(const struct model_set *set, size_t *n)
{
    struct model_store_seen *seen = mem_zarray(set->list.count + 1, sizeof(*seen));
    *n = seen ? set->list.count : 0;
    for (size_t i = 0; i < *n; i++) {
        const struct listed_version *v = &set->list.items[i];
        snprintf(seen[i].version, sizeof(seen[i].version), "%s", v->name);
        seen[i].stamp = v->still;
    }
    return seen;
}

/* --- publishing --- */

static void publish(struct model_set *set, struct generation *g, enum model_action action,
                    struct http_exchange *ex)
{
    if (g == set->serving) { /* that it does was not the owner's choice until now */
        model_attempt_answer(ex, "unchanged", g);
        generation_unref(g);
        return;
    }
    if (model_set_take_out(set, g)) {
        generation_unref(g);
    }
    model_set_publish(set, g, action == MODEL_ACTION_ROLLBACK);
    model_attempt_answer(ex, "published", g);
}

static void after_store(void *ctx, struct http_exchange *ex, const struct err *e)
{
    struct publication *p = ctx;
    struct model_set *set = p->set;
    set->publication = NULL;
    if (e) {
        log_error("model %s stays as it is: %s", set->repo.name, e->message);
        model_state_refuse(ex, e, false);
    }
    if (e || set->is_stopped) {
        model_set_release_generation(set, p->generation);
    } else {
        publish(set, p->generation, p->action, ex);
    }
    mem_free(p);
    if (!set->is_stopped) {
        model_set_go_on(set);
    }
}

/* The store has the pointer to the publication, and calls back in any case. */
static int store(struct model_set *set, struct generation *g, enum model_action action,
                 const struct publish_wish *wish)
{
    struct publication *p = mem_zalloc(sizeof(*p));
    if (!p) {
        return -1;
    }
    *p = (struct publication){.set = set, .generation = g, .action = action};
    struct model_change change = describe(set, g, action, wish->who);
    struct model_store_seen *seen = list_seen(set, &change.n_seen);
    change.seen = seen;
    set->publication = p;
    model_state_store(set->journal, &change, wish->ex, after_store, p);
    mem_free(seen);
    return 0;
}

void model_publish(struct model_set *set, struct generation *g, const struct publish_wish *wish)
{
    enum model_action action = action_of(set, g, wish);
    if (wish->is_asked_for && set->serving) {
        if (store(set, g, action, wish) != 0) {
            model_attempt_answer_error(wish->ex, 503, "out_of_memory",
                                       "the server is out of memory");
            model_set_release_generation(set, g);
        }
        return;
    }
    const struct model_change change = describe(set, g, action, wish->who);
    /* First, for it points to what served until now. */
    model_state_note(set->journal, &change);
    publish(set, g, action, wish->ex);
}

/* --- the start --- */

static void note_other_files(struct model_set *set, const struct generation *g)
{
    const char *before = chosen(set)->sha256;
    if (!before[0] || strcmp(before, g->model->sha256) == 0) {
        return;
    }
    log_warn("model %s had the SHA-256 %.12s when it was chosen, and has %.12s now", g->id,
             before, g->model->sha256);
    struct model_change change = describe(set, g, MODEL_ACTION_RELOAD, NULL);
    change.reason = "its files are others than before the start";
    model_state_note(set->journal, &change);
}

void model_publish_started(struct model_set *set, const char *why_not)
{
    const struct generation *g = set->serving;
    const char *wanted = chosen(set)->version;
    if (is_version(g, wanted)) {
        note_other_files(set, g);
        return;
    }
    struct model_change change =
        describe(set, g, wanted[0] ? MODEL_ACTION_FALLBACK : MODEL_ACTION_PUBLISH, NULL);
    change.replaced = change.replaced_sha256 = NULL;
    if (wanted[0]) {
        log_error("model %s@%s was chosen, but cannot serve: %s; %s serves in its place",
                  set->repo.name, wanted, why_not, g->id);
        change.reason = why_not;
    }
    model_state_note(set->journal, &change);
}

/* --- rows of the audit --- */

void model_publish_failed(struct model_set *set, const struct model_load *l, bool is_final,
                          const char *who)
{
    if (l->e.kind == ERR_CONFLICT) {
        return; /* its files are in motion, and are offered again when they stand still */
    }
    const struct model_change change = {.action = l->has_failed_gate ? MODEL_ACTION_GATE_FAILED
                                                                     : MODEL_ACTION_LOAD_FAILED,
                                        .who = who,
                                        .version = l->version,
                                        .stamp = is_final ? l->stamp : 0,
                                        .text = l->report,
                                        .reason = l->e.message};
    model_state_note(set->journal, &change);
}

void model_publish_loaded(struct model_set *set, const struct generation *g, const char *who)
{
    const struct model_change change = {
        .action = MODEL_ACTION_LOAD, .who = who, .version = g->model->version};
    model_state_note(set->journal, &change);
}

void model_publish_unloaded(struct model_set *set, const struct generation *g,
                            const struct http_exchange *ex, const char *reason)
{
    char who[VERSION_ACTOR_MAX + 1];
    model_state_actor(ex, who);
    const struct model_change change = {.action = MODEL_ACTION_UNLOAD,
                                        .who = who,
                                        .version = g->model->version,
                                        .reason = reason};
    model_state_note(set->journal, &change);
}
