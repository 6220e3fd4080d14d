/* model_pick.h: which model, and which version of it, a request gets.
 *
 * A request asks for "name@version", "name@sha256:PREFIX" or "name@label". One that asks for
 * "name" or for nothing (the default model) names no version: it gets what serves, or the
 * version that has a share of such requests (model_traffic.h). A key that is for one model or
 * one version (key_file.h) gets that, and nothing else.
 *
 * The name of an adapter (served_adapters.h) means the base model with that adapter, in the
 * version that a request gets which names the base alone. Models go before adapters of the same
 * name. A key that is for a model gets no adapters of it unless it is for the adapter's name.
 *
 * Threads: the loop. */
#pragma once

#include "runtime/serve/server.h"

/* What a pick may depend on beside the server. */
struct model_ask {
    const struct http_request *http; /* whose key it is */
    const char *model;               /* what the request says, or NULL */
    uint64_t sticky;       /* the same for the same caller, conversation or text; 0: the request
                            * gets what serves */
    uint64_t conversation; /* the same without a look at the caller; 0: there is none */
    /* Where to put the adapter that the request names, or NULL for none; without such a place
     * the base model's generation is all that it gets. */
    const struct served_adapter **adapter;
    struct model_missing *missing; /* NULL: it does not wait for what would have to be loaded */
};

/* Borrowed. NULL: ERR_NOT_FOUND, param "model", which says what may be asked for; ERR_DENIED,
 * the same param: the key is for another one; or ERR_NOT_LOADED: then ask->missing says what
 * can be waited for (model_wait.h), if its set is not NULL. */
struct generation *model_pick(const struct server *s, const struct model_ask *ask,
                              struct err *e);

/* Whether the request or its key says which version. */
bool model_pick_names_version(const struct server *s, const struct model_ask *ask);

/* Whether a request with that key can get that version at all, whatever it says. version NULL:
 * whichever serves. */
bool model_pick_may_get(const struct server *s, const struct http_request *http,
                        const char *name, const char *version);

/* The generation that every request gets, whatever it says; NULL where there are several. */
const struct generation *model_pick_only(const struct server *s);
