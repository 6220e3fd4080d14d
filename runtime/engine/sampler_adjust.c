#include "runtime/engine/sampler_adjust.h"

#include <math.h>
#include <string.h>

#include "runtime/engine/sampler_dry.h"

static void mask(float *logits, int vocab, const uint32_t *allowed)
{
    for (int32_t i = 0; i < vocab; i++) {
        if (!(allowed[i / 32] >> (i % 32) & 1u)) {
            logits[i] = -INFINITY;
        }
    }
}

static void ban(float *logits, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        logits[ids[i]] = -INFINITY;
    }
}

static void add_bias(float *logits, const struct sampling_bias *bias, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        logits[bias[i].token] += bias[i].bias;
    }
}

static bool repeats(const struct sampling *p)
{
    return p->repetition_penalty > 0.0f && p->repetition_penalty != 1.0f &&
           p->repeat_last_n != 0;
}

/* Keskar et al. 2019, section 4.1, with the sign of the logit minded as everybody does since.
 * counts are all 0, and are so again. */
static void penalise_repetition(const struct sampling *p, const struct sampler_input *in,
                                float *logits, int32_t *counts)
{
    size_t n = in->n_tokens;
    if (p->repeat_last_n > 0 && (size_t)p->repeat_last_n < n) {
        n = (size_t)p->repeat_last_n;
    }
    const int32_t *tokens = in->tokens + in->n_tokens - n;
    for (size_t i = 0; i < n; i++) {
        int32_t t = tokens[i];
        if (counts[t] == 0) {
            counts[t] = 1;
            logits[t] = logits[t] > 0.0f ? logits[t] / p->repetition_penalty
                                         : logits[t] * p->repetition_penalty;
        }
    }
    for (size_t i = 0; i < n; i++) {
        counts[tokens[i]] = 0;
    }
}

/* As OpenAI has them: of the answer's tokens alone. */
static void penalise_output(const struct sampling *p, const struct sampler_input *in,
                            float *logits, int32_t *counts)
{
    for (size_t i = in->n_prompt; i < in->n_tokens; i++) {
        counts[in->tokens[i]]++;
    }
    for (size_t i = in->n_prompt; i < in->n_tokens; i++) {
        int32_t t = in->tokens[i];
        if (counts[t] > 0) {
            logits[t] -= (float)counts[t] * p->frequency_penalty + p->presence_penalty;
            counts[t] = 0;
        }
    }
}

const float *sampler_adjust(const struct sampling *params, const struct sampler_input *in,
                            bool hold_ends, struct sampler_scratch *scratch)
{
    bool repetition = repeats(params) && in->n_tokens > 0;
    bool output = (params->presence_penalty != 0.0f || params->frequency_penalty != 0.0f) &&
                  in->n_tokens > in->n_prompt;
    bool dry = params->dry.multiplier > 0.0f && params->dry.last_n != 0 && in->n_tokens > 0;
    if (!in->allowed && !hold_ends && params->n_bias == 0 && !repetition && !output && !dry) {
        return in->logits;
    }
    float *logits = scratch->logits;
    memcpy(logits, in->logits, (size_t)in->vocab * sizeof(*logits));
    if (in->allowed) {
        mask(logits, in->vocab, in->allowed);
    }
    if (hold_ends) {
        ban(logits, in->ends, in->n_ends);
        ban(logits, params->stop_ids, params->n_stop_ids);
    }
    add_bias(logits, params->bias, params->n_bias);
    if (repetition) {
        penalise_repetition(params, in, logits, scratch->counts);
    }
    if (output) {
        penalise_output(params, in, logits, scratch->counts);
    }
    if (dry) {
        sampler_dry(&params->dry, in, logits, scratch);
    }
    return logits;
}
