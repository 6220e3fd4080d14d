/* sampler.h: from logits to one token.
 *
 * With temperature 0 the highest logit wins, the lowest id among equals. Otherwise the
 * candidates are cut in this order, each step on the softmax of the untouched logits: top-k,
 * top-p (Holtzman et al. 2020), min-p (Nguyen et al. 2024); then temperature is applied to what
 * is left and one candidate is drawn. The order is llama.cpp's, so that settings carry over.
 *
 * The draw depends on the logits, the parameters and the seed alone: exponentials are our own
 * and sums run in a fixed order.
 *
 * Threads: none; a sampler belongs to its sequence, scratch to the engine thread.
 */
#pragma once

#include <stdint.h>

#include "models/sampling.h"
#include "quant/ops.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"

/* A token that may be drawn; p is its probability, or its weight while drawing. */
struct sampler_candidate {
    int32_t token;
    float logit;
    float p;
};

/* Working memory for one call, sized for a vocabulary. */
struct sampler_scratch {
    const struct ops *ops;
    struct sampler_candidate *candidates; /* (vocab) */
    float *weights;                       /* (vocab) */
};

int sampler_scratch_init(struct sampler_scratch *s, const struct ops *ops, int vocab,
                         struct err *e);
void sampler_scratch_deinit(struct sampler_scratch *s);

struct sampler {
    struct sampling params;
    struct rng rng;
};

void sampler_init(struct sampler *s, const struct sampling *params);

/* logits: (vocab). */
int32_t sampler_next(struct sampler *s, const float *logits, int vocab,
                     struct sampler_scratch *scratch);
