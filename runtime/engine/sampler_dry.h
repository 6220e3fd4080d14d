/* sampler_dry.h: DRY, "don't repeat yourself" (P. E. Weidmann, text-generation-webui pull
 * request 5677). Engine-internal. */
#pragma once

#include "runtime/engine/sampler.h"

/* Takes the penalties off logits (vocab). At least one token is there. Time is linear in the
 * number of tokens, whatever they are. */
void sampler_dry(const struct sampling_dry *d, const struct sampler_input *in, float *logits,
                 struct sampler_scratch *scratch);
