#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/serve/model_canary.h"
#include "runtime/serve/model_set_parts.h"
#include "runtime/serve/server_metrics.h"

/* --- publishing --- */

static void count_unload(const struct model_set *set, const char *reason)
{
    const char *const values[] = {set->repo.name, reason};
    metrics_add(set->server->metrics, SERVER_METRIC_MODEL_UNLOADS, values, 1);
}

static void let_go(struct model_set *set, struct generation *g, const char *reason)
{
    prompt_set_remove(&set->server->prompts, g);
    count_unload(set, reason);
    generation_unref(g);
}

static bool holds(const struct model_set *set, const struct generation *g)
{
    bool is_held = g == set->serving;
    for (size_t i = 0; i < set->n_kept; i++) {
        is_held = is_held || set->kept[i] == g;
    }
    return is_held;
}

void model_set_release_generation(struct model_set *set, struct generation *g)
{
    if (!holds(set, g)) {
        prompt_set_remove(&set->server->prompts, g);
    }
    generation_unref(g);
}

bool model_set_take_out(struct model_set *set, const struct generation *g)
{
    for (size_t i = 0; i < set->n_kept; i++) {
        if (set->kept[i] == g) {
            set->n_kept--;
            memmove(&set->kept[i], &set->kept[i + 1], (set->n_kept - i) * sizeof(set->kept[0]));
            return true;
        }
    }
    return false;
}

bool model_set_is_in_use(const struct model_set *set, const struct generation *g)
{
    return model_traffic_uses(&set->traffic, g) || model_set_is_tried(set, g);
}

/* Of those that are not in use: one that stepped aside for copies of requests, which is of no
 * other use; the oldest of those that nobody asked for, if there are more than may be; the
 * oldest of all, if all are too many. */
static struct generation *one_too_many(const struct model_set *set)
{
    size_t n = 0, n_unasked = 0;
    struct generation *oldest = NULL, *oldest_unasked = NULL;
    for (size_t i = 0; i < set->n_kept; i++) {
        struct generation *g = set->kept[i];
        if (model_set_is_in_use(set, g) || g->n_orders > 0) {
            continue;
        }
        if (g->is_aside) {
            return g;
        }
        oldest = g;
        n++;
        if (!g->was_asked_for) {
            oldest_unasked = g;
            n_unasked++;
        }
    }
    return n_unasked > set->keep ? oldest_unasked : n > MODEL_SET_KEPT_MAX ? oldest : NULL;
}

void model_set_trim(struct model_set *set)
{
    struct generation *g;
    while ((g = one_too_many(set)) != NULL) {
        model_set_take_out(set, g);
        let_go(set, g, "replaced");
    }
}

void model_set_drop_unused(struct model_set *set, struct generation *g)
{
    bool is_needed = g == set->serving || model_set_is_in_use(set, g) ||
                     g->n_orders > 0 || g->was_asked_for;
    if (!is_needed && model_set_take_out(set, g)) {
        let_go(set, g, "replaced");
    }
    model_set_trim(set);
}

void model_set_hold_on(struct model_set *set, struct generation *g)
{
    memmove(set->kept + 1, set->kept, set->n_kept * sizeof(set->kept[0]));
    set->kept[0] = g;
    set->n_kept++;
}

void model_set_keep(struct model_set *set, struct generation *g)
{
    model_set_hold_on(set, g);
    model_set_trim(set);
}

void model_set_remember(struct model_set *set, const char *version, uint64_t number)
{
    if (set->n_history == HISTORY_MAX) {
        memmove(set->history, set->history + 1, (HISTORY_MAX - 1) * sizeof(set->history[0]));
        set->n_history--;
    }
    struct past *p = &set->history[set->n_history++];
    snprintf(p->version, sizeof(p->version), "%.*s", MODEL_REPO_NAME_MAX, version);
    p->number = number;
}

/* What served until now, or until the model was unloaded. */
static void remember_last(struct model_set *set, const struct generation *next)
{
    if (set->serving) {
        model_set_remember(set, set->serving->model->version, set->serving->number);
    } else if (set->resume[0] && strcmp(set->resume, next->model->version) != 0) {
        model_set_remember(set, set->resume, 0);
    }
}

/* The latest time that it served, and what came after: a canary may have been promoted while
 * the version was being loaded. */
static void forget_since(struct model_set *set, const char *version)
{
    size_t i = set->n_history;
    while (i > 0 && strcmp(set->history[i - 1].version, version) != 0) {
        i--;
    }
    set->n_history = i > 0 ? i - 1 : set->n_history;
}

void model_set_publish(struct model_set *set, struct generation *g, bool is_rollback)
{
    struct generation *old = set->serving;
    if (is_rollback) {
        forget_since(set, g->model->version);
    } else {
        remember_last(set, g);
    }
    set->serving = g;
    set->is_wanted = true;
    g->was_asked_for = false;
    set->resume[0] = '\0';
    if (set->is_default) {
        server_publish_generation(set->server, generation_ref(g));
    } else {
        generation_log_published(g);
    }
    model_traffic_drop(&set->traffic, g->model->version, "it serves now");
    if (old) {
        model_set_hold_on(set, old);
    }
    model_set_trim(set);
    if (set->canary) {
        model_canary_published(set->canary, g);
    }
}

/* --- canaries --- */

void model_set_try(struct model_set *set, struct generation *g)
{
    struct err e = {0};
    model_set_hold_on(set, g);
    if (model_canary_begin(set->canary, g, &g->manifest->canary, MODEL_MANIFEST_FILE, &e) !=
        0) {
        log_error("model %s: no canary: %s", g->id, e.message);
        model_set_drop_unused(set, g);
    }
}

void model_set_promote(struct model_set *set, struct generation *g)
{
    if (!model_set_take_out(set, g)) {
        generation_ref(g);
    }
    model_set_publish(set, g, false);
}

void model_set_reject(struct model_set *set, struct generation *g, const char *reason)
{
    struct listed_version *v = model_list_find(&set->list, g->model->version);
    if (v) {
        v->has_failed = true;
        snprintf(v->problem, sizeof(v->problem), "canary: %s", reason);
    }
    if (model_set_take_out(set, g)) {
        let_go(set, g, "canary");
    }
}

static void drop_serving(struct model_set *set)
{
    struct generation *g = set->serving;
    snprintf(set->resume, sizeof(set->resume), "%.*s", MODEL_REPO_NAME_MAX, g->model->version);
    set->serving = NULL;
    if (set->is_default) {
        server_publish_generation(set->server, NULL);
    }
}

void model_set_drop(struct model_set *set, struct generation *g, const char *reason)
{
    if (strcmp(reason, MODEL_UNLOADED_BY_ADMIN) != 0) { /* whose row names the admin */
        model_publish_unloaded(set, g, NULL, reason);
    }
    if (g == set->serving) {
        drop_serving(set);
        /* For one that comes in its place, it is wanted still. */
        set->is_wanted = set->is_default || model_set_is_coming(set);
        let_go(set, g, reason);
        return;
    }
    generation_ref(g);
    if (model_set_is_in_use(set, g)) {
        model_traffic_drop(&set->traffic, g->model->version, "it is unloaded");
    }
    if (model_set_take_out(set, g)) {
        let_go(set, g, reason);
    }
    generation_unref(g);
}

bool model_set_may_drop(const struct model_set *set, const struct generation *g)
{
    bool must_stay = set->is_default && g == set->serving;
    return set->catalog->is_started && !must_stay && generation_is_idle(g);
}
