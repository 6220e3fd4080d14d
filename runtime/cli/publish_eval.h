/* publish_eval.h: what a model answers to sets of questions, and whether it is worse than the
 * version before. Command-internal.
 *
 * Results are kept beside a version as eval.json:
 *
 *     {"sets": [{"set": "heldout.jsonl", "sha256": "...", "right": 190, "of": 200,
 *                "skills": {"sum": {"right": 100, "of": 100}}}]}
 *
 * so that the next version is compared without asking this one again, where the questions are
 * the same bytes.
 *
 * Ownership: JSON that is returned is the caller's (cJSON_Delete). Threads: none. */
#pragma once

#include "runtime/base/json.h"
#include "runtime/base/options.h"
#include "runtime/cli/publish_place.h"

#define PUBLISH_EVAL_FILE "eval.json"

/* Asks the model at `model` all sets with `weir eval`; `known`, an earlier eval.json or NULL,
 * is asked in its place where it has the same set. NULL: *e says why. */
cJSON *publish_eval_run(const struct publish_place *p, const char *model,
                        const struct option_strings *sets, const cJSON *known, struct err *e);

/* A share of right answers in percent, and the interval that holds it with 95 %. */
struct publish_share {
    double right, of;
    double percent, low, high;
};

struct publish_share publish_share_of(const cJSON *counts);

/* How many points fewer b has than a: above 0, b is worse. The interval is Newcombe's (1998,
 * method 10), for which questions need not be the same. */
struct publish_share publish_loss(const cJSON *a, const cJSON *b);

/* The result of the set with this hash, or NULL. */
const cJSON *publish_eval_find(const cJSON *results, const char *sha256);

/* ERR_INVALID: `now` has more than max_loss points fewer than `before` on a set as a whole, or
 * more than max_skill_loss (less than 0: any number) in one of its skills. */
int publish_eval_compare(const cJSON *before, const cJSON *now, double max_loss,
                         double max_skill_loss, struct err *e);
