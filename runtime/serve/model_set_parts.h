/* model_set_parts.h: a set of versions and how one of them is loaded. Internal to model_set.c
 * (what there is), model_held.c (what is loaded), model_orders.c (what admins ask for),
 * model_attempt.c, model_publish.c, model_restore.c, model_room.c and model_catalog.c.
 *
 * Threads: the loop's. */
#pragma once

#include "runtime/serve/model_catalog.h"
#include "runtime/serve/model_list.h"
#include "runtime/serve/model_load.h"
#include "runtime/serve/model_set.h"
#include "runtime/serve/model_state.h"
#include "runtime/serve/model_watch.h"
#include "runtime/serve/server.h"

#define HISTORY_MAX 16

/* What becomes of a version that has been loaded. */
enum load_purpose {
    LOAD_TO_SERVE,
    LOAD_TO_GO_BACK, /* it serves again, and the one before it in the history does next */
    LOAD_TO_KEEP,    /* it stays beside what serves, for requests that name it */
};

/* One that served before. */
struct past {
    char version[MODEL_REPO_NAME_MAX + 1];
    uint64_t number; /* of its generation; 0: it is not loaded any more */
};

/* One try to load a version. In the order in which they were begun, one at a time of all sets
 * (catalog.line): files are found and measured on a worker, room is made, the rest is done on
 * a worker again. One for which there is no room until others are idle lets those behind it go
 * first. */
struct attempt {
    uv_work_t work;
    struct attempt *next; /* in the line */
    struct model_set *set;
    struct model_load load;
    struct http_exchange *ex; /* who waits for the outcome, or NULL */
    bool is_asked_for;        /* by an admin, who may be gone */
    char who[VERSION_ACTOR_MAX + 1];
    enum load_purpose purpose;
    struct model_hold *hold; /* or NULL */
    bool is_working;         /* then `load` is the worker's */
    bool has_files;          /* they were found; what is missing is room */
    bool is_patient;         /* there is none before others are idle */
    bool has_no_room;        /* that is why it failed */
    uint64_t began_ns;       /* to wait for room; 0: it never had to */
};

struct model_set {
    struct server *server;
    struct model_catalog *catalog;
    struct model_repo repo; /* `watch` has it; its root and name may be read by all */
    struct model_watch *watch;
    struct model_list list;
    struct generation *serving; /* a reference, or NULL: the model is not loaded */
    bool is_default;            /* what serves is what requests get that name no model */
    bool is_wanted;             /* a version is to serve; if none does, one is being loaded, or
                                   will be when there is one that can */
    bool is_gone;               /* the folder is */
    char resume[MODEL_REPO_NAME_MAX + 1]; /* what served when the model was unloaded, or "" */
    struct generation *kept[MODEL_SET_HELD_MAX + 1]; /* (n_kept), the latest first */
    size_t n_kept;
    size_t keep; /* of these, without those that are in use or were asked for */
    struct model_traffic traffic;
    struct model_canary *canary; /* NULL after the stop */
    /* The restart: to be put back. */
    struct model_store_share split_before, shadow_before, canary_before;
    struct past history[HISTORY_MAX]; /* (n_history), the latest last */
    size_t n_history;
    struct attempt *attempt; /* that stands in the line, or NULL */
    struct model_journal *journal;
    struct publication *publication; /* a decision that is being stored, or NULL */
    bool is_stopped;
};

#define MODEL_UNLOADED_BY_ADMIN "admin" /* a reason; the audit has a row with who it was */

/* ---- model_set.c ---- */

/* Which version is to serve, as far as is known; NULL: there is none that can. */
struct listed_version *model_set_newest_able(const struct model_set *set);

/* Whether it is the canary. */
bool model_set_is_tried(const struct model_set *set, const struct generation *g);

/* Releases a set that is stopped, once nothing points to it. */
void model_set_release(struct model_set *set);

/* ---- model_held.c ---- */

/* Takes the reference over. */
void model_set_publish(struct model_set *set, struct generation *g, bool is_rollback);
void model_set_keep(struct model_set *set, struct generation *g);

/* The same, whatever there is besides; until the next model_set_trim. */
void model_set_hold_on(struct model_set *set, struct generation *g);

