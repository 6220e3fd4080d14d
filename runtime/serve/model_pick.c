#include "runtime/serve/model_pick.h"

#include <stdio.h>
#include <string.h>

#include "runtime/serve/model_label.h"

#define LISTED_MAX 300 /* bytes of names in a message */

/* --- messages --- */

static int say(struct err *e, enum err_kind kind, const struct server *s, const char *asked,
               const char *what)
{
    struct buf names;
    buf_init(&names, 1 << 20);
    for (size_t i = 0; i < s->catalog->n_sets; i++) {
        model_set_list_names(s->catalog->sets[i], s->set.load_on_demand, &names);
    }
    bool is_long = names.len > LISTED_MAX;
    err_set_param(e, kind, "model", "the model \"%.100s\" %s; %.*s%s may be asked for", asked,
                  what, (int)(is_long ? LISTED_MAX : names.len), names.data ? names.data : "",
                  is_long ? " ..." : "");
    buf_deinit(&names);
    return -1;
}

/* --- a model --- */

/* The model that a request names, and what it says behind the name: "version" or
 * "sha256:PREFIX", NULL for nothing. */
static struct model_set *find_set(const struct server *s, const char *asked, const char **pin,
                                  struct err *e)
{
    *pin = NULL;
    if (!asked) {
        return s->models;
    }
    size_t len = strcspn(asked, "@");
    struct model_set *set = model_catalog_find(s->catalog, asked, len);
    if (!set) {
        say(e, ERR_NOT_FOUND, s, asked, "does not exist here");
    } else if (asked[len] == '@') {
        *pin = asked + len + 1;
    }
    return set;
}

/* --- a version of it --- */

/* It is there, and somebody would have to load it. version: "" for some. */
static struct generation *not_loaded(const struct server *s, struct model_set *set,
                                     const char *version, const struct model_ask *ask,
                                     struct err *e)
{
    bool is_coming = !version[0] && model_set_is_coming(set);
    if (ask->missing && (s->set.load_on_demand || is_coming)) {
        ask->missing->set = set;
        snprintf(ask->missing->version, sizeof(ask->missing->version), "%s", version);
    }
    say(e, ERR_NOT_LOADED, s, ask->model ? ask->model : model_set_name(set),
        is_coming ? "is being loaded"
                  : "is not loaded (the owner of this server loads it with weir ctl models "
                    "load)");
    return NULL;
}

/* The one that the request names. */
static struct generation *find_version(const struct server *s, struct model_set *set,
                                       const struct model_ask *ask, const char *pin,
                                       struct err *e)
{
    struct model_version_info info;
    const char *labelled = model_label_asked(set, ask->model);
    struct generation *g =
        labelled ? model_set_loaded(set, labelled) : model_set_find_loaded(set, ask->model);
    if (g) {
        return g;
    }
    if (labelled) {
        return not_loaded(s, set, labelled, ask, e);
    }
    if (!model_set_find_version(set, pin, &info)) {
        say(e, ERR_NOT_FOUND, s, ask->model, "does not exist here");
        return NULL;
    }
    return not_loaded(s, set, info.name, ask, e);
}

/* The request named none. */
static struct generation *choose_version(const struct server *s, struct model_set *set,
                                         const struct model_ask *ask, struct err *e)
{
    struct generation *g = model_set_serving(set);
    const struct model_traffic *t = model_set_traffic(set);
    bool by_conversation = t->is_by_conversation && ask->conversation != 0;
    return g ? model_traffic_choose(t, g, by_conversation ? ask->conversation : ask->sticky)
             : not_loaded(s, set, "", ask, e);
}

static struct generation *pick_alone(const struct server *s, const char *asked, struct err *e)
{
    if (!asked || generation_is_named(s->generation, asked)) {
        return s->generation;
    }
    err_set_param(e, ERR_NOT_FOUND, "model",
                  "the model \"%.100s\" does not exist here; \"%s\" is served", asked,
                  s->generation->model->name);
    return NULL;
}

struct generation *model_pick(const struct server *s, const struct model_ask *ask,
                              struct err *e)
{
    const char *pin;
    const char *asked = ask->model;
    if (!s->catalog) {
        return pick_alone(s, asked, e);
    }
    struct model_set *set = find_set(s, asked, &pin, e);
    if (!set) {
        return NULL;
    }
    return pin ? find_version(s, set, ask, pin, e) : choose_version(s, set, ask, e);
}

const struct generation *model_pick_only(const struct server *s)
{
    bool is_only = !s->catalog || (s->catalog->n_sets == 1 && !s->set.load_on_demand &&
                                   !model_set_kept(s->models, 0));
    return is_only ? s->generation : NULL;
}
