/* sampler_adjust.h: what changes logits before any of them is chosen: masks, bias, penalties.
 * Engine-internal. */
#pragma once

#include <stdbool.h>

#include "runtime/engine/sampler.h"

/* The logits to choose from: those of `in` where there is nothing to change, a changed copy in
 * scratch otherwise. hold_ends: no token that ends the answer. */
const float *sampler_adjust(const struct sampling *params, const struct sampler_input *in,
                            bool hold_ends, struct sampler_scratch *scratch);
