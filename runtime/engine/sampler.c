#include "runtime/engine/sampler.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

#include "runtime/base/mem.h"
#include "runtime/engine/exact_log.h"
#include "runtime/engine/sampler_adjust.h"
#include "runtime/engine/sampler_candidates.h"
#include "runtime/engine/sampler_cuts.h"

#define LN_2 0.69314718055994530942

int sampler_scratch_init(struct sampler_scratch *s, const struct ops *ops, int vocab,
                         size_t context, struct err *e)
{
    size_t n = (size_t)vocab;
    *s = (struct sampler_scratch){.ops = ops, .context = context};
    s->candidates = mem_zarray(n, sizeof(*s->candidates));
    s->weights = mem_zarray(n, sizeof(*s->weights));
    s->logits = mem_zarray(n, sizeof(*s->logits));
    s->counts = mem_zarray(n, sizeof(*s->counts));
    s->matches = mem_zarray(context, sizeof(*s->matches));
    if (!s->candidates || !s->weights || !s->logits || !s->counts || !s->matches) {
        sampler_scratch_deinit(s);
        return err_nomem(e);
    }
    return 0;
}

void sampler_scratch_deinit(struct sampler_scratch *s)
{
    mem_free(s->candidates);
    mem_free(s->weights);
    mem_free(s->logits);
    mem_free(s->counts);
    mem_free(s->matches);
    *s = (struct sampler_scratch){0};
}

void sampler_init(struct sampler *s, const struct sampling *params)
{
    s->params = params;
    s->surprise_max = 2.0f * params->mirostat_tau;
    rng_seed(&s->rng, params->seed);
}

/* One of the first n candidates, of weights p that sum up to `sum`. Its index. */
static int draw(struct rng *rng, const struct sampler_candidate *c, int n, float sum)
{
    float mark = rng_uniform(rng) * sum;
    int last = 0; /* rounding may leave a rest behind all of them */
    for (int i = 0; i < n; i++) {
        mark -= c[i].p;
        if (mark < 0.0f) {
            return i;
        }
        last = c[i].p > 0.0f ? i : last;
    }
    return last;
}

static int32_t next_by_cuts(struct sampler *s, const float *logits, int vocab, float best,
                            struct sampler_scratch *scratch)
{
    int n = cuts_apply(scratch, s->params, &s->rng, logits, vocab, best);
    float sum = cuts_weigh(scratch, n, s->params->temperature);
    return scratch->candidates[draw(&s->rng, scratch->candidates, n, sum)].token;
}

/* Basu et al. 2021, algorithm 2. The surprise of a token is -log2 of its probability: of the
 * whole softmax for the bound, of what the bound left for moving it, as llama.cpp has it. */
static int32_t next_by_mirostat(struct sampler *s, const float *logits, int vocab, float best,
                                struct sampler_scratch *scratch)
{
    struct sampler_candidate *c = scratch->candidates;
    const struct sampling *params = s->params;
    int n = candidates_all(c, logits, vocab, -FLT_MAX);
    double log_sum = exact_log((double)cuts_weigh(scratch, n, params->temperature));
    int kept = 0;
    float sum = 0.0f;
    for (int i = 0; i < n; i++) {
        double above = (double)((c[i].logit - best) / params->temperature);
        if (c[i].logit == best || (log_sum - above) / LN_2 <= (double)s->surprise_max) {
            sum += c[i].p;
            c[kept++] = c[i];
        }
    }
    int drawn = draw(&s->rng, c, kept, sum);
    double surprise = -exact_log((double)c[drawn].p / (double)sum) / LN_2;
    s->surprise_max -= params->mirostat_eta * ((float)surprise - params->mirostat_tau);
    return c[drawn].token;
}

int32_t sampler_next(struct sampler *s, const struct sampler_input *in,
                     struct sampler_scratch *scratch)
{
    const struct sampling *params = s->params;
    size_t n_output = in->n_tokens - in->n_prompt;
    bool hold_ends = n_output < (size_t)params->min_tokens;
    size_t vocab = (size_t)in->vocab;
    const float *logits = sampler_adjust(params, in, hold_ends, scratch);
    size_t best = scratch->ops->argmax(logits, vocab);
    if (hold_ends && !(logits[best] > -INFINITY)) { /* it can do nothing but end */
        logits = sampler_adjust(params, in, false, scratch);
        best = scratch->ops->argmax(logits, vocab);
    }
    if (!(logits[best] > -INFINITY)) {
        return TOKEN_NONE;
    }
    if (params->temperature <= 0.0f || logits[best] > FLT_MAX) {
        return (int32_t)best;
    }
    return params->mirostat ? next_by_mirostat(s, logits, in->vocab, logits[best], scratch)
                            : next_by_cuts(s, logits, in->vocab, logits[best], scratch);
}
