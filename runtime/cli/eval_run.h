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

/* *values: initialised for the part's lines; so below. */
int eval_run_local(struct local_model *l, const struct eval_part *part,
                   const struct eval_progress *progress, struct eval_values *values,
                   struct err *e);

/* The same of a running server, with its prompts and filters around the model. */
struct eval_server {
    const char *url, *key; /* the key may be NULL */
    const char *model;     /* as requests name it: "tiny@2" */
    int side_by_side;      /* requests */
};

/* Whether a server can be asked: it tells answers, and no likelihoods. */
bool eval_server_can(const struct eval_part *part);

int eval_run_server(const struct eval_server *server, const struct eval_part *part,
                    const struct eval_progress *progress, struct eval_values *values,
                    struct err *e);
