/* drift_desk.h: watches whether the answers of a version stay as they were: a series of them
 * for each model version and prompt version (registry/drift_series.h), baselines and alerts in
 * a file, and alerts in the log, in metrics and for the admin.
 *
 * Memory is bounded: DRIFT_SERIES_MAX series, of which the longest unused leaves, and
 * DRIFT_ALERTS_MAX alerts. Nothing here delays or fails an answer. What cannot be written (the
 * disk is full) stays in memory, is told once in the log and tried again.
 *
 * Threads: the loop. */
#pragma once

#include <uv.h>

#include "runtime/base/metrics.h"
#include "runtime/registry/drift_series.h"
#include "runtime/registry/drift_store.h"

struct drift_desk_settings {
    bool is_off;
    const char *path; /* NULL: in memory */
    struct drift_settings test;
};

struct drift_desk;

struct drift_desk *drift_desk_start(uv_loop_t *loop, const struct drift_desk_settings *set,
                                    struct metrics *metrics, struct err *e);

/* Reads what was stored; before the first answer, and while no other process stores. Accepts
 * NULL, as all down to destroy. */
int drift_desk_load(struct drift_desk *d, struct err *e);

/* --- another process is to go on with what is stored --- */

/* All that is new is to be stored now. */
void drift_desk_settle(struct drift_desk *d);
/* Whether something is being stored. What could not be, and waits, does not count. */
bool drift_desk_is_storing(const struct drift_desk *d);
/* From now on nothing is stored: the file is the other process's. */
void drift_desk_retire(struct drift_desk *d);
/* It was not to be: all is as before drift_desk_retire. */
void drift_desk_resume(struct drift_desk *d);

/* --- the end --- */

/* Lets go of the loop. */
void drift_desk_stop(struct drift_desk *d);
/* Stores what is not stored yet, unless it is retired; after the loop's end. */
void drift_desk_save(struct drift_desk *d);
void drift_desk_destroy(struct drift_desk *d);

/* An answer was given. */
struct drift_mark drift_desk_note(struct drift_desk *d, const struct drift_key *key,
                                  const struct answer_seen *a);

/* Of the answer with this mark nothing more can be said; once for each. Accepts NULL. */
void drift_desk_note_feedback(struct drift_desk *d, const struct drift_mark *mark,
                              bool is_spoken_of, bool is_disliked);

/* --- for the admin --- */

/* Which series are meant; "" matches all. */
struct drift_asked {
    char model[DRIFT_NAME_SIZE], version[DRIFT_NAME_SIZE], prompt[DRIFT_PROMPT_SIZE];
};

/* Appends {"settings": ..., "series": [...]}. 0, or -1 as buf.h. */
int drift_desk_list(const struct drift_desk *d, const struct drift_asked *asked, bool with_bins,
                    struct buf *out);

/* Appends {"alerts": [...]}, newest first, of these series; at most `limit` with numbers below
 * `before`. */
int drift_desk_list_alerts(const struct drift_desk *d, const struct drift_asked *asked,
                           uint64_t before, size_t limit, struct buf *out);

/* Where a new baseline comes from. */
enum drift_take {
    DRIFT_TAKE_NEWEST, /* the newest answers, up to 16 windows of them */
    DRIFT_TAKE_NEXT,   /* those that come */
    DRIFT_TAKE_OTHER,  /* the baseline of another series */
};

/* Called on the loop once the new baseline is on disk and in force; series: its id. Or with e,
 * and nothing has changed; ERR_IO: it could not be stored. */
typedef void drift_taken(void *ctx, uint64_t series, const struct err *e);

/* Of the one series that is asked for; `other` for DRIFT_TAKE_OTHER. ERR_NOT_FOUND: there is
 * none, ERR_CONFLICT: several, or there are too few answers. After 0 `taken` is called once. */
int drift_desk_take(struct drift_desk *d, const struct drift_asked *asked, enum drift_take how,
                    const struct drift_asked *other, const char *by, drift_taken *taken,
                    void *ctx, struct err *e);

/* Appends the series with this id; nothing when it is gone. */
int drift_desk_append(const struct drift_desk *d, uint64_t series, struct buf *out);
