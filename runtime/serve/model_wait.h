/* model_wait.h: requests that wait for a model to be loaded.
 *
 * A request that needs one which is not loaded, but may be (--load-on-demand, or another
 * version of it is about to serve), is parked: what was made of it is dropped, its HTTP
 * exchange stays, and when the model is there it goes its way again from the beginning. When
 * the model cannot be loaded it is answered with an error. A client that leaves is forgotten;
 * so is one whose deadline is over.
 *
 * Of each model so many may wait as its engine can take at once when it is there: --parallel
 * and --queue together.
 *
 * Threads: the loop's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "runtime/base/err.h"
#include "runtime/net/http_server.h"
#include "runtime/registry/version_name.h"

struct model_set;
struct model_wait;
struct server;

/* What would have to be loaded. */
struct model_missing {
    struct model_set *set;              /* NULL: nothing */
    char version[VERSION_NAME_MAX + 1]; /* "": whichever serves then */
};

/* Those of a server; zeroes are none. */
struct model_waits {
    struct model_wait *first; /* in the order in which they came */
    size_t count;
    uv_timer_t timer; /* for their deadlines */
    size_t n_deadlines;
    struct model_wait *on_its_way; /* its dispatch runs, and it has not come back */
};

void model_waits_init(struct server *s);
void model_waits_close(struct server *s); /* none waits any more */

/* The end of a request that could not be answered, whose data is NULL: parks it if `missing`
 * says so (set not NULL), else answers with *e. deadline_ms: of the request, from when it came;
 * 0: none. Begins to load what it waits for. */
void model_wait_or_refuse(struct server *s, struct http_exchange *http,
                          const struct model_missing *missing, int64_t deadline_ms,
                          const struct err *e);

/* Whether the request needs the default model while a version of it is on its way: then it was
 * parked. */
bool model_wait_for_default(struct server *s, struct http_exchange *http);

/* When a request that is on its way again was parked, clock_now_ns(); else 0. */
uint64_t model_wait_since(const struct server *s, const struct http_exchange *http);

/* The client is gone. False: it did not wait here. */
bool model_wait_abort(struct server *s, struct http_exchange *http);

bool model_wait_has(const struct model_set *set);
size_t model_wait_count(const struct server *s, const struct model_set *set);

/* A version of the set was loaded, or was not. */
struct model_wait_outcome {
    struct model_set *set;
    char failed[VERSION_NAME_MAX + 1]; /* the version that was not; "" */
    bool was_to_serve;                 /* and not to be kept */
    struct err why;
};

/* Those for whom it is there go their way; those for whom it will not come are answered; for
 * the others the next load begins. */
void model_wait_settle(const struct model_wait_outcome *outcome);
