/* fleet_parts.h: the things that a fleet has said something of. Internal to fleet.c (what is
 * heard), fleet_item.c (how one thing is brought about) and fleet_report.c (what is said of
 * it).
 *
 * Threads: the loop's. */
#pragma once

#include <uv.h>

#include "runtime/serve/fleet.h"
#include "runtime/serve/server.h"

#define FLEET_ITEMS_MAX 2048

enum fleet_item_state {
    FLEET_ITEM_KEPT,     /* from before the restart; etcd has not been heard since */
    FLEET_ITEM_PENDING,  /* it is to be brought about */
    FLEET_ITEM_APPLYING, /* that is under way */
    FLEET_ITEM_APPLIED,
    FLEET_ITEM_REFUSED,
};

struct fleet_item {
    struct fleet *fleet;
    enum fleet_kind kind;
    char name[VERSION_NAME_MAX + 1];
    bool is_gone;     /* etcd says nothing of it any more; it may come back */
    bool is_heard;    /* by the reading of all that is just done */
    int64_t revision; /* of etcd, of what is wanted */
    int64_t applying; /* the one that is under way; another one may be wanted meanwhile */
    struct fleet_change change; /* wanted */
    bool is_broken;             /* what etcd says cannot be read; `change` is from before */
    enum fleet_item_state state;
    bool is_ordered;   /* of a model: its load was asked for */
    bool is_working;   /* of others: a worker has it, and on_told is to come */
    bool may_change;   /* of one that was refused: it is tried again by and by */
    uint64_t again_at; /* uv_now */
    int64_t refused;   /* the revision that was, last; 0: none since it was applied */
    char problem[ERR_MESSAGE_MAX]; /* why, or "" */
};

struct fleet {
    struct server *server;
    const struct fleet_settings *set;
    struct fleet_link *link; /* NULL before it joins, and after it has left */
    char id[FLEET_ID_MAX + 1];
    uv_timer_t timer;
    bool has_timer;
    struct fleet_item **items; /* (n), each of its own so that work may point to it */
    size_t n, cap;
    bool is_due;     /* what has changed is to be kept and told */
    bool has_joined; /* all of the fleet's was brought about or refused once */
    bool was_heard;  /* ever, by this process or those before */
    bool is_connected;
    bool has_failed;                  /* to connect, at least once */
    int64_t revision;                 /* of etcd: all up to here was heard */
    int64_t kept_heard_ms;            /* before this process */
    int64_t lost_ms;                  /* Unix ms: since then etcd is not reached; 0: it is */
    char why[ERR_MESSAGE_MAX];        /* it is not reached; anybody may read it */
    uint64_t changes[FLEET_KINDS][2]; /* applied, refused */

    char *kept_path; /* owned; NULL: nothing is kept */
    uv_work_t save;
    char *save_text; /* the worker's, while it runs */
    size_t save_len;
    struct err save_error;
    bool is_saving, save_is_due;
    bool save_has_failed; /* and it was logged */
};

/* ---- fleet.c ---- */

/* Some item's state has changed: that is kept and told at the next look at all, */
void fleet_changed(struct fleet *f);

/* or now, if it was the last one that was on its way. */
void fleet_item_is_done(struct fleet *f);

/* ---- fleet_item.c ---- */

/* Whether what is wanted is what requests get. */
bool fleet_item_is_in_force(const struct fleet_item *item);

/* Whether requests get anything by its name. */
bool fleet_item_has_something(const struct fleet_item *item);

/* Goes on with it as far as that goes now. */
void fleet_item_advance(struct fleet_item *item);

/* It is refused: what is in force stays. may_change: it is tried again. */
void fleet_item_refuse(struct fleet_item *item, const char *problem, bool may_change);

/* ---- fleet_report.c ---- */

/* What the replica says of itself, for etcd: JSON, the caller's (mem_free), or NULL. */
char *fleet_report_text(const struct fleet *f, size_t *len);

/* The file that is kept: as text (NULL: no memory), and read back. */
char *fleet_kept_text(const struct fleet *f, size_t *len);
int fleet_kept_read(struct fleet *f, const char *text, size_t len, struct err *e);

/* ---- fleet.c, for fleet_kept_read ---- */

/* The thing of that name, made if need be. NULL: no memory, or there are too many. */
struct fleet_item *fleet_item_get(struct fleet *f, enum fleet_kind kind, const char *name);
