/* model_store.h: what was decided about the versions of a model, kept over restarts: which one
 * serves and which did before, shares of traffic, labels, a canary; which versions were there
 * or were tried; and an audit row of each change.
 *
 * It stands in the database of prompts and filter chains (version_store.h), with the same
 * promises: when a change returns 0 it survives kill -9 and loss of power, when it returns -1
 * nothing of it happened, and its audit row is of the same transaction. Rows of all kinds have
 * one order; those of models are VERSION_MODELS in version_database_audit.
 *
 * Nothing is known here of files: versions are names, and whether one can serve is asked
 * elsewhere.
 *
 * Threads: any, at the same time. Calls wait for the disk: not on the event loop.
 *
 * Errors: those of version_store.h; ERR_INVALID and ERR_LIMIT as said. */
#pragma once

#include "runtime/registry/version_store.h"

#define MODEL_STORE_PAST_MAX   16   /* that a rollback can go back to */
#define MODEL_STORE_LABELS_MAX 64   /* of a model */
#define MODEL_STORE_KNOWN_MAX  2000 /* versions of a model; the first ones are forgotten */

/* --- what is kept --- */

struct model_store_version {
    char version[VERSION_NAME_MAX + 1]; /* "": none */
    char sha256[HASH_HEX_LEN + 1];      /* of the model's file, or "" */
};

struct model_store_share {
    char version[VERSION_NAME_MAX + 1]; /* "": none */
    int percent;
    bool is_by_conversation; /* of a split: and not by key */
};

struct model_store_label {
    char name[VERSION_NAME_MAX + 1];
    char version[VERSION_NAME_MAX + 1];
};

struct model_record {
    char name[VERSION_NAME_MAX + 1];
    uint64_t revision; /* 0: nothing is kept of it; each change increments it */
    int64_t updated;   /* Unix seconds */
    struct model_store_version active;
    bool is_chosen;                                        /* active by an admin's decision */
    struct model_store_version past[MODEL_STORE_PAST_MAX]; /* (n_past), the latest last */
    size_t n_past;
    struct model_store_share split;
    struct model_store_share shadow;
    struct model_store_label labels[MODEL_STORE_LABELS_MAX]; /* (n_labels), by name */
    size_t n_labels;
    char canary[VERSION_NAME_MAX + 1]; /* "": none runs */
    char *canary_plan;                 /* JSON as its owner sees fit; never NULL, perhaps "" */
    char *canary_report;               /* of the one that runs or ran last */
};

/* revision 0 where nothing is kept. After a failure there is nothing to release. */
int model_store_load(struct version_database *d, const char *name, struct model_record *out,
                     struct err *e);
void model_record_deinit(struct model_record *r); /* also of zeroes */

/* A version that was there when the owner chose another, or that was tried. */
struct model_store_known {
    char version[VERSION_NAME_MAX + 1];
    uint64_t stamp; /* of its files then (model_repo_stamp) */
    char *problem;  /* why it could not serve, or "" */
    char *report;   /* of its gate, JSON, or "" */
};

/* All of a model, in the order in which they came to be known: a new array (*out), NULL when
 * *n is 0. */
int model_store_known(struct version_database *d, const char *name,
                      struct model_store_known **out, size_t *n, struct err *e);
void model_store_known_free(struct model_store_known *known, size_t n); /* accepts NULL */

/* --- changes --- */

/* What was done. The audit has the names in small letters. What each needs of struct
 * model_change, beside who:
 *
 *   PUBLISH          a version serves because it is new: version, sha256, stamp, replaced;
 * text: its gate's report ACTIVATE         because somebody chose it: the same, and seen
 *   ROLLBACK         one of the past serves again: the same
 *   RELOAD           the files of the version that serves: the same
 *   FALLBACK         another one serves, since the active one cannot, which stays what is
 *                    wanted: version, reason
 *   LOAD, UNLOAD     version; reason
 *   LOAD_FAILED      version, stamp (0: it may be tried again), reason
 *   GATE_FAILED      the same; text: its report
 *   SPLIT, SHADOW    version, percent (0 ends it), is_by_conversation; reason
 *   LABEL, UNLABEL   label, version
 *   CANARY_BEGIN     version, stamp; text: its plan, as its owner sees fit. A split ends
 *   CANARY_PROGRESS  text: its plan as it is now. No row of the audit
 *   CANARY_PROMOTE   the canary is over, and serves: as PUBLISH; text: its report; reason
 *   CANARY_ROLLBACK  it is over, and has failed: version, stamp; text: its report; reason
 *   CANARY_END       it is over without a decision: version; percent, if the version keeps
 *                    this share; text, reason */
enum model_action {
    MODEL_ACTION_PUBLISH,
    MODEL_ACTION_ACTIVATE,
    MODEL_ACTION_ROLLBACK,
    MODEL_ACTION_RELOAD,
    MODEL_ACTION_FALLBACK,
    MODEL_ACTION_LOAD,
    MODEL_ACTION_UNLOAD,
    MODEL_ACTION_LOAD_FAILED,
    MODEL_ACTION_GATE_FAILED,
    MODEL_ACTION_SPLIT,
    MODEL_ACTION_SHADOW,
    MODEL_ACTION_LABEL,
    MODEL_ACTION_UNLABEL,
    MODEL_ACTION_CANARY_BEGIN,
    MODEL_ACTION_CANARY_PROGRESS,
    MODEL_ACTION_CANARY_PROMOTE,
    MODEL_ACTION_CANARY_ROLLBACK,
    MODEL_ACTION_CANARY_END,
    MODEL_ACTIONS,
};

const char *model_action_name(enum model_action action);

/* A version that is in the folder. */
struct model_store_seen {
    char version[VERSION_NAME_MAX + 1];
    uint64_t stamp;
};

/* Strings are borrowed; what an action does not need may be NULL or 0. */
struct model_change {
    enum model_action action;
    const char *who; /* UTF-8, at most VERSION_ACTOR_MAX bytes; NULL: the server itself */
    const char *version;
    const char *sha256;
    uint64_t stamp;
    const char *replaced;        /* the version that served until now */
    const char *replaced_sha256; /* and its hash */
    const char *label;
    int percent;
    bool is_by_conversation;
    const char *text;
    const char *reason;                  /* for the audit; cut to VERSION_REASON_MAX bytes */
    const struct model_store_seen *seen; /* (n_seen): what the choice was made among */
    size_t n_seen;
};

/* Makes the model known if it was not. `after`, or NULL, gets the model as it is then. */
int model_store_change(struct version_database *d, const char *name,
                       const struct model_change *change, struct model_record *after,
                       struct err *e);
