#include <stdio.h>
#include <string.h>

#include "runtime/serve/model_label.h"
#include "runtime/serve/model_set_parts.h"

static bool is_busy(const struct model_set *set, struct http_exchange *ex)
{
    if (set->attempt) {
        model_attempt_answer_error(ex, 409, "load_running",
                                   "another version is being loaded just now");
    } else if (set->publication) {
        model_attempt_answer_error(ex, 409, "load_running",
                                   "another decision is being stored just now");
    }
    return set->attempt || set->publication;
}

/* A version's name, or a label. */
static const struct listed_version *resolve(const struct model_set *set, const char *text)
{
    const char *version = model_label_resolve(set, text);
    return version ? model_list_find(&set->list, version) : NULL;
}

void model_set_answer_unknown(const struct model_set *set, struct http_exchange *ex,
                              const char *version)
{
    char names[256] = "";
    char message[ERR_MESSAGE_MAX];
    for (size_t i = set->list.count; i-- > 0;) {
        size_t len = strlen(names);
        snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "",
                 set->list.items[i].name);
    }
    snprintf(message, sizeof(message), "%s has no version \"%.64s\"; there are: %s",
             model_set_name(set), version, names);
    model_attempt_answer_error(ex, 404, "version_not_found", message);
}

/* A generation of the version that can take requests. */
static struct generation *ready(const struct model_set *set, const char *version)
{
    struct generation *g = model_set_loaded(set, version);
    return g && !g->is_aside ? g : NULL;
}

bool model_set_is_current(const struct model_set *set, const struct generation *g)
{
    const struct listed_version *v = model_list_find(&set->list, g->model->version);
    return !v || !v->is_there || v->still == g->stamp;
}

void model_set_hold(struct model_set *set, struct http_exchange *ex, const char *version,
                    struct model_hold *to)
{
    const struct listed_version *v = resolve(set, version);
    struct generation *g = v ? ready(set, v->name) : NULL;
    if (!v) {
        model_set_answer_unknown(set, ex, version);
    } else if (g && model_set_is_current(set, g)) {
        to->done(to, ex, g);
        model_set_trim(set);
        return;
    } else if (!is_busy(set, ex)) {
        const struct load_wish wish = {
            .version = v->name, .purpose = LOAD_TO_KEEP, .ex = ex, .hold = to};
        if (model_attempt_begin(set, &wish) == 0) {
            return;
        }
    }
    to->done(to, NULL, NULL);
}

/* Who has asked: an admin at a connection, or an owner of this name elsewhere. */
struct orderer {
    struct http_exchange *ex; /* or NULL */
    const char *who;          /* or NULL */
};

static int begin(struct model_set *set, const struct orderer *by, const char *version,
                 enum load_purpose purpose)
{
    struct listed_version *v = model_list_find(&set->list, version);
    if (v) {
        v->is_wanted = false;
    }
    const struct load_wish wish = {
        .version = version, .purpose = purpose, .ex = by->ex, .who = by->who};
    return model_attempt_begin(set, &wish);
}

static void publish_loaded(struct model_set *set, struct generation *g,
                           const struct orderer *by, enum load_purpose purpose)
{
    char who[VERSION_ACTOR_MAX + 1];
    model_state_actor(by->ex, who);
    const struct publish_wish wish = {.purpose = purpose,
                                      .is_asked_for = by->ex || by->who,
                                      .who = by->who ? by->who : who,
                                      .ex = by->ex};
    model_publish(set, generation_ref(g), &wish);
}

/* An admin has chosen among the versions that are there: none of them is new any more, or the
 * newest would take the place of the chosen one at once. Where one serves, they are not. */
static void see_all(struct model_set *set)
{
    for (size_t i = 0; i < set->list.count && !set->serving; i++) {
        set->list.items[i].is_wanted = false;
    }
}

static void activate(struct model_set *set, const struct orderer *by, const char *version)
{
    const struct listed_version *v = resolve(set, version);
    if (!v) {
        model_set_answer_unknown(set, by->ex, version);
        return;
    }
    struct generation *g = ready(set, v->name);
    if (g && g == set->serving && model_publish_is_decided(set)) {
        model_attempt_answer(by->ex, "unchanged", g);
    } else if (!is_busy(set, by->ex)) {
        see_all(set);
        if (g) {
            publish_loaded(set, g, by, LOAD_TO_SERVE);
        } else {
            begin(set, by, v->name, LOAD_TO_SERVE);
        }
    }
}

void model_set_activate(struct model_set *set, struct http_exchange *ex, const char *version)
{
    const struct orderer by = {.ex = ex};
    activate(set, &by, version);
}

