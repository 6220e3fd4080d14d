#include "runtime/engine/sampler_cuts.h"

#include <float.h>
#include <math.h>

#include "runtime/engine/sampler_candidates.h"

float cuts_weigh(struct sampler_scratch *s, int n, float temperature)
{
    struct sampler_candidate *c = s->candidates;
    float best = c[0].logit;
    for (int i = 1; i < n; i++) {
        best = c[i].logit > best ? c[i].logit : best;
    }
    for (int i = 0; i < n; i++) {
        s->weights[i] = (c[i].logit - best) / temperature;
    }
    s->ops->exp(s->weights, s->weights, (size_t)n);
    float sum = 0.0f;
    for (int i = 0; i < n; i++) {
        c[i].p = s->weights[i];
        sum += s->weights[i];
    }
    return sum;
}

/* p of each becomes its probability among the n. Returns the sum that they were divided by, the
 * reciprocal of the best one's. */
static float normalise(struct sampler_scratch *s, int n)
{
    float sum = cuts_weigh(s, n, 1.0f);
    for (int i = 0; i < n; i++) {
        s->candidates[i].p /= sum;
    }
    return sum;
}

/* The best logit less n standard deviations of all that are finite. */
static float sigma_floor(const float *logits, int vocab, float best, float n_sigma)
{
    double sum = 0.0, squares = 0.0;
    int n = 0;
    for (int i = 0; i < vocab; i++) {
        if (fabsf(logits[i]) <= FLT_MAX) {
            sum += (double)logits[i];
            n++;
        }
    }
    double mean = sum / n;
    for (int i = 0; i < vocab; i++) {
        if (fabsf(logits[i]) <= FLT_MAX) {
            double off = (double)logits[i] - mean;
            squares += off * off;
        }
    }
    double floor = (double)best - (double)n_sigma * sqrt(squares / n);
    return floor > -(double)FLT_MAX ? (float)floor : -FLT_MAX;
}

/* Those whose surprise is nearest to the expected one. Both have the logarithm of the softmax's
 * sum in them, so that in their difference there is none. */
static int cut_typical(struct sampler_scratch *s, int n, const float *logits, float mass)
{
    struct sampler_candidate *c = s->candidates;
    double mean = 0.0;
    for (int i = 0; i < n; i++) {
        mean += (double)c[i].p * (double)c[i].logit;
    }
    for (int i = 0; i < n; i++) {
        c[i].logit = (float)-fabs((double)c[i].logit - mean);
    }
    n = candidates_reaching(c, n, mass);
    for (int i = 0; i < n; i++) {
        c[i].logit = logits[c[i].token];
    }
    return n;
}

static int cut_min_p(struct sampler_candidate *c, int n, float floor)
{
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (c[i].p >= floor) {
            c[kept++] = c[i];
        }
    }
    return kept > 0 ? kept : 1;
}

/* "Exclude top choices": of those that are likely enough only the least likely stays. */
static int cut_xtc(struct sampler_candidate *c, int n, float threshold)
{
    int least = -1;
    for (int i = 0; i < n; i++) {
        bool likely = c[i].p >= threshold;
        /* The higher id among equals, as it stands last in the order of all lists. */
        if (likely && (least < 0 || c[i].logit < c[least].logit ||
                       (c[i].logit == c[least].logit && c[i].token > c[least].token))) {
            least = i;
        }
    }
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (i == least || c[i].p < threshold) {
            c[kept++] = c[i];
        }
    }
    return kept;
}

static bool uses_xtc(const struct sampling *params)
{
    return params->xtc_probability > 0.0f && params->xtc_threshold <= 0.5f;
}

int cuts_apply(struct sampler_scratch *s, const struct sampling *params, struct rng *rng,
               const float *logits, int vocab, float best)
{
    struct sampler_candidate *c = s->candidates;
    float floor = params->top_n_sigma > 0.0f
                      ? sigma_floor(logits, vocab, best, params->top_n_sigma)
                      : -FLT_MAX;
    int n = params->top_k > 0 && params->top_k < vocab
                ? candidates_best(c, logits, vocab, floor, params->top_k)
                : candidates_all(c, logits, vocab, floor);
    bool typical = params->typical_p > 0.0f && params->typical_p < 1.0f;
    if (typical) {
        normalise(s, n);
        n = cut_typical(s, n, logits, params->typical_p);
    }
    if (params->top_p < 1.0f || params->min_p > 0.0f) {
        float sum = normalise(s, n);
        /* Both keep the best ones down to some place, by probabilities among the same n: in
         * this order the same are left, and far fewer have to be sorted. */
        if (params->min_p > 0.0f) {
            n = cut_min_p(c, n, params->min_p / sum);
        }
        if (params->top_p < 1.0f) {
            n = candidates_reaching(c, n, params->top_p);
        }
    }
    /* Whether it is done this time is drawn even where nothing can be left out, so that what
     * follows does not hang on it. */
    if (uses_xtc(params) && rng_uniform(rng) < params->xtc_probability) {
        normalise(s, n);
        n = cut_xtc(c, n, params->xtc_threshold);
    }
    return n;
}
