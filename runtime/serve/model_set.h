/* model_set.h: the versions of the model in a repository: which there are, which serves, and
 * how another one comes to.
 *
 * The folder is watched. A version that appears, or whose files change, and is not older than
 * the one that serves, is loaded off the loop, tried (model_gate.h) and published by a swap of
 * one pointer; one that fails changes nothing, keeps the reason, and is not tried again until
 * its files change or an admin asks for it. The generation before stays loaded for an instant
 * rollback, and for requests that name it.
 *
 * At the start the newest version that can serve does.
 *
 * Threads: the loop's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/net/http_server.h"
#include "runtime/serve/generation.h"

#define MODEL_SET_KEPT_MAX 16

struct server;
struct model_set;

enum model_state {
    MODEL_AVAILABLE, /* it is there, and was not tried in this state */
    MODEL_LOADING,
    MODEL_SERVING,
    MODEL_KEPT, /* loaded, but requests get it only if they name it */
    MODEL_FAILED,
};

/* What is known of a version, borrowed until the loop goes on. */
struct model_version_info {
    const char *name;
    enum model_state state;
    const char *problem;                   /* why it failed, or its new files did; or NULL */
    const char *report;                    /* of the gate, JSON, or NULL */
    const struct generation *generation;   /* where it is loaded, else NULL */
    const struct model_manifest *manifest; /* NULL: model.json is broken */
};

/* "serving", "available" ... */
const char *model_state_name(enum model_state state);

/* Looks at `root` and publishes the newest version of `name` (NULL: the only one) that can
 * serve, before it returns; then goes on watching. keep: generations that stay loaded behind
 * the one that serves, at most MODEL_SET_KEPT_MAX. NULL: there is none; *e says why the last
 * one that was tried cannot. */
struct model_set *model_set_start(struct server *s, const char *root, const char *name,
                                  int keep, struct err *e);

/* Lets go of kept generations and of what keeps the loop alive; the memory is released when
 * that is over. Accepts NULL. */
void model_set_stop(struct model_set *set);

/* A version is being loaded. */
bool model_set_is_loading(const struct model_set *set);

const char *model_set_name(const struct model_set *set);

/* The versions, newest first, those among them that are gone from the folder but still loaded.
 * i < model_set_count. */
size_t model_set_count(const struct model_set *set);
struct model_version_info model_set_at(const struct model_set *set, size_t i);

/* Whether there is one of that name. */
bool model_set_find(const struct model_set *set, const char *version,
                    struct model_version_info *out);

/* A kept generation that a request names, borrowed. NULL: ERR_NOT_FOUND, param "model", which
 * says what may be asked for. */
struct generation *model_set_find_kept(const struct model_set *set, const char *asked,
                                       struct err *e);

/* The i-th kept generation, or NULL behind the last one. */
const struct generation *model_set_kept(const struct model_set *set, size_t i);

/* Serves another version: at once if it is loaded, else when it has been loaded and tried. `ex`
 * (may be NULL) is answered then: 200 with "published" or "unchanged", 422 with the reason. It
 * is also answered when that cannot begin: 404 for a version (or label) that does not exist,
 * 409 while another one is being loaded. */
void model_set_activate(struct model_set *set, struct http_exchange *ex, const char *version);

/* The same for the generation that served before the present one; 409 when there was none. */
void model_set_roll_back(struct model_set *set, struct http_exchange *ex);

/* Looks at the folder now, and loads the version that serves anew if its files have changed,
 * or in any case (force). Answers `ex` as model_set_activate does. */
void model_set_reload(struct model_set *set, struct http_exchange *ex, bool force);

/* The admin's client is gone; what was begun goes on. */
void model_set_abandon(struct model_set *set, struct http_exchange *ex);