void model_set_order(struct model_set *set, const char *version, const char *who)
{
    const struct orderer by = {.who = who};
    activate(set, &by, version);
}

static struct generation *kept_number(const struct model_set *set, uint64_t number)
{
    for (size_t i = 0; i < set->n_kept; i++) {
        if (set->kept[i]->number == number && !set->kept[i]->is_aside) {
            return set->kept[i];
        }
    }
    return NULL;
}

void model_set_roll_back(struct model_set *set, struct http_exchange *ex)
{
    if (is_busy(set, ex)) {
        return;
    }
    if (set->n_history == 0) {
        model_attempt_answer_error(ex, 409, "no_earlier_version",
                                   "no other version served before this one");
        return;
    }
    const struct past *p = &set->history[set->n_history - 1];
    struct generation *g = kept_number(set, p->number);
    if (!g && !model_list_find(&set->list, p->version)) {
        model_set_answer_unknown(set, ex, p->version);
        return;
    }
    const struct orderer by = {.ex = ex};
    if (g) {
        publish_loaded(set, g, &by, LOAD_TO_GO_BACK);
    } else {
        begin(set, &by, p->version, LOAD_TO_GO_BACK);
    }
}

void model_set_reload(struct model_set *set, struct http_exchange *ex, bool force)
{
    model_watch_now(set->watch);
    if (is_busy(set, ex)) {
        return;
    }
    if (!set->serving) {
        model_attempt_answer_error(ex, 409, "not_loaded", "no version is loaded");
        return;
    }
    const struct load_wish wish = {
        .version = set->serving->model->version, .if_changed = !force, .ex = ex};
    model_attempt_begin(set, &wish);
}

void model_set_load(struct model_set *set, struct http_exchange *ex, const char *version)
{
    const struct listed_version *v = version[0]     ? resolve(set, version)
                                     : set->serving ? NULL
                                                    : model_set_newest_able(set);
    struct generation *g = v            ? model_set_loaded(set, v->name)
                           : version[0] ? NULL
                                        : set->serving;
    if (g && set->serving) {
        model_attempt_answer(ex, "unchanged", g);
    } else if (!v && version[0]) {
        model_set_answer_unknown(set, ex, version);
    } else if (!v) {
        const char *problem = model_set_problem(set);
        model_attempt_answer_error(ex, 422, "load_failed",
                                   problem ? problem : "the model has no version");
    } else if (!is_busy(set, ex)) {
        set->is_wanted = true;
        if (version[0]) {
            see_all(set);
        }
        const struct orderer by = {.ex = ex};
        if (g) {
            /* A request that named it has had it loaded beside nothing. */
            publish_loaded(set, g, &by, LOAD_TO_SERVE);
        } else {
            begin(set, &by, v->name, set->serving ? LOAD_TO_KEEP : LOAD_TO_SERVE);
        }
    }
}

/* Whether that is possible; where it is not, that is answered. */
static bool may_unload(const struct model_set *set, struct http_exchange *ex,
                       const struct listed_version *v)
{
    const struct generation *g = v ? model_set_loaded(set, v->name) : set->serving;
    if (set->is_default && g && g == set->serving) {
        model_attempt_answer_error(ex, 409, "default_model",
                                   "requests that name no model get this version; it stays "
                                   "until another one serves");
        return false;
    }
    if (!g && (v || set->n_kept == 0)) {
        model_attempt_answer_error(ex, 409, "not_loaded", "it is not loaded");
        return false;
    }
    return !is_busy(set, ex);
}

/* Accepts NULL. */
static void unload(struct model_set *set, struct generation *g, const struct http_exchange *ex)
{
    if (g) {
        model_publish_unloaded(set, g, ex, NULL);
        model_set_drop(set, g, MODEL_UNLOADED_BY_ADMIN);
    }
}

bool model_set_unload(struct model_set *set, struct http_exchange *ex, const char *version)
{
    const struct listed_version *v = version[0] ? resolve(set, version) : NULL;
    if (version[0] && !v) {
        model_set_answer_unknown(set, ex, version);
        return false;
    }
    if (!may_unload(set, ex, v)) {
        return false;
    }
    if (v) {
        unload(set, model_set_loaded(set, v->name), ex);
        return true;
    }
    while (set->n_kept > 0) {
        unload(set, set->kept[set->n_kept - 1], ex);
    }
    unload(set, set->serving, ex);
    return true;
}

void model_set_abandon(struct model_set *set, struct http_exchange *ex)
{
    if (set && set->attempt && set->attempt->ex == ex) {
        set->attempt->ex = NULL;
    }
    if (set) {
        model_state_abandon(set->journal, ex);
    }
}
