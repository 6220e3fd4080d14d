#include "runtime/serve/model_pick.h"

#include <stdio.h>
#include <string.h>

#include "runtime/serve/model_label.h"

#define LISTED_MAX 300 /* bytes of names in a message */

/* --- messages --- */

/* What a key is for that is for one model (key_file.h), or NULL; and how long its name is. */
static const char *pin_of(const struct server *s, const struct http_request *http, size_t *len)
{
    const char *pin = access_model_of(&s->set.access, http);
    *len = pin ? strcspn(pin, "@") : 0;
    return pin;
}

static void list_adapters(const struct generation *g, const char *pin, size_t len,
                          struct buf *names)
{
    for (size_t i = 0; g && i < g->adapters.count; i++) {
        const char *name = g->adapters.items[i].name;
        if (!pin || (strlen(name) == len && memcmp(name, pin, len) == 0)) {
            buf_printf(names, "%s\"%s\"", names->len > 0 ? ", " : "", name);
        }
    }
}

/* A key that is for one model is told of no other. */
static void list_names(const struct server *s, const struct http_request *http,
                       struct buf *names)
{
    size_t len;
    const char *pin = pin_of(s, http, &len);
    for (size_t i = 0; i < s->catalog->n_sets; i++) {
        const struct model_set *set = s->catalog->sets[i];
        const char *name = model_set_name(set);
        if (!pin || (strlen(name) == len && memcmp(name, pin, len) == 0)) {
            model_set_list_names(set, s->set.load_on_demand, names);
        }
        list_adapters(model_set_serving(set), pin, len, names);
    }
}

static int say(struct err *e, enum err_kind kind, const struct server *s,
               const struct model_ask *ask, const char *asked, const char *what)
{
    struct buf names;
    size_t len;
    const char *pin = pin_of(s, ask->http, &len);
    buf_init(&names, 1 << 20);
    list_names(s, ask->http, &names);
    const char *listed = names.len > 0 ? names.data : "nothing";
    bool is_long = names.len > LISTED_MAX;
    err_set_param(e, kind, "model", "the model \"%.100s\" %s; %.*s%s may be asked for%s", asked,
                  what, LISTED_MAX, listed, is_long ? " ..." : "",
                  names.len > 0 && pin && pin[len] == '@' ? ", but not with this API key" : "");
    buf_deinit(&names);
    return -1;
}

/* --- a model --- */

/* The model that a request names, and what it says behind the name: "version" or
 * "sha256:PREFIX", NULL for nothing. NULL: there is none. */
