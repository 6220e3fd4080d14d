#include "runtime/engine/token_logprobs.h"

#include <float.h>
#include <math.h>

#include "runtime/engine/exact_log.h"
#include "runtime/engine/sampler_candidates.h"

static double log_of_sum(const float *logits, size_t vocab, float max,
                         struct sampler_scratch *scratch)
{
    float *weights = scratch->weights;
    for (size_t i = 0; i < vocab; i++) {
        weights[i] = logits[i] - max;
    }
    scratch->ops->exp(weights, weights, vocab);
    double sum = 0.0;
    for (size_t i = 0; i < vocab; i++) {
        sum += weights[i] <= 1.0f ? (double)weights[i] : 0.0; /* not a NaN */
    }
    return exact_log(sum);
}

int token_logprobs(const float *logits, int vocab, int32_t token, float *logprob,
                   struct engine_top_logprob *top, int n_top, struct sampler_scratch *scratch)
{
    struct sampler_candidate *c = scratch->candidates;
    int wanted = n_top > 0 ? n_top : 1;
    int n = candidates_best(c, logits, vocab, -FLT_MAX, wanted < vocab ? wanted : vocab);
    *logprob = -INFINITY;
    if (n == 0) {
        return 0;
    }
    float max = c[0].logit;
    double log_sum = log_of_sum(logits, (size_t)vocab, max, scratch);
    if (fabsf(logits[token]) <= FLT_MAX) {
        *logprob = (float)((double)(logits[token] - max) - log_sum);
    }
    n = n < n_top ? n : n_top;
    for (int i = 0; i < n; i++) {
        top[i] = (struct engine_top_logprob){
            .token = c[i].token, .logprob = (float)((double)(c[i].logit - max) - log_sum)};
    }
    return n;
}

/* With w = exp(l - max) and S their sum: log(S) - sum(w (l - max)) / S. */
float token_entropy(const float *logits, int vocab, struct sampler_scratch *scratch)
{
    size_t n = (size_t)vocab;
    float *weights = scratch->weights;
    float max = logits[scratch->ops->argmax(logits, n)];
    if (!(fabsf(max) <= FLT_MAX)) {
        return 0.0f;
    }
    double log_sum = log_of_sum(logits, n, max, scratch), below = 0.0, sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        if (weights[i] > 0.0f && weights[i] <= 1.0f) {
            sum += (double)weights[i];
            below += (double)weights[i] * (double)(logits[i] - max);
        }
    }
    double entropy = log_sum - below / sum;
    return entropy > 0.0 ? (float)entropy : 0.0f;
}
