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

/* So far below the best a token has no weight. */
#define FAR_BELOW (-100.0f)

#define LANES 8

/* With d = l - max, w = exp(d) and S the sum of w: log(S) - sum(w d) / S. Sums run in LANES
 * that are independent of each other, which is what makes it fast. */
float token_entropy(const float *logits, int vocab, struct sampler_scratch *scratch)
{
    size_t n = (size_t)vocab, i = 0;
    float *weights = scratch->weights, *below = scratch->logits;
    float max = logits[scratch->ops->argmax(logits, n)];
    double sums[LANES] = {0}, belows[LANES] = {0};
    if (!(fabsf(max) <= FLT_MAX)) {
        return 0.0f;
    }
    for (size_t k = 0; k < n; k++) {
        float d = logits[k] - max;
        below[k] = d > FAR_BELOW ? d : FAR_BELOW; /* a NaN too */
    }
    scratch->ops->exp(weights, below, n);
    for (; i + LANES <= n; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            sums[k] += (double)weights[i + k];
            belows[k] += (double)weights[i + k] * (double)below[i + k];
        }
    }
    for (; i < n; i++) {
        sums[0] += (double)weights[i];
        belows[0] += (double)weights[i] * (double)below[i];
    }
    for (size_t k = 1; k < LANES; k++) {
        sums[0] += sums[k];
        belows[0] += belows[k];
    }
    double entropy = exact_log(sums[0]) - belows[0] / sums[0];
    return entropy > 0.0 ? (float)entropy : 0.0f;
}