static struct model_set *find_set(const struct server *s, const char *asked, const char **pin)
{
    *pin = NULL;
    if (!asked) {
        return s->models;
    }
    size_t len = strcspn(asked, "@");
    struct model_set *set = model_catalog_find(s->catalog, asked, len);
    if (set && asked[len] == '@') {
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
    say(e, ERR_NOT_LOADED, s, ask, ask->model ? ask->model : model_set_name(set),
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
    if (labelled && model_set_find(set, labelled, &info)) {
        return not_loaded(s, set, labelled, ask, e);
    }
    if (labelled || !model_set_find_version(set, pin, &info)) {
        say(e, ERR_NOT_FOUND, s, ask, ask->model, "does not exist here");
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

/* --- adapters --- */

/* Whether g has the adapter; then it is given. */
static bool take_adapter(struct generation *g, const struct model_ask *ask)
{
    const struct served_adapter *found =
        served_adapters_find(&g->adapters, g->model->version, ask->model);
    if (found && ask->adapter) {
        *ask->adapter = found;
    }
    return found != NULL;
}

/* The version of one of the models that has the adapter: that which requests for the model get,
 * or, where that is one on trial without it, what serves. */
static struct generation *find_adapter(const struct server *s, const struct model_ask *ask)
{
    const char *pin = strchr(ask->model, '@');
    for (size_t i = 0; i < s->catalog->n_sets; i++) {
        struct model_set *set = s->catalog->sets[i];
        struct generation *serving = model_set_serving(set);
        struct generation *g = pin ? model_set_loaded(set, pin + 1) : NULL;
        if (g && take_adapter(g, ask)) {
            return g;
        }
        if (!serving) {
            continue;
        }
        struct err ignored;
        struct model_ask plain = *ask;
        plain.missing = NULL;
        g = pin ? serving : choose_version(s, set, &plain, &ignored);
        if (g && take_adapter(g, ask)) {
            return g;
        }
        if (take_adapter(serving, ask)) {
            return serving;
        }
    }
    return NULL;
}

static struct generation *pick_alone(const struct server *s, const struct model_ask *ask,
                                     struct err *e)
{
    const char *asked = ask->model;
    struct generation *g = s->generation;
    if (!asked || generation_is_named(g, asked) || take_adapter(g, ask)) {
        return g;
    }
    struct buf names;
    size_t len;
    const char *pin = pin_of(s, ask->http, &len);
    buf_init(&names, 1 << 20);
    list_adapters(g, pin, len, &names);
    bool several = names.len > 0;
    err_set_param(e, ERR_NOT_FOUND, "model",
                  "the model \"%.100s\" does not exist here; \"%s\"%s%.*s %s served", asked,
                  g->model->name, several ? ", " : "", LISTED_MAX, several ? names.data : "",
                  several ? "are" : "is");
    buf_deinit(&names);
    return NULL;
}

/* What the request asks for, whoever it is from. */
static struct generation *find(const struct server *s, const struct model_ask *ask,
                               struct err *e)
{
    const char *pin;
    const char *asked = ask->model;
    if (!s->catalog) {
        return pick_alone(s, ask, e);
    }
    struct model_set *set = find_set(s, asked, &pin);
    struct generation *adapted = set ? NULL : find_adapter(s, ask);
    if (adapted) {
        return adapted;
    }
    if (!set) {
        say(e, ERR_NOT_FOUND, s, ask, asked, "does not exist here");
        return NULL;
    }
    return pin ? find_version(s, set, ask, pin, e) : choose_version(s, set, ask, e);
}

/* --- keys that are for one model --- */

static size_t name_length(const char *pin)
{
    return strcspn(pin, "@");
}

/* Whether `asked` is a version of the model that the pin names. */
static bool is_of_model(const char *pin, const char *asked)
{
    size_t len = name_length(pin);
    return strncmp(asked, pin, len) == 0 && asked[len] == '@';
}

static bool is_name_or_pin(const char *pin, const char *asked)
{
    size_t len = name_length(pin);
    return strcmp(asked, pin) == 0 || (strncmp(asked, pin, len) == 0 && asked[len] == '\0');
}

/* The version that "name@..." means, loaded or not; NULL: there is none. */
static const char *version_meant(const struct server *s, const char *asked)
{
    const char *pin;
    struct model_version_info info;
    if (!s->catalog) {
        return generation_is_named(s->generation, asked) ? s->generation->model->version : NULL;
    }
    struct model_set *set = find_set(s, asked, &pin);
    const char *labelled = set ? model_label_asked(set, asked) : NULL;
    if (labelled) {
        return labelled;
    }
    return set && pin && model_set_find_version(set, pin, &info) ? info.name : NULL;
}

/* The same version by another name: its hash, or what /v1/models calls it. */
static bool is_pinned_version(const struct server *s, const char *pin, const char *asked)
{
    const char *meant = version_meant(s, pin);
    const char *wanted = is_of_model(pin, asked) ? version_meant(s, asked) : NULL;
    return meant && wanted && strcmp(meant, wanted) == 0;
}

/* A key may be for a model, or for one version of it: that is what a request gets that names
 * none, and others it may not ask for. */
static int pinned_by_key(const struct server *s, struct model_ask *ask, struct err *e)
{
    const char *pin = access_model_of(&s->set.access, ask->http);
    if (!pin) {
        return 0;
    }
    if (!ask->model || is_name_or_pin(pin, ask->model) ||
        (strchr(pin, '@') && is_pinned_version(s, pin, ask->model))) {
        ask->model = pin;
        return 0;
    }
    if (!strchr(pin, '@') && is_of_model(pin, ask->model)) {
        return 0;
    }
    return err_set_param(e, ERR_DENIED, "model",
                         "this API key is for the model \"%s\" and not for \"%.100s\"; leave "
                         "\"model\" out or ask for that one",
                         pin, ask->model);
}

bool model_pick_names_version(const struct server *s, const struct model_ask *ask)
{
    const char *pin = access_model_of(&s->set.access, ask->http);
    return (ask->model && strchr(ask->model, '@')) || (pin && strchr(pin, '@'));
}

bool model_pick_may_get(const struct server *s, const struct http_request *http,
                        const char *name, const char *version)
{
    const char *pin = access_model_of(&s->set.access, http);
    if (!pin || !strchr(pin, '@')) {
        return !pin || strcmp(pin, name) == 0;
    }
    size_t len = name_length(pin);
    const char *meant = version_meant(s, pin);
    return strncmp(name, pin, len) == 0 && name[len] == '\0' && meant && version &&
           strcmp(meant, version) == 0;
}

struct generation *model_pick(const struct server *s, const struct model_ask *ask,
                              struct err *e)
{
    struct model_ask pinned = *ask;
    return pinned_by_key(s, &pinned, e) == 0 ? find(s, &pinned, e) : NULL;
}

const struct generation *model_pick_only(const struct server *s)
{
    bool is_only = !s->catalog || (s->catalog->n_sets == 1 && !s->set.load_on_demand &&
                                   !model_set_kept(s->models, 0));
    return is_only ? s->generation : NULL;
}
