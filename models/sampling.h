/* sampling.h: how a token is to be chosen; runtime/engine/sampler.h says what is done with it.
 */
#pragma once

#include <stdint.h>

struct sampling {
    float temperature; /* 0: greedy */
    int top_k;         /* 0: off */
    float top_p;       /* 1: off */
    float min_p;       /* 0: off */
    uint64_t seed;
};

#define SAMPLING_DEFAULT \
    ((struct sampling){.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f})
