/* model_set.h: the versions of one model in a repository: which there are, which serves, and
 * how another one comes to.
 *
 * The folder is watched. Where a version serves, one that appears, or whose files change, and
 * is not older, is loaded off the loop, tried (model_gate.h) and published by a swap of one
 * pointer; one that fails changes nothing, keeps the reason, and is not tried again until its
 * files change or an admin asks for it. The generation before stays loaded for an instant
 * rollback, and for requests that name it. With --publish manual a version that appears is only
 * listed, and an admin brings it in.
 *
 * Where none serves, the model is not loaded: nothing is done until it is asked for
 * (model_catalog.h, model_wait.h). Then the version that served last is loaded, or, unless with
 * --publish manual, a newer one that came meanwhile; at the first start, and where that fails,
 * the newest that can serve; with --publish manual the newest that is labelled "stable", if one
 * of these can.
 *
 * Requests that name no version may be shared among several: model_traffic.h.
 *
 * Threads: the loop's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/api/admin_reply.h"
#include "runtime/base/buf.h"
#include "runtime/net/http_server.h"
#include "runtime/serve/generation.h"
#include "runtime/serve/model_traffic.h"

#define MODEL_SET_KEPT_MAX 16

/* Loaded beside the one that serves: those that are kept, and those in use for a while: shares
 * of the traffic, one more while it takes the place of another, and a canary whose share was
 * given to another version. */
#define MODEL_SET_HELD_MAX (MODEL_SET_KEPT_MAX + MODEL_TRAFFIC_HELD_MAX + 2)

#define MODEL_PIN_HASH_MIN 8 /* digits of name@sha256:PREFIX */

struct model_catalog;
struct model_journal;
struct server;
struct model_canary;
struct model_set;

enum model_state {
    MODEL_AVAILABLE, /* it is there, and was not tried in this state */
    MODEL_LOADING,
    MODEL_SERVING,
    MODEL_KEPT, /* loaded, but requests get it only if they name it */
    MODEL_FAILED,
    MODEL_SPLIT,  /* a share of the requests that name no version gets it */
    MODEL_SHADOW, /* copies of requests run on it */
    MODEL_CANARY, /* it has a share to be tried (model_canary.h) */
};

/* What is known of a version, borrowed until the loop goes on. */
struct model_version_info {
    const char *name;
    enum model_state state;
    const char *problem;                   /* why it failed, or its new files did; or NULL */
    bool may_pass;                         /* that was for want of memory, say, and may pass */
    const char *report;                    /* of the gate, JSON, or NULL */
    const struct generation *generation;   /* where it is loaded, else NULL */
    const struct model_manifest *manifest; /* NULL: model.json is broken */
    const char *sha256;                    /* of the model, or NULL: not known yet */
};

/* "serving", "available" ... */
const char *model_state_name(enum model_state state);

/* ---- life: for model_catalog.c ---- */

/* name NULL: the only model that is there. The default's `serving` is the server's too. NULL:
 * *e says why. */
struct model_set *model_set_open(struct model_catalog *c, const char *root, const char *name,
                                 bool is_default, struct err *e);

/* Before it is watched, and before the server answers. Looks at the folder: twice, a moment
 * apart (MODEL_WATCH_APART_MS); loads the newest version that can serve, before it returns. -1:
 * there is none; *e says why the last one that was tried cannot. */
int model_set_look(struct model_set *set, struct err *e);
int model_set_load_at_start(struct model_set *set, struct err *e);
int model_set_watch(struct model_set *set, struct err *e);

/* It is to be loaded as soon as there is a version that can serve. */
void model_set_load_soon(struct model_set *set);

/* Lets go of what is loaded and of what keeps the loop alive; the memory is released when that
 * is over. */
void model_set_stop(struct model_set *set);

/* Whether its folder was there at the last look at the root; and whether the set can be stopped
 * because it is gone for good. */
void model_set_folder_gone(struct model_set *set, bool is_gone);
bool model_set_may_go(const struct model_set *set);

/* Unloads what nobody has used since then: the version that serves, unless that is the
 * default's, those that are kept because they were asked for, and those that are kept behind
 * one that does not serve any more. */
void model_set_drop_idle(struct model_set *set, uint64_t before_ns);

/* ---- what is there ---- */

const char *model_set_name(const struct model_set *set);
bool model_set_is_default(const struct model_set *set);

/* How what is decided here is kept (model_state.h), borrowed. */
struct model_journal *model_set_journal(const struct model_set *set);

/* The generation that requests get which name the model alone, borrowed. NULL: the model is not
 * loaded. */
struct generation *model_set_serving(const struct model_set *set);

/* The version that served when the model was unloaded, here or in an earlier process, and that
 * is loaded when somebody asks for the model. "": one serves, or none ever has. */
const char *model_set_unloaded(const struct model_set *set);

/* Of the model as a whole. MODEL_KEPT: versions are loaded, but none serves. */
enum model_state model_set_state(const struct model_set *set);

/* Why none serves, or NULL. */
const char *model_set_problem(const struct model_set *set);

/* generation.memory_bytes of all that can be asked for. */
uint64_t model_set_memory(const struct model_set *set);

