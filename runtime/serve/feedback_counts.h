/* feedback_counts.h: what is said of answers, as metrics and for the watch on drift. Internal
 * to feedback.c.
 *
 * Threads: the loop. */
#pragma once

#include "runtime/base/metrics.h"
#include "runtime/serve/answer_memory.h"

struct server;

/* Why something was not stored. */
enum feedback_refusal {
    FEEDBACK_UNKNOWN_ANSWER,
    FEEDBACK_INVALID,
    FEEDBACK_BUSY,
    FEEDBACK_NOT_STORED
};

/* What may be the subject of an alarm shall be there before the first case. */
void feedback_counts_begin(struct metrics *metrics);

void feedback_count_refusal(struct metrics *metrics, enum feedback_refusal why);
void feedback_count_deleted(struct metrics *metrics, uint64_t n);  /* as somebody asked */
void feedback_count_pruned(struct metrics *metrics, uint64_t all); /* by limits, so far */

/* It is stored. tenant: whose answer it is. */
void feedback_count(struct server *s, struct answer_memory *memory, const struct feedback *f,
                    uint64_t tenant);
