#include "runtime/engine/sampler.h"

#include <stdbool.h>
#include <stdlib.h>

#include "runtime/base/mem.h"

int sampler_scratch_init(struct sampler_scratch *s, const struct ops *ops, int vocab,
                         struct err *e)
{
    s->ops = ops;
    s->candidates = mem_zarray((size_t)vocab, sizeof(*s->candidates));
    s->weights = mem_zarray((size_t)vocab, sizeof(*s->weights));
    if (!s->candidates || !s->weights) {
        sampler_scratch_deinit(s);
        return err_nomem(e);
    }
    return 0;
}

void sampler_scratch_deinit(struct sampler_scratch *s)
{
    mem_free(s->candidates);
    mem_free(s->weights);
    *s = (struct sampler_scratch){0};
}

void sampler_init(struct sampler *s, const struct sampling *params)
{
    s->params = *params;
    rng_seed(&s->rng, params->seed);
}

static int32_t highest(const float *logits, int vocab)
{
    int32_t best = 0;
    for (int32_t i = 1; i < vocab; i++) {
        if (logits[i] > logits[best]) {
            best = i;
        }
    }
    return best;
}

/* Higher logit first; the lower id first among equals, so that no order is left to chance. */
static bool before(const struct sampler_candidate *a, const struct sampler_candidate *b)
{
    return a->logit != b->logit ? a->logit > b->logit : a->token < b->token;
}

static int compare(const void *a, const void *b)
{
    return before(a, b) ? -1 : before(b, a) ? 1 : 0;
}

static void swap(struct sampler_candidate *a, struct sampler_candidate *b)
{
    struct sampler_candidate t = *a;
    *a = *b;
    *b = t;
}

/* Quickselect (Hoare 1961): afterwards the k best stand in front, sorted. */
static void select_best(struct sampler_candidate *c, int n, int k)
{
    int low = 0;
    int high = n - 1;
    while (low < high && k < n) {
        struct sampler_candidate pivot = c[low + (high - low) / 2];
        int i = low;
        int j = high;
        while (i <= j) {
            while (before(&c[i], &pivot)) {
                i++;
            }
            while (before(&pivot, &c[j])) {
                j--;
            }
            if (i <= j) {
                swap(&c[i++], &c[j--]);
            }
        }
        if (k <= j) {
            high = j;
        } else if (k >= i) {
            low = i;
        } else {
            break;
        }
    }
    qsort(c, (size_t)(k < n ? k : n), sizeof(*c), compare);
}

/* The smallest number of best candidates whose probabilities reach top_p. Sorting a whole
 * vocabulary for a handful of them would cost more than the model's own step, so the sorted
 * part grows as needed. */
static int top_p_count(struct sampler_candidate *c, int n, float top_p)
{
    int sorted = 0;
    float sum = 0.0f;
    for (int i = 0; i < n; i++) {
        if (i == sorted) {
            int next = sorted ? sorted * 4 : 64;
            sorted = next < n ? next : n;
            /* The first i are in place already and are the best: sort among the rest. */
            select_best(c + i, n - i, sorted - i);
        }
        sum += c[i].p;
        if (sum >= top_p) {
            return i + 1;
        }
    }
    return n;
}

/* p of each candidate: exp((logit - max_logit) / temperature). Returns the sum, in candidate
 * order. */
static float weigh(struct sampler_scratch *s, int n, float max_logit, float temperature)
{
    for (int i = 0; i < n; i++) {
        s->weights[i] = (s->candidates[i].logit - max_logit) / temperature;
    }
    s->ops->exp(s->weights, s->weights, (size_t)n);
    float sum = 0.0f;
    for (int i = 0; i < n; i++) {
        s->candidates[i].p = s->weights[i];
        sum += s->weights[i];
    }
    return sum;
}

/* Keeps the candidates that may be drawn in front; returns how many. */
static int cut(struct sampler_scratch *s, int n, float max_logit, const struct sampling *params)
{
    struct sampler_candidate *c = s->candidates;
    if (params->top_k > 0 && params->top_k < n) {
        select_best(c, n, params->top_k);
        n = params->top_k;
    }
    float sum = weigh(s, n, max_logit, 1.0f);
    for (int i = 0; i < n; i++) {
        c[i].p /= sum;
    }
    if (params->top_p < 1.0f) {
        n = top_p_count(c, n, params->top_p);
    }
    if (params->min_p > 0.0f) {
        float floor = params->min_p / sum; /* the best candidate's probability is 1 / sum */
        int kept = 0;
        for (int i = 0; i < n; i++) {
            if (c[i].p >= floor) {
                c[kept++] = c[i];
            }
        }
        n = kept > 0 ? kept : 1;
    }
    return n;
}

static int32_t draw(struct sampler *s, struct sampler_scratch *scratch, int n, float max_logit)
{
    const struct sampler_candidate *c = scratch->candidates;
    float sum = weigh(scratch, n, max_logit, s->params.temperature);
    float mark = rng_uniform(&s->rng) * sum;
    for (int i = 0; i < n - 1; i++) {
        mark -= c[i].p;
        if (mark < 0.0f) {
            return c[i].token;
        }
    }
    return c[n - 1].token;
}

int32_t sampler_next(struct sampler *s, const float *logits, int vocab,
                     struct sampler_scratch *scratch)
{
    int32_t best = highest(logits, vocab);
    if (s->params.temperature <= 0.0f) {
        return best;
    }
    struct sampler_candidate *c = scratch->candidates;
    for (int32_t i = 0; i < vocab; i++) {
        c[i] = (struct sampler_candidate){.token = i, .logit = logits[i]};
    }
    int n = cut(scratch, vocab, logits[best], &s->params);
    return draw(s, scratch, n, logits[best]);
}
