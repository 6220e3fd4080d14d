#include "runtime/serve/model_pick.h"

#include <string.h>

/* What the request asks for, whoever it is from. */
static struct generation *find(const struct server *s, const struct model_ask *ask,
                               struct err *e)
{
    if (!ask->model || generation_is_named(s->generation, ask->model)) {
        return s->generation;
    }
    if (s->models) {
        return model_set_find_kept(s->models, ask->model, e);
    }
    err_set_param(e, ERR_NOT_FOUND, "model",
                  "the model \"%.100s\" does not exist here; \"%s\" is served", ask->model,
                  s->generation->model->name);
    return NULL;
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

/* The loaded version that the pin names, or NULL. */
static const struct generation *pinned_version(const struct server *s, const char *pin)
{
    struct err ignored = {0};
    return find(s, &(struct model_ask){.model = pin}, &ignored);
}

/* The same version by another name: its hash, or what /v1/models calls it. */
static bool is_pinned_version(const struct server *s, const char *pin, const char *asked)
{
    const struct generation *g = pinned_version(s, pin);
    return g && is_of_model(pin, asked) && generation_is_named(g, asked);
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

bool model_pick_may_get(const struct server *s, const struct http_request *http,
                        const struct generation *g)
{
    const char *pin = access_model_of(&s->set.access, http);
    if (!pin) {
        return true;
    }
    return strchr(pin, '@') ? pinned_version(s, pin) == g : generation_is_named(g, pin);
}

struct generation *model_pick(const struct server *s, const struct model_ask *ask,
                              struct err *e)
{
    struct model_ask pinned = *ask;
    return pinned_by_key(s, &pinned, e) == 0 ? find(s, &pinned, e) : NULL;
}

const struct generation *model_pick_only(const struct server *s)
{
    bool is_only = !s->models || !model_set_kept(s->models, 0);
    return is_only ? s->generation : NULL;
}
