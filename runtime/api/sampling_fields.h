/* sampling_fields.h: the fields of a request that say how tokens are chosen, for all routes.
 *
 * Names are those of OpenAI, vLLM and llama.cpp's server; where the last two have one name each
 * for the same thing, both are taken. runtime/engine/sampler.h says what each does. */
#pragma once

#include <cjson/cJSON.h>

#include "models/sampling.h"
#include "runtime/base/err.h"

/* Settings that the client chose itself, and that the server has defaults of its own for. */
enum sampling_given {
    SAMPLING_GIVEN_TEMPERATURE = 1,
    SAMPLING_GIVEN_SEED = 2,
    SAMPLING_GIVEN_TOP_P = 4,
    SAMPLING_GIVEN_TOP_K = 8,
    SAMPLING_GIVEN_MIN_P = 16,
    SAMPLING_GIVEN_REPETITION_PENALTY = 32,
    SAMPLING_GIVEN_PRESENCE_PENALTY = 64,
    SAMPLING_GIVEN_FREQUENCY_PENALTY = 128,
};

/* Fills *out, which is the caller's (sampling_deinit); on failure it is empty and err.param
 * names the field. *given: enum sampling_given. Ids are not held against a vocabulary yet:
 * sampling_bind does that. */
int sampling_fields_parse(const cJSON *body, struct sampling *out, unsigned *given,
                          struct err *e);
