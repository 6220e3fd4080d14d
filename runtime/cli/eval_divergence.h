/* eval_divergence.h: how near the predictions of two models are, token by token: what
 * quantisation costs, seen from inside. Command-internal.
 *
 * Threads: none; the models' own teams work inside the call. */
#pragma once

#include "runtime/cli/eval_results.h"
#include "runtime/cli/local_model.h"

/* Over the scored tokens of a part of kind perplexity. The models must have one vocabulary;
 * where they do not, *out says that nothing was looked at (n = 0). */
int eval_divergence(struct local_model *a, struct local_model *b, const struct eval_part *part,
                    struct eval_divergence *out, struct err *e);
