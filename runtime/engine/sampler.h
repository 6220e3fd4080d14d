/* sampler.h: from logits to one token.
 *
 * The steps, each off unless asked for, come in this order, which is llama.cpp's, so that
 * settings carry over:
 *
 *  1. What is not allowed goes: `allowed` of the input, and before min_tokens every token that
 *     would end the answer (unless nothing else is left).
 *  2. logit_bias is added. It cannot bring back what is not allowed.
 *  3. repetition_penalty (Keskar et al. 2019): logits of tokens among the last repeat_last_n of
 *     prompt and answer are divided by it if positive, multiplied otherwise.
 *  4. frequency_penalty times the number of occurrences, and presence_penalty once, are taken
 *     off a token that the answer has already; the prompt does not count, as with OpenAI.
 *  5. DRY (text-generation-webui pull request 5677): multiplier * base^(n - allowed_length) is
 *     taken off a token that would go on a repetition of n >= allowed_length tokens.
 *
 * With temperature 0 the highest logit wins then, the lowest id among equals. Otherwise:
 *
 *  6. top-n-sigma (Tang et al. 2024): logits within n standard deviations of the best.
 *  7. top-k: the k best.
 *  8. typical_p (Meister et al. 2022): those whose surprise is nearest to the expected one,
 *     until they have this mass.
 *  9. top-p (Holtzman et al. 2020): the fewest best ones that have this mass.
 * 10. min-p (Nguyen et al. 2024): those at least this likely in relation to the best.
 * 11. XTC (text-generation-webui pull request 6335): with xtc_probability, all that reach
 *     xtc_threshold but the least likely of them go.
 * 12. temperature is applied to what is left and one candidate is drawn.
 *
 * Mirostat 2 (Basu et al. 2021) takes the place of 6 to 12: temperature, then all candidates
 * more surprising than a bound go, one is drawn, and the bound moves such that the surprise
 * comes near to mirostat_tau.
 *
 * The result depends on the logits, the parameters, the seed and the sequence's own tokens
 * alone: exponentials and logarithms are our own and sums run in a fixed order. Penalties are
 * made from the tokens each time, so a sampler holds no more than its generator and the bound
 * of mirostat. A token whose logit is NaN or -infinity is never chosen.
 *
 * Threads: none; a sampler belongs to its sequence, scratch to the engine thread.
 */
#pragma once

#include <stddef.h>
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

/* Working memory for one call, sized for a vocabulary and a context. */
struct sampler_scratch {
    const struct ops *ops;
    struct sampler_candidate *candidates; /* (vocab) */
    float *weights;                       /* (vocab) */
    float *logits;                        /* (vocab) */
    int32_t *counts;                      /* (vocab), all 0 between two uses */
    int32_t *matches;                     /* (context) */
    size_t context;
};

int sampler_scratch_init(struct sampler_scratch *s, const struct ops *ops, int vocab,
                         size_t context, struct err *e);
void sampler_scratch_deinit(struct sampler_scratch *s);

struct sampler {
    const struct sampling *params; /* borrowed, outlives it */
    struct rng rng;
    float surprise_max; /* of mirostat, in bits */
};

void sampler_init(struct sampler *s, const struct sampling *params);

/* Where in its sequence a token is to be chosen. Ids of tokens, and those of the parameters,
 * are within the vocabulary. */
struct sampler_input {
    const float *logits; /* (vocab) */
    int vocab;
    const int32_t *tokens; /* (n_tokens): prompt and answer so far; NULL if there are none */
    size_t n_tokens;
    size_t n_prompt;     /* of them */
    const int32_t *ends; /* (n_ends) tokens that end an answer, for min_tokens */
    size_t n_ends;
    const uint32_t *allowed; /* bit set: token t is bit t % 32 of word t / 32. NULL: all */
};

/* TOKEN_NONE when nothing may be chosen; nothing is drawn from the generator then. */
int32_t sampler_next(struct sampler *s, const struct sampler_input *in,
                     struct sampler_scratch *scratch);
