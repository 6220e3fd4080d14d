/* sampler_cuts.h: the steps that leave fewer tokens to draw from. Engine-internal.
 *
 * They work on the list in scratch->candidates and return how many are left in front of it:
 * always at least one. */
#pragma once

#include "runtime/engine/sampler.h"

/* p of the first n > 0: exp((logit - best logit) / temperature). Returns the sum, in the list's
 * order. */
float cuts_weigh(struct sampler_scratch *s, int n, float temperature);

/* The candidates that logits (vocab), `best` the highest of them and finite, leave after all
 * cuts which the parameters ask for. */
int cuts_apply(struct sampler_scratch *s, const struct sampling *params, struct rng *rng,
               const float *logits, int vocab, float best);
