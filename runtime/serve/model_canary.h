/* model_canary.h: a new version of a model is tried on a share of the requests, and promoted or
 * rolled back by what its answers show against those of the version that serves.
 *
 * The life of one:
 *
 *   begin      the version is loaded and has passed its gate; the first step's share of the
 *              requests gets it (model_traffic.h)
 *   looks      after the numbers of answers that the plan has (registry/canary_plan.h), by the
 *              test of registry/canary_judge.h. Each step is judged by its own answers alone: a
 *              mix of answers under several shares would compare morning with evening.
 *   decision   good: the next step's share, or behind the last one it serves. Worse: it is
 *              rolled back: its share ends, it is a version that has failed, with the reason,
 *              and is not tried again until its files change. Undecided when all looks have
 * been taken or the time is over: what the plan says. guard      before any statistics: so many
 * failures in a row, while those of the version that serves are not in a row, roll it back at
 * once.
 *
 * Answers that were begun are finished by the version that began them, whatever is decided.
 * Counted are answers to requests that named no version, of those two versions, while it runs.
 *
 * One canary of a model runs at a time; new versions that appear wait until it is over. It ends
 * without a decision when another version comes to serve or its share is changed by hand.
 *
 * Threads: the loop's. Ownership: a part of struct model_set. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/registry/canary_plan.h"
#include "runtime/registry/version_store.h"
#include "runtime/serve/model_outcomes.h"

#define CANARY_BY_MAX VERSION_ACTOR_MAX /* bytes of who has begun it that are kept */

struct model_canary;
struct model_set;

/* id, name in reports and metrics */
#define CANARY_STATES(X)                                                          \
    X(RUNNING, "running")                                                         \
    X(PROMOTED, "promoted")                                                       \
    X(ROLLED_BACK, "rolled_back")                                                 \
    X(KEPT, "kept")   /* undecided, and as the plan wishes both versions go on */ \
    X(ENDED, "ended") /* by something else */

enum canary_state {
#define X(id, name) CANARY_STATE_##id,
    CANARY_STATES(X)
#undef X
        CANARY_STATE_COUNT
};

/* NULL: no memory. */
struct model_canary *model_canary_create(struct model_set *set, struct err *e);

/* Nothing comes of it any more; it frees itself. Accepts NULL. */
void model_canary_stop(struct model_canary *c);

/* A generation of another version than the one that serves, which the set has loaded. by: who
 * wanted it, for the report. ERR_CONFLICT: one runs, or the version serves, or none does. */
int model_canary_begin(struct model_canary *c, struct generation *g,
                       const struct canary_plan *plan, const char *by, struct err *e);

/* Goes on after a restart, at the beginning of the step that it was in: answers from before are
 * not counted. report: as model_canary_report made it then. */
int model_canary_resume(struct model_canary *c, struct generation *g, const char *report,
                        struct err *e);

/* Ends one that runs or was kept, by hand. ERR_NOT_FOUND: there is none. ERR_CONFLICT: an
 * admin's decision about what serves is being stored. */
int model_canary_end(struct model_canary *c, bool is_promoted, const char *by, struct err *e);

bool model_canary_is_running(const struct model_canary *c);

/* Whether the generation must stay loaded for it. */
bool model_canary_uses(const struct model_canary *c, const struct generation *g);

/* An answer is over. Decisions are not made within, but soon after. */
void model_canary_note(struct model_canary *c, const struct generation *g,
                       const struct model_outcome *o);

/* Another generation serves now. */
void model_canary_published(struct model_canary *c, const struct generation *g);

/* The report of the present one or else the last one; the caller's (mem_free). NULL:
 * ERR_NOT_FOUND, there was none; or no memory. */
char *model_canary_report(const struct model_canary *c, size_t *len, struct err *e);