/* One that was held on for a use that may not have come: then it goes, rather than take the
 * place of one that is kept for a rollback. And trims. */
void model_set_drop_unused(struct model_set *set, struct generation *g);

/* A reference; the generation is of no use any more unless it serves or is kept. */
void model_set_release_generation(struct model_set *set, struct generation *g);

/* Whether it was among the kept; the reference that the list had is the caller's then. */
bool model_set_take_out(struct model_set *set, const struct generation *g);

/* It is unloaded when the last of its requests has ended. reason: for metrics. */
void model_set_drop(struct model_set *set, struct generation *g, const char *reason);

/* Whether it has a share of the traffic, or is the canary. */
bool model_set_is_in_use(const struct model_set *set, const struct generation *g);

/* Whether nobody uses it, and it is not what must be there. */
bool model_set_may_drop(const struct model_set *set, const struct generation *g);

/* Tries it on a share of the requests, as its model.json wants it. Takes the reference over. */
void model_set_try(struct model_set *set, struct generation *g);

/* It served before what serves now. */
void model_set_remember(struct model_set *set, const char *version, uint64_t number);

/* ---- model_attempt.c ---- */

struct load_wish {
    const char *version;
    enum load_purpose purpose;
    bool if_changed;
    struct http_exchange *ex;
    const char *who;         /* an owner who waits elsewhere, or NULL */
    struct model_hold *hold; /* what is to be done with one that is kept, or NULL */
};

/* Stands in the line from now on; set->attempt is NULL. -1: no memory; ex has been answered. */
int model_attempt_begin(struct model_set *set, const struct load_wish *wish);

/* Nothing serves yet, so there is nobody to keep waiting: loads before it returns. */
int model_attempt_at_start(struct model_set *set, struct listed_version *v, struct err *e);

/* Some memory may have become free: is there room for who waits for it? */
void model_attempt_room_changed(struct model_catalog *c);

/* If who waits for memory does so until others are idle, the next one has its turn: it may fit.
 */
void model_attempt_next_turn(struct model_catalog *c);

/* The set is stopped: one that works ends when it has. */
void model_attempt_cancel(struct model_set *set);

/* Answers an admin whom there may be. */
void model_attempt_answer_error(struct http_exchange *ex, int status, const char *code,
                                const char *message);
void model_attempt_answer(struct http_exchange *ex, const char *outcome,
                          const struct generation *g);

/* ---- model_publish.c ---- */

struct publish_wish {
    enum load_purpose purpose; /* not LOAD_TO_KEEP */
    bool is_asked_for;         /* by an admin: an owner's decision */
    const char *who;
    struct http_exchange *ex; /* who is answered, or NULL */
};

/* `g`, tied to the loop, is to serve. An owner's decision is stored before it is in force, and
 * is refused where that fails. Takes the reference over. */
void model_publish(struct model_set *set, struct generation *g,
                   const struct publish_wish *wish);

/* Whether what serves is what is kept as the choice. */
bool model_publish_is_decided(const struct model_set *set);

/* At the start something serves, perhaps in the place of what was chosen: why that cannot. */
void model_publish_started(struct model_set *set, const char *why_not);

/* Rows of the audit for what has happened. */
void model_publish_failed(struct model_set *set, const struct model_load *l, bool is_final,
                          const char *who);
void model_publish_loaded(struct model_set *set, const struct generation *g, const char *who);
void model_publish_unloaded(struct model_set *set, const struct generation *g,
                            const struct http_exchange *ex, const char *reason);

/* ---- model_restore.c ---- */

/* What was in force before a restart: labels are at once, shares are remembered. */
void model_restore_prepare(struct model_set *set);

/* Puts shares back, or begins to load the next one's version, and then says so. Something
 * serves, and nothing is being loaded. */
bool model_restore_next(struct model_set *set);

/* ---- model_room.c ---- */

enum room {
    ROOM_THERE,
    ROOM_COMING, /* once those are gone that are leaving */
    ROOM_NONE,   /* *e says why: ERR_BUSY if that is only so because others are in use */
};

/* Drives out what is idle, if that does any good, to make room for a load. may_drain: also the
 * version that serves, whose requests are to wait then. */
enum room model_room_make(struct model_set *set, struct model_load *l, bool may_drain,
                          struct err *e);
