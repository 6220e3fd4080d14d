/* version_store.h: things with names, each a sequence of versions, kept over restarts.
 *
 * What a version says is a text of its kind: a prompt (prompt_store.h) or a filter chain
 * (chain_store.h). This keeps the texts, numbers them 1, 2, 3 ..., and knows which one is
 * active; it does not read them.
 *
 * An SQLite file in WAL mode with synchronous=FULL: when a change returns 0 it survives kill -9
 * and loss of power; when it returns -1 nothing of it happened. Each change writes its audit
 * row in the same transaction. A text that is not what was stored any more is not handed out.
 *
 * Each object has a revision, a number that every change of it increments and that is never
 * used twice, also not after the object was deleted: use it as ETag. After a change the caller
 * gets the object as it then is; of two that finish at the same time the greater revision is
 * the newer state.
 *
 * Another process may use the file too; what it changes is seen by the next call.
 *
 * Threads: any, at the same time. Calls wait for the disk: not on the event loop.
 *
 * Errors: ERR_NOT_FOUND (e->param "version", "label", or what the kind calls its objects:
 * "profile", "chain"), ERR_CONFLICT (the revision is another than expected), ERR_INVALID and
 * ERR_LIMIT as said, ERR_BUSY (another process held the file for seconds), ERR_NOMEM, ERR_IO
 * (disk full, damaged, not writable: the message names the file and what to do). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/hash.h"
#include "runtime/registry/version_name.h"

#define VERSION_OBJECTS_MAX 1024  /* of a kind */
#define VERSION_COUNT_MAX   10000 /* of an object, deleted ones not counted */
#define VERSION_LABELS_MAX  64    /* of an object */
#define VERSION_PAGE_MAX    1000  /* items of one list call */
#define VERSION_ACTOR_MAX   128
#define VERSION_ACTION_MAX  15
#define VERSION_STATE_MAX   320 /* bytes of an audit row's `before` and `after` */
#define VERSION_REASON_MAX  255

/* What `weir serve` has when nobody has said otherwise; it cannot be deleted. */
#define VERSION_DEFAULT_NAME "default"

enum version_kind {
    VERSION_PROMPTS,
    VERSION_FILTERS,
    VERSION_MODELS, /* in the audit; what is kept of them is model_store.h's */
    VERSION_KINDS,
};

/* "prompt", "filters", "model". */
const char *version_kind_name(enum version_kind kind);
/* VERSION_KINDS: none of that name. */
enum version_kind version_kind_named(const char *name);

struct version_database;
struct version_store; /* what a database has of one kind */

/* Creates the file (readable by its owner only) where there is none; NULL: in memory, for
 * tests and for a server that keeps nothing. A file of an older Weir is brought to the present
 * form. Refused with a message: a file of a newer Weir, of another program, damaged, or one
 * that cannot be written. */
struct version_database *version_database_open(const char *path, struct err *e);
void version_database_close(struct version_database *d); /* accepts NULL; no call is running */

/* Borrowed from the database. */
struct version_store *version_database_store(struct version_database *d,
                                             enum version_kind kind);

struct version_state {
    char name[VERSION_NAME_MAX + 1];
    uint64_t revision;
    uint64_t latest;     /* the highest version number ever given; it may have been deleted */
    uint64_t active;     /* 0: none yet */
    uint64_t split;      /* the version that gets split_percent of the requests; 0: no split */
    int split_percent;   /* 1 to 99; 0: no split */
    uint64_t n_versions; /* that are there */
    int64_t updated;     /* Unix seconds */
};

/* --- changes ---
 *
 * `after`, or NULL, gets the object as it is after the change. */

struct version_change {
    const char *actor; /* who, for the audit: UTF-8, at most VERSION_ACTOR_MAX bytes, or NULL */
    uint64_t if_match; /* the revision that the object must have; 0: any */
    bool if_new;       /* the object must not exist yet (If-None-Match: *) */
    /* Of version_store_put: the number that the version gets, where others have numbered it.
     * ERR_CONFLICT: a version of that number is there. 0: the next one. */
    uint64_t number;
};

/* What a new version is to be. Texts are borrowed. */
struct version_draft {
    const char *content; /* NUL-terminated */
    const char *sha256;  /* of what it means, in hex; said of it in lists */
    const char *author;  /* or ""; with the note as version_origin_check wants it */
    const char *note;    /* or "" */
    int detail;          /* of the kind's own, for lists */
    size_t size;         /* likewise */
    uint64_t above;      /* the number shall be greater than that */
};

/* Where the new version stands. */
struct version_stored {
    uint64_t number;
    int64_t created; /* Unix seconds */
};

/* Stores `draft` as the next version, creating the object if need be, and with `activates`
 * makes it active in the same step. */
int version_store_put(struct version_store *s, const char *name,
                      const struct version_draft *draft, bool activates,
                      const struct version_change *change, struct version_stored *stored,
                      struct version_state *after, struct err *e);

/* Makes a version active and ends a split. Nothing changes, nor the revision, if it is so
 * already. */
int version_store_activate(struct version_store *s, const char *name, uint64_t version,
                           const struct version_change *change, struct version_state *after,
                           struct err *e);

/* Makes the version active that was so before the one that is now, and ends a split. Called
 * again it goes back further; deleted versions are passed over. ERR_INVALID: there is none. */
