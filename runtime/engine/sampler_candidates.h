/* sampler_candidates.h: lists of tokens that may be drawn, and finding the best of many without
 * sorting them all. Engine-internal.
 *
 * A logit that is not a finite number is nobody's: such a token never gets into a list. */
#pragma once

#include <stdint.h>

#include "runtime/engine/sampler.h"

/* Of logits (vocab) those of at least `floor`, which is finite, ascending by id. Returns how
 * many. */
int candidates_all(struct sampler_candidate *c, const float *logits, int vocab, float floor);

/* The k best of them, best first; the lower id first among equals, so that no order is left to
 * chance. k > 0. One pass with a heap of k. */
int candidates_best(struct sampler_candidate *c, const float *logits, int vocab, float floor,
                    int k);

/* The smallest number of the n candidates with the highest `logit` whose p together reach
 * `mass`; these stand in front afterwards, best first. */
int candidates_reaching(struct sampler_candidate *c, int n, float mass);
