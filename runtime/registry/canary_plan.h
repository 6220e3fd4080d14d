/* canary_plan.h: how a new version of a model is tried on a share of the requests, as its owner
 * wrote it ("canary" in model.json, or the body of POST /admin/models/{name}/canary):
 *
 *     {"percent": 10 or "steps": [5, 25, 50], "by": "conversation",
 *      "min_answers": 200, "max_answers": 3000, "looks": 5, "max_seconds": 86400,
 *      "alpha": 0.01, "errors_in_row": 8, "on_undecided": "rollback",
 *      "margins": {"error_rate": 0.015, "block_rate": 0.02, "refusal_rate": 0.05, "cut_rate":
 * 0.1, "first_token": 2, "token_time": 2, "answer_tokens": 1.25}}
 *
 * Every key may be left out; the values above are those that it has then (and "percent"). A key
 * that is not known is an error.
 *
 * Threads: pure functions. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"

#define CANARY_STEPS_MAX 8
#define CANARY_LOOKS_MAX 50

/* What of a version is held against the other's. id, name, whether it is a share of answers (or
 * else a ratio of times or lengths), whether less is as suspicious as more. */
#define CANARY_MEASURES(X)                      \
    X(ERROR_RATE, "error_rate", true, false)    \
    X(BLOCK_RATE, "block_rate", true, false)    \
    X(REFUSAL_RATE, "refusal_rate", true, true) \
    X(CUT_RATE, "cut_rate", true, false)        \
    X(FIRST_TOKEN, "first_token", false, false) \
    X(TOKEN_TIME, "token_time", false, false)   \
    X(ANSWER_TOKENS, "answer_tokens", false, true)

enum canary_measure {
#define X(id, name, is_share, is_two_sided) CANARY_##id,
    CANARY_MEASURES(X)
#undef X
        CANARY_MEASURE_COUNT
};

const char *canary_measure_name(enum canary_measure m); /* "error_rate" */
bool canary_measure_is_share(enum canary_measure m);
bool canary_measure_is_two_sided(enum canary_measure m);

/* When all has been seen and nothing is proved. */
enum canary_otherwise {
    CANARY_OTHERWISE_ROLLBACK,
    CANARY_OTHERWISE_PROMOTE,
    CANARY_OTHERWISE_KEEP
};
const char *canary_otherwise_name(enum canary_otherwise o); /* "rollback" */

struct canary_plan {
    int steps[CANARY_STEPS_MAX]; /* (n_steps) percent of the requests, ascending */
    size_t n_steps;
    /* Who is the same caller, and stays with the same version: all that one API key asks
     * ("key"; without keys what follows), or what begins with the same words ("conversation").
     */
    bool is_by_key;
    int min_answers; /* of the canary, at the first look of a step */
    int max_answers; /* at the last one */
    int looks;       /* of a step */
    int max_seconds; /* of all steps together */
    double alpha;
    int errors_in_row;
    enum canary_otherwise on_undecided;
    /* A difference of shares, or a ratio > 1, within which a version is as good as the other;
     * < 0: the measure is not looked at (null). */
    double margins[CANARY_MEASURE_COUNT];
};

/* What holds where nothing is said. */
struct canary_plan canary_plan_default(void);

/* Sets what `object` says. `prefix` ("canary.", "") stands before the names of fields in errors
 * (ERR_INVALID), which name the field in e->param too. skip: a key that is the caller's, or
 * NULL. */
int canary_plan_read(struct canary_plan *plan, const cJSON *object, const char *prefix,
                     const char *skip, struct err *e);

/* The answers that the canary has at look 0 .. looks - 1: a geometric row from min_answers to
 * max_answers. */
int canary_plan_answers(const struct canary_plan *plan, int look);

/* How many looks are due once it has so many. */
int canary_plan_due(const struct canary_plan *plan, double answers);
