/* eval_run.h: has a model do the lines of a part. Command-internal.
 *
 * Threads: none of its own. */
#pragma once

#include "models/eval/eval_measure.h"
#include "runtime/cli/local_model.h"

/* Told after each line: how many are done. ctx may be anything. */
struct eval_progress {
    void (*told)(void *ctx, size_t done);
    void *ctx;
};

/* *values: initialised for the part's lines. */
int eval_run_local(struct local_model *l, const struct eval_part *part,
                   const struct eval_progress *progress, struct eval_values *values,
                   struct err *e);