int version_store_rollback(struct version_store *s, const char *name,
                           const struct version_change *change, struct version_state *after,
                           struct err *e);

/* Of all requests `percent` (1 to 99) get `version`, the others the active one. Percent 0 ends
 * the split. */
int version_store_split(struct version_store *s, const char *name, uint64_t version,
                        int percent, const struct version_change *change,
                        struct version_state *after, struct err *e);

/* Points a label at a version, or moves it there. A label has the form of an object's name, is
 * no number and neither "active" nor "latest". */
int version_store_set_label(struct version_store *s, const char *name, const char *label,
                            uint64_t version, const struct version_change *change,
                            struct version_state *after, struct err *e);
int version_store_remove_label(struct version_store *s, const char *name, const char *label,
                               const struct version_change *change, struct version_state *after,
                               struct err *e);

/* Its number is not given again. ERR_INVALID, with the remedy: it is active, in a split, or has
 * a label. */
int version_store_delete_version(struct version_store *s, const char *name, uint64_t version,
                                 const struct version_change *change,
                                 struct version_state *after, struct err *e);

/* Deletes an object with all versions and labels; audit rows stay, and if it is made again its
 * numbers go on. `after` has no active version, and the revision of the deletion. Whether
 * something else refers to it is the caller's to know. ERR_INVALID: it is "default". */
int version_store_delete(struct version_store *s, const char *name,
                         const struct version_change *change, struct version_state *after,
                         struct err *e);

/* --- reading --- */

/* A version as it was stored. Texts are the reader's: version_text_deinit. */
struct version_text {
    char name[VERSION_NAME_MAX + 1];
    uint64_t number; /* 0: none */
    int64_t created;
    char sha256[HASH_HEX_LEN + 1];
    char *content;
    char *author;
    char *note;
};

void version_text_deinit(struct version_text *t);

/* `which`: a number, a label, "active" (NULL too) or "latest" (the newest that is there). After
 * a failure there is nothing to release. */
int version_store_get(struct version_store *s, const char *name, const char *which,
                      struct version_text *out, struct err *e);

/* The object, its active version and the one of a split, all of one moment; number 0 where
 * there is none. Any pointer may be NULL. After a failure there is nothing to release. */
int version_store_load(struct version_store *s, const char *name, struct version_state *state,
                       struct version_text *active, struct version_text *split, struct err *e);

/* Calls back with every object that has an active version, by name, for start-up. Texts are
 * borrowed. A callback that returns -1 fills its *e and ends the walk. It may call the store.
 */
typedef int version_active_fn(void *ctx, const struct version_state *state,
                              const struct version_text *active,
                              const struct version_text *split, struct err *e);
int version_store_load_active(struct version_store *s, version_active_fn *fn, void *ctx,
                              struct err *e);

/* For who reads a stored text and cannot: the error, which was of a request's field, becomes
 * one of the file. Returns -1. */
int version_store_damaged(const struct version_store *s, const struct version_text *t,
                          struct err *e);

/* Lists fill a new array (*out, mem_free; NULL when *n is 0) with up to `limit` items, at most
 * VERSION_PAGE_MAX. A full page may have a next one: pass its last item's key. */

/* By name, beginning behind the name `after` (NULL: with the first). */
int version_store_objects(struct version_store *s, const char *after, size_t limit,
                          struct version_state **out, size_t *n, struct err *e);

struct version_info {
    uint64_t version;
    char sha256[HASH_HEX_LEN + 1];
    int64_t created; /* Unix seconds */
    int detail;      /* of the draft */
    size_t size;
    char author[VERSION_AUTHOR_MAX + 1];
    char note[VERSION_NOTE_MAX + 1];
};

/* Newest first, beginning below `before` (0: with the newest). */
int version_store_versions(struct version_store *s, const char *name, uint64_t before,
                           size_t limit, struct version_info **out, size_t *n, struct err *e);

struct version_label {
    char name[VERSION_NAME_MAX + 1];
    uint64_t version;
};

/* All labels of an object, by name. */
int version_store_labels(struct version_store *s, const char *name, struct version_label **out,
                         size_t *n, struct err *e);

struct version_audit {
    uint64_t id;  /* greater is later */
    int64_t time; /* Unix seconds */
    enum version_kind kind;
    char actor[VERSION_ACTOR_MAX + 1];
    /* put, activate, rollback, split, label, unlabel, delete_version, delete_profile,
     * delete_chain; those of models: enum model_action */
    char action[VERSION_ACTION_MAX + 1];
    char name[VERSION_NAME_MAX + 1];
    char subject[VERSION_NAME_MAX + 1]; /* the version or label that the action was about */
    char before[VERSION_STATE_MAX];     /* "3", "3 and 10% 4", or "" */
    char after[VERSION_STATE_MAX];
    char reason[VERSION_REASON_MAX + 1]; /* of what the server did by itself, or "" */
    uint64_t revision;                   /* of the object, after the change */
};

/* Of which objects; the changes of all kinds have one order. */
struct version_audit_filter {
    enum version_kind kind; /* VERSION_KINDS: any */
    const char *name;       /* NULL: any */
};

/* Newest first, beginning below the id `before` (0: with the newest). */
int version_database_audit(struct version_database *d,
                           const struct version_audit_filter *filter, uint64_t before,
                           size_t limit, struct version_audit **out, size_t *n, struct err *e);
