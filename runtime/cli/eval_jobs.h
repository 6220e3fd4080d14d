/* eval_jobs.h: the lines of a part of a suite as jobs of eval_batch.h. Command-internal.
 *
 * A line is one job, but for a bias pair, which is two, a conversation of which each of the
 * assistant's turns is one, and a long text, of which each window is one. */
#pragma once

#include "models/eval/eval_suite.h"
#include "runtime/cli/eval_batch.h"

struct eval_jobs {
    const struct eval_part *part;
    const struct model *model;
    size_t context;
    size_t item, piece;     /* what comes next */
    struct token_list text; /* tokens of the text of this item */
    size_t text_at;         /* where its next window's scored tokens begin */
};

void eval_jobs_init(struct eval_jobs *jobs, const struct eval_part *part,
                    const struct local_model *l);
void eval_jobs_deinit(struct eval_jobs *jobs);

/* Fills the next job; job->part is the side of a pair. 1, 0 when there is none, or -1: the
 * message names file and line. */
int eval_jobs_next(struct eval_jobs *jobs, struct eval_job *job, struct err *e);

/* "FILE: line N" before the message; returns -1. */
int eval_item_failed(const struct eval_part *part, size_t item, struct err *e);
