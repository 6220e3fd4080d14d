/* prompt_store.h: profiles and versions of prompts, kept over restarts.
 *
 * An SQLite file in WAL mode with synchronous=FULL: when a change returns 0 it survives kill -9
 * and loss of power; when it returns -1 nothing of it happened. Each change writes its audit
 * row in the same transaction.
 *
 * Each profile has a revision, a number that every change of it increments and that is never
 * used twice, also not after the profile was deleted: use it as ETag. After a change the caller
 * gets the profile as it then is; of two that finish at the same time the greater revision is
 * the newer state.
 *
 * Another process may use the file too; what it changes is seen by the next call.
 *
 * Threads: any, at the same time. Calls wait for the disk: not on the event loop.
 *
 * Errors: ERR_NOT_FOUND (e->param "profile", "version" or "label"), ERR_CONFLICT (the revision
 * is another than expected), ERR_INVALID and ERR_LIMIT as said, ERR_BUSY (another process held
 * the file for seconds), ERR_NOMEM, ERR_IO (disk full, damaged, not writable: the message names
 * the file and what to do). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/hash.h"
#include "runtime/registry/prompt.h"

#define PROMPT_PROFILES_MAX 1024
#define PROMPT_VERSIONS_MAX 10000 /* of a profile, deleted ones not counted */
#define PROMPT_LABELS_MAX   64    /* of a profile */
#define PROMPT_PAGE_MAX     1000  /* items of one list call */
#define PROMPT_ACTOR_MAX    128
#define PROMPT_STATE_MAX    64 /* bytes of an audit row's `before` and `after` */

struct prompt_store;

/* Creates the file (readable by its owner only) where there is none; NULL: in memory, for
 * tests and for a server that keeps nothing. Refused with a message: a file of a newer Weir, of
 * another program, damaged, or one that cannot be written. */
struct prompt_store *prompt_store_open(const char *path, struct err *e);
void prompt_store_close(struct prompt_store *s); /* accepts NULL; no call is running */

