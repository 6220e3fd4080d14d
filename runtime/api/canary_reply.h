/* canary_reply.h: a canary of a model's version, and what each look at it has shown, as JSON.
 *
 * Texts are the caller's (mem_free); NULL when out of memory. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/registry/canary_judge.h"

struct canary_look {
    int64_t at; /* Unix seconds */
    size_t step;
    uint64_t stable, canary; /* answers */
    struct canary_judgement judgement;
};

/* Strings are borrowed. */
struct canary_view {
    const char *model;
    const char *version;
    const char *stable;           /* the version that it is held against */
    const char *state;            /* "running" ... */
    const char *reason;           /* why it ended, in words; "" while it runs */
    const char *measure;          /* that decided, or NULL */
    const char *by;               /* who has begun it */
    int64_t started_at, ended_at; /* Unix seconds; 0: it has not */
    const struct canary_plan *plan;
    size_t step;
    uint64_t stable_answers, canary_answers; /* of this step */
    int next_look;                           /* answers of the canary; 0: none comes */
    const struct canary_look *looks;         /* (n_looks) */
    size_t n_looks;
};

/* GET /admin/models/{name}/canary */
char *canary_report_text(const struct canary_view *v, size_t *len);
