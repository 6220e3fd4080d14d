#include "runtime/serve/chain_pick.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/serve/chain_set.h"
#include "runtime/serve/generation.h"
#include "runtime/serve/model_catalog.h"
#include "runtime/serve/request_watch.h"

const char *chain_pick_for_model(const struct server_settings *set, const char *model)
{
    size_t len = strlen(model);
    for (size_t i = 0; i < set->n_filters_for; i++) {
        const char *pair = set->filters_for[i];
        if (strncmp(pair, model, len) == 0 && pair[len] == '=') {
            return pair + len + 1;
        }
    }
    return NULL;
}

int chain_pick(const struct server *s, struct http_exchange *http, const char *model,
               struct chain **out, struct err *e)
{
    const struct http_request *request = http_exchange_request(http);
    const char *name = access_filters_of(&s->set.access, request);
    if (!name) {
        name = chain_pick_for_model(&s->set, model);
    }
    if (!name) {
        name = s->set.filters_chain;
    }
    const struct served_chain *served = chain_set_find(&s->chains, name);
    if (!served) {
        request_watch_log_error(
            http, "a request is refused: filter chain \"%s\" is not published", name);
        return err_set_param(e, ERR_NOT_FOUND, "filters",
                             "the filter chain \"%s\", which this request must pass, is not "
                             "published; tell the owner of this server",
                             name);
    }
    *out = served->chain;
    return 0;
}

static void warn(const struct server *s, const char *name)
{
    if (!chain_set_find(&s->chains, name)) {
        log_warn("filter chain \"%s\" is not published: requests that must pass it are refused",
                 name);
    }
}

static const char *chain_of(const char *pair)
{
    return pair + strcspn(pair, "=") + 1;
}

/* Whether one of the first n pairs names the chain. */
static bool was_named(const struct server *s, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(chain_of(s->set.filters_for[i]), name) == 0) {
            return true;
        }
    }
    return strcmp(s->set.filters_chain, name) == 0;
}

/* A name that is written wrong leaves a model without the chain that its owner wanted. */
static void warn_unknown(const struct server *s, const char *pair)
{
    int len = (int)strcspn(pair, "=");
    const char *served = s->generation ? s->generation->model->name : "";
    char name[MODEL_NAME_MAX];
    snprintf(name, sizeof(name), "%.*s", len, pair);
    if (s->generation && served_adapters_find(&s->generation->adapters, "", name)) {
        return;
    }
    if (s->catalog && !model_catalog_find(s->catalog, pair, (size_t)len)) {
        log_warn("--filters-for: the repository has no model \"%.*s\" now", len, pair);
    } else if (!s->catalog && (strncmp(served, pair, (size_t)len) != 0 || served[len])) {
        log_warn("--filters-for: the model is \"%s\", not \"%.*s\"", served, len, pair);
    }
}

void chain_pick_warn(const struct server *s)
{
    warn(s, s->set.filters_chain);
    for (size_t i = 0; i < s->set.n_filters_for; i++) {
        const char *pair = s->set.filters_for[i];
        if (!was_named(s, i, chain_of(pair))) {
            warn(s, chain_of(pair));
        }
        warn_unknown(s, pair);
    }
}