struct prompt_profile {
    char name[PROMPT_NAME_MAX + 1];
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
 * `after`, or NULL, gets the profile as it is after the change. */

struct prompt_change {
    const char *actor; /* who, for the audit: UTF-8, at most PROMPT_ACTOR_MAX bytes, or NULL */
    uint64_t if_match; /* the revision that the profile must have; 0: any */
    bool if_new;       /* the profile must not exist yet (If-None-Match: *) */
};

/* Stores `draft` as the next version, creating the profile if need be, and with `activates`
 * makes it active in the same step. The draft, which nobody else has yet, becomes that version:
 * name, version and created are filled in. ERR_INVALID: it fails prompt_check. */
int prompt_store_put(struct prompt_store *s, const char *profile, struct prompt *draft,
                     bool activates, const struct prompt_change *change,
                     struct prompt_profile *after, struct err *e);

/* Makes a version active and ends a split. Nothing changes, nor the revision, if it is so
 * already. */
int prompt_store_activate(struct prompt_store *s, const char *profile, uint64_t version,
                          const struct prompt_change *change, struct prompt_profile *after,
                          struct err *e);

/* Makes the version active that was so before the one that is now, and ends a split. Called
 * again it goes back further; deleted versions are passed over. ERR_INVALID: there is none. */
int prompt_store_rollback(struct prompt_store *s, const char *profile,
                          const struct prompt_change *change, struct prompt_profile *after,
                          struct err *e);

/* Of all requests `percent` (1 to 99) get `version`, the others the active one. Percent 0 ends
 * the split. */
int prompt_store_split(struct prompt_store *s, const char *profile, uint64_t version,
                       int percent, const struct prompt_change *change,
                       struct prompt_profile *after, struct err *e);

/* Points a label at a version, or moves it there. A label has the form of a profile's name, is
 * no number and neither "active" nor "latest". */
int prompt_store_set_label(struct prompt_store *s, const char *profile, const char *label,
                           uint64_t version, const struct prompt_change *change,
                           struct prompt_profile *after, struct err *e);
int prompt_store_remove_label(struct prompt_store *s, const char *profile, const char *label,
                              const struct prompt_change *change, struct prompt_profile *after,
                              struct err *e);

/* Its number is not given again. ERR_INVALID, with the remedy: it is active, in a split, or has
 * a label. */
int prompt_store_delete_version(struct prompt_store *s, const char *profile, uint64_t version,
                                const struct prompt_change *change,
                                struct prompt_profile *after, struct err *e);

/* Deletes a profile with all versions and labels; audit rows stay, and if it is made again its
 * numbers go on. `after` has no active version, and the revision of the deletion. Whether
 * something else refers to it is the caller's to know. ERR_INVALID: it is "default". */
int prompt_store_delete_profile(struct prompt_store *s, const char *profile,
                                const struct prompt_change *change,
                                struct prompt_profile *after, struct err *e);

/* --- reading --- */

/* `which`: a number, a label, "active" (NULL too) or "latest" (the newest that is there). One
 * reference, the caller's. */
struct prompt *prompt_store_get(struct prompt_store *s, const char *profile, const char *which,
                                struct err *e);

/* The profile, its active version and the one of a split, all of one moment. The two are NULL
 * where there is none; the references are the caller's. Either pointer may be NULL. */
int prompt_store_load(struct prompt_store *s, const char *profile, struct prompt_profile *state,
                      struct prompt **active, struct prompt **split, struct err *e);

/* Calls back with every profile that has an active version, by name, for start-up. `active` and
 * `split` (or NULL) are borrowed. A callback that returns -1 fills its *e and ends the walk. It
 * may call the store. */
typedef int prompt_active_fn(void *ctx, const struct prompt_profile *profile,
                             struct prompt *active, struct prompt *split, struct err *e);
int prompt_store_load_active(struct prompt_store *s, prompt_active_fn *fn, void *ctx,
                             struct err *e);

/* Lists fill a new array (*out, mem_free; NULL when *n is 0) with up to `limit` items, at most
 * PROMPT_PAGE_MAX. A full page may have a next one: pass its last item's key. */

/* By name, beginning behind the name `after` (NULL: with the first). */
int prompt_store_profiles(struct prompt_store *s, const char *after, size_t limit,
                          struct prompt_profile **out, size_t *n, struct err *e);

struct prompt_version_info {
    uint64_t version;
    char sha256[HASH_HEX_LEN + 1];
    int64_t created; /* Unix seconds */
    enum prompt_mode mode;
    size_t text_len;
    char author[PROMPT_AUTHOR_MAX + 1];
    char note[PROMPT_NOTE_MAX + 1];
};

/* Newest first, beginning below `before` (0: with the newest). */
int prompt_store_versions(struct prompt_store *s, const char *profile, uint64_t before,
                          size_t limit, struct prompt_version_info **out, size_t *n,
                          struct err *e);

struct prompt_label {
    char name[PROMPT_NAME_MAX + 1];
    uint64_t version;
};

/* All labels of a profile, by name. */
int prompt_store_labels(struct prompt_store *s, const char *profile, struct prompt_label **out,
                        size_t *n, struct err *e);

struct prompt_audit {
    uint64_t id;  /* greater is later */
    int64_t time; /* Unix seconds */
    char actor[PROMPT_ACTOR_MAX + 1];
    /* put, activate, rollback, split, label, unlabel, delete_version, delete_profile */
    char action[16];
    char profile[PROMPT_NAME_MAX + 1];
    char subject[PROMPT_NAME_MAX + 1]; /* the version or label that the action was about */
    char before[PROMPT_STATE_MAX];     /* "3", "3 and 10% 4", or "" */
    char after[PROMPT_STATE_MAX];
    uint64_t revision; /* of the profile, after the change */
};

/* Newest first, beginning below the id `before` (0: with the newest); `profile` NULL: of all.
 */
int prompt_store_audit(struct prompt_store *s, const char *profile, uint64_t before,
                       size_t limit, struct prompt_audit **out, size_t *n, struct err *e);
