/* drift_store.h: baselines, and alarms that were raised, in an SQLite file.
 *
 * A row of a series says which answers it is of (model, prompt, their versions and hashes), how
 * many looks were taken, and its baseline as answer_sample_append writes it. An alert is the
 * JSON text that is shown of it. No content of answers is in either.
 *
 * What was written is on disk when the function returns. Threads: any; calls wait for each
 * other. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/registry/version_store.h"

#define DRIFT_SERIES_MAX 128 /* the longest unused leave */
#define DRIFT_ALERTS_MAX 256 /* the newest stay */

#define DRIFT_NAME_SIZE   128
#define DRIFT_HASHES_SIZE 68
#define DRIFT_PROMPT_SIZE 96 /* "name@version", or "" */
#define DRIFT_BY_SIZE     (VERSION_ACTOR_MAX + 1)

/* Which answers a series is of. */
struct drift_key {
    char model[DRIFT_NAME_SIZE];
    char version[DRIFT_NAME_SIZE];
    char hashes[DRIFT_HASHES_SIZE]; /* of weights, adapter and prompt: files and texts may
                                       change */
    char prompt[DRIFT_PROMPT_SIZE];
};

bool drift_key_equals(const struct drift_key *a, const struct drift_key *b);

struct drift_row {
    struct drift_key key;
    bool has_baseline; /* else it is being taken */
    int64_t taken_ms;  /* when the baseline was complete; 0: it is not */
    int64_t used_ms;   /* the last answer */
    uint64_t looks;
    char by[DRIFT_BY_SIZE]; /* who took the baseline; "": it was taken by itself */
    char *baseline;         /* JSON */
};

struct drift_alert {
    uint64_t number; /* ascending, never given twice */
    struct drift_key key;
    int measure;                /* enum answer_measure */
    int64_t began_ms, ended_ms; /* 0: it goes on */
    char *text;                 /* JSON: all that is shown but for number and times */
};

struct drift_store;

/* path NULL: in memory. */
struct drift_store *drift_store_open(const char *path, struct err *e);
void drift_store_close(struct drift_store *s); /* accepts NULL */

/* Puts the row in place of the one with this key. */
int drift_store_put(struct drift_store *s, const struct drift_row *row, struct err *e);

/* The same for an alert of this number. Deletes those beyond DRIFT_ALERTS_MAX. */
int drift_store_put_alert(struct drift_store *s, const struct drift_alert *a, struct err *e);

int drift_store_delete(struct drift_store *s, const struct drift_key *key, struct err *e);

/* Calls visit for each, those used longest ago first; texts are borrowed. A result other than 0
 * ends it and is returned. */
int drift_store_each(struct drift_store *s,
                     int (*visit)(void *ctx, const struct drift_row *row, struct err *e),
                     void *ctx, struct err *e);

/* The same, by number. */
int drift_store_each_alert(struct drift_store *s,
                           int (*visit)(void *ctx, const struct drift_alert *a, struct err *e),
                           void *ctx, struct err *e);
