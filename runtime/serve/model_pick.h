/* model_pick.h: which loaded model, and which version of it, a request gets.
 *
 * A request asks for "name", "name@version" or "name@sha256:PREFIX", or for nothing: then it
 * gets what serves. A key that is for one model or one version (key_file.h) gets that, and
 * nothing else.
 *
 * Threads: the loop. */
#pragma once

#include "runtime/serve/server.h"

/* What a pick may depend on beside the server. */
struct model_ask {
    const struct http_request *http; /* whose key it is */
    const char *model;               /* what the request says, or NULL */
    uint64_t sticky;                 /* the same for the same caller or conversation; 0: any */
};

/* Borrowed. NULL: ERR_NOT_FOUND, param "model", which says what may be asked for; ERR_DENIED,
 * the same param: the key is for another one. */
struct generation *model_pick(const struct server *s, const struct model_ask *ask,
                              struct err *e);

/* Whether a request with that key can get it at all, whatever it says. */
bool model_pick_may_get(const struct server *s, const struct http_request *http,
                        const struct generation *g);

/* The generation that every request gets, whatever it says; NULL where there are several. */
const struct generation *model_pick_only(const struct server *s);