/* The versions, newest first, those among them that are gone from the folder but still loaded.
 * i < model_set_count. */
size_t model_set_count(const struct model_set *set);
struct model_version_info model_set_at(const struct model_set *set, size_t i);

/* Whether there is one of that name. */
bool model_set_find(const struct model_set *set, const char *version,
                    struct model_version_info *out);

/* What is loaded and named so, borrowed: "name" (what serves), "name@version" or
 * "name@sha256:PREFIX"; `asked` begins with the set's name. NULL: it is not loaded. */
struct generation *model_set_find_loaded(const struct model_set *set, const char *asked);

/* The version that a pin ("version", "sha256:PREFIX") means, loaded or not. */
bool model_set_find_version(const struct model_set *set, const char *pin,
                            struct model_version_info *out);

/* Appends the names by which requests can have versions; all: also of those that would have to
 * be loaded. */
void model_set_list_names(const struct model_set *set, bool all, struct buf *out);

/* Begins to load what a request waits for (model_wait.h): a version, to be kept beside what
 * serves, or with "" some version to serve, which may be there at once. -1: there is none that
 * can be loaded. */
int model_set_want(struct model_set *set, const char *version, struct err *e);

/* Whether a version that is to serve is being loaded. */
bool model_set_is_coming(const struct model_set *set);

/* Whether what an admin wants to serve is being stored, and will serve then. */
bool model_set_is_deciding(const struct model_set *set);

/* Of a loaded generation. */
enum model_state model_set_state_of(const struct model_set *set, const struct generation *g);

/* The latest generation of a version, borrowed. NULL: it is not loaded. */
struct generation *model_set_loaded(const struct model_set *set, const char *version);

/* Whether a loaded generation is of the files that stand in the folder, or these are gone. */
bool model_set_is_current(const struct model_set *set, const struct generation *g);

struct model_traffic *model_set_traffic(struct model_set *set);
struct model_canary *model_set_canary(const struct model_set *set);
const struct model_labels *model_set_moved_labels(const struct model_set *set);
struct server *model_set_server(const struct model_set *set);

/* Lets go of generations that are kept beyond what is to be kept and not in use. */
void model_set_trim(struct model_set *set);

/* The i-th generation beside the one that serves, or NULL behind the last one. */
const struct generation *model_set_kept(const struct model_set *set, size_t i);

/* Serves another version: at once if it is loaded, else when it has been loaded and tried. `ex`
 * (may be NULL) is answered then: 200 with "published" or "unchanged", 422 with the reason. It
 * is also answered when that cannot begin: 404 for a version (or label) that does not exist,
 * 409 while another one is being loaded. */
void model_set_activate(struct model_set *set, struct http_exchange *ex, const char *version);

/* The same for an owner who waits elsewhere and looks at model_set_at for what came of it. */
void model_set_order(struct model_set *set, const char *version, const char *who);

/* What is to be done with a version once it is loaded. The holder's until `done`, which is
 * called exactly once, maybe before model_set_hold returns: g is loaded, has passed its gate,
 * and stays if it is in use when done returns. NULL: it could not be, and ex has been answered.
 * ex: NULL when the client did not wait. */
struct model_hold {
    void (*done)(struct model_hold *hold, struct http_exchange *ex, struct generation *g);
};

/* Sees to it that a version (or label) is loaded and can take requests, without publishing it;
 * one that is loaded is loaded anew if its files have changed. Answers `ex` on failure as
 * model_set_activate does. */
void model_set_hold(struct model_set *set, struct http_exchange *ex, const char *version,
                    struct model_hold *to);

/* Answers 404, and says which versions there are. */
void model_set_answer_unknown(const struct model_set *set, struct http_exchange *ex,
                              const char *version);

/* The same for the generation that served before the present one; 409 when there was none. */
void model_set_roll_back(struct model_set *set, struct http_exchange *ex);

/* Looks at the folder now, and loads the version that serves anew if its files have changed,
 * or in any case (force). Answers `ex` as model_set_activate does. */
void model_set_reload(struct model_set *set, struct http_exchange *ex, bool force);

/* Loads a version ("": the one that would serve) and keeps it beside what serves; if nothing
 * serves, it does from then on. Answers `ex` as model_set_activate does, with "loaded" for what
 * is kept. */
void model_set_load(struct model_set *set, struct http_exchange *ex, const char *version);

/* Takes a version out of use ("": all of them); it is unloaded when its requests have ended.
 * False: it was not, and `ex` is answered: 404 for a version that does not exist, 409 for what
 * is not loaded, for what the default model serves, and while a version is being loaded. */
bool model_set_unload(struct model_set *set, struct http_exchange *ex, const char *version);
/* Of the canary (model_canary.c). A generation that is loaded comes to serve; */
void model_set_promote(struct model_set *set, struct generation *g);
/* is let go of, and its version is one that has failed; */
void model_set_reject(struct model_set *set, struct generation *g, const char *reason);
/* and versions that waited meanwhile have their turn. */
void model_set_go_on(struct model_set *set);

/* The admin's client is gone; what was begun goes on. */
void model_set_abandon(struct model_set *set, struct http_exchange *ex);
