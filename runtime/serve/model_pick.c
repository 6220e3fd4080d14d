#include "runtime/serve/model_pick.h"

#include <string.h>

/* Between the versions of a model, for a request that names none. */
static struct generation *choose_version(const struct server *s, const struct model_ask *ask)
{
    if (!s->models) {
        return s->generation;
    }
    const struct model_traffic *t = model_set_traffic(s->models);
    bool by_conversation = t->is_by_conversation && ask->conversation != 0;
    return model_traffic_choose(t, s->generation,
                                by_conversation ? ask->conversation : ask->sticky);
}

struct generation *model_pick(const struct server *s, const struct model_ask *ask,
                              struct err *e)
{
    if (!ask->model || strcmp(ask->model, s->generation->model->name) == 0) {
        return choose_version(s, ask);
    }
    if (generation_is_named(s->generation, ask->model)) {
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

const struct generation *model_pick_only(const struct server *s)
{
    bool is_only = !s->models || !model_set_kept(s->models, 0);
    return is_only ? s->generation : NULL;
}
