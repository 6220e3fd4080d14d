/* drift_desk_parts.h: the parts of drift_desk.h that its files share. Internal to
 * runtime/serve.
 *
 *   drift_desk.c        series and alerts as answers come; beginning and end
 *   drift_desk_write.c  what is stored, one thing at a time, on a worker
 *   drift_desk_ask.c    what the admin sees, and new baselines
 *
 * Threads: the loop only. */
#pragma once

#include "runtime/serve/drift_desk.h"

/* A series and what it is of. */
struct drift_entry {
    uint64_t id; /* never given twice */
    struct drift_key key;
    int64_t taken_ms, used_ms;
    char by[DRIFT_BY_SIZE];
    uint64_t alerts[ANSWER_MEASURE_COUNT]; /* numbers of those that go on; 0: none */
    bool is_new;                           /* something is not stored */
    bool is_due;                           /* and is to be, now */
    struct drift_series series;
};

struct drift_kept_alert {
    struct drift_alert alert; /* with its text, owned */
    bool is_due;              /* to be stored */
};

enum drift_write_kind { DRIFT_WRITE_SERIES, DRIFT_WRITE_ALERT, DRIFT_WRITE_DELETE };

/* What a worker does. */
struct drift_write {
    struct drift_write *next;
    enum drift_write_kind kind;
    struct drift_row row;     /* of the first and the last kind; its text is owned */
    struct drift_alert alert; /* likewise */
    uint64_t series;
    struct answer_sample *sample; /* the new baseline, in force once it is stored; or NULL */
    drift_taken *taken;           /* NULL: nobody waits */
    void *ctx;
    bool failed;
    struct err e;
};

struct drift_desk {
    uv_loop_t *loop;
    uv_timer_t retry;
    uv_work_t work;
    struct drift_store *store;
    struct drift_settings set;
    struct metrics *metrics;
    struct drift_entry *entries[DRIFT_SERIES_MAX]; /* (n) */
    size_t n;
    uint64_t next_id;
    struct drift_kept_alert alerts[DRIFT_ALERTS_MAX]; /* (n_alerts), oldest first */
    size_t n_alerts;
    uint64_t next_alert;
    struct drift_write *queue,
        **queue_end; /* that are asked for, before what is due by itself */
    size_t n_takes;
    struct drift_write *current; /* on a worker; or NULL */
    bool waits;                  /* after a failure, for the timer */
    bool was_failed;             /* which was told */
    bool is_retired;             /* what is stored is another process's */
    bool is_stopped;
};

struct drift_entry *drift_desk_find_id(const struct drift_desk *d, uint64_t id);
struct drift_kept_alert *drift_desk_find_alert(struct drift_desk *d, uint64_t number);

/* All that go on are over. */
void drift_desk_end_alerts(struct drift_desk *d, struct drift_entry *entry);

/* ---- drift_desk_write.c ---- */

/* The row of a series, with another baseline unless that is NULL. NULL: no memory. */
struct drift_write *drift_write_series(const struct drift_entry *entry,
                                       const struct answer_sample *baseline);
void drift_write_destroy(struct drift_write *w); /* accepts NULL */

/* Takes it over; it comes before what is due by itself. */
void drift_desk_enqueue(struct drift_desk *d, struct drift_write *w);

/* Begins with what is due, unless something is being written. */
void drift_desk_pump(struct drift_desk *d);

/* ---- drift_desk_ask.c ---- */

/* A baseline that was asked for is on disk, or cannot be. */
void drift_desk_end_take(struct drift_desk *d, struct drift_write *w);
