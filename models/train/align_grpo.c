#include "models/train/align_grpo.h"

#include <math.h>
#include <string.h>

#include "models/train/dataset.h"
#include "runtime/base/mem.h"

/* What a shard adds up over its tokens or answers. */
struct sums {
    double kl, surprise, clipped, tokens;
};

enum pass {
    ASK_REFERENCE,
    ASK_OLD,
    UPDATE,
};

struct grpo {
    struct align_policy *policy;
    struct grpo_options options;
    float *reference_params;
    struct train_params reference_bound;
    /* the round that is running */
    const struct align_set *set;
    const struct grpo_answer *answers;
    size_t n;
    enum pass pass;
    bool fresh;             /* the policy is still the one that sampled */
    float *old, *reference; /* (room) log p of a token, at the token before it in the set */
    size_t room;
    struct sums sums[TRAIN_MAX_SHARDS];
};

/* --- the loss --- */

size_t grpo_advantages(struct grpo_answer *answers, size_t n, size_t group)
{
    size_t differ = 0;
    for (size_t first = 0; first + group <= n; first += group) {
        struct grpo_answer *a = answers + first;
        double mean = 0.0, square = 0.0;
        for (size_t i = 0; i < group; i++) {
            mean += a[i].reward / (double)group;
        }
        for (size_t i = 0; i < group; i++) {
            square += (a[i].reward - mean) * (a[i].reward - mean) / (double)group;
        }
        double deviation = sqrt(square);
        bool differs = deviation > 1e-6;
        for (size_t i = 0; i < group; i++) {
            a[i].advantage = differs ? (a[i].reward - mean) / deviation : 0.0;
        }
        differ += differs;
    }
    return differ;
}

double grpo_token_loss(const struct grpo_options *o, double policy, double old,
                       double reference, double advantage, double *d_policy, bool *clipped)
{
    double ratio = exp(policy - old), clip = (double)o->clip, beta = (double)o->beta;
    double held = ratio < 1.0 - clip ? 1.0 - clip : ratio > 1.0 + clip ? 1.0 + clip : ratio;
    double back = reference - policy, kl = exp(back) - back - 1.0;
    *clipped = held * advantage < ratio * advantage;
    *d_policy = (*clipped ? 0.0 : -ratio * advantage) + beta * (1.0 - exp(back));
    return -(*clipped ? held : ratio) * advantage + beta * kl;
}

/* --- a shard's answers --- */

/* The answer's document begins at `at` in the shard's slice. Returns its loss. */
static double answer_loss(struct grpo *g, uint32_t shard, uint32_t at,
                          const struct grpo_answer *a)
{
    struct align_policy *p = g->policy;
    const struct align_doc *doc = &a->doc;
    struct sums *sums = &g->sums[shard];
    double loss = 0.0, over = 1.0 / doc->n_answer;
    for (uint32_t i = 0; i < doc->n; i++) {
        p->weights[shard][at + i] = 0.0f;
        if (p->slices[shard].targets[at + i] == TRAIN_NO_TARGET) {
            continue;
        }
        double d, old = (double)g->old[doc->first + i];
        double policy = g->fresh ? old : (double)p->logprobs[shard][at + i];
        bool clipped;
        loss += over * grpo_token_loss(&g->options, policy, old,
                                       (double)g->reference[doc->first + i], a->advantage, &d,
                                       &clipped);
        /* The transformer's loss is weight * -log p. */
        p->weights[shard][at + i] = (float)(-d * over);
        sums->clipped += clipped;
    }
    return loss;
}

/* Keeps what the model said of the answer's tokens. */
static void keep(struct grpo *g, uint32_t shard, uint32_t at, const struct align_doc *doc)
{
    float *to = (g->pass == ASK_OLD ? g->old : g->reference) + doc->first;
    struct sums *sums = &g->sums[shard];
    memcpy(to, g->policy->logprobs[shard] + at, doc->n * sizeof(*to));
    for (uint32_t i = 0; i < doc->n && g->pass == ASK_OLD; i++) {
        if (g->policy->slices[shard].targets[at + i] != TRAIN_NO_TARGET) {
            double back = (double)g->reference[doc->first + i] - (double)to[i];
            sums->kl += exp(back) - back - 1.0;
            sums->surprise -= (double)to[i];
            sums->tokens += 1.0;
        }
    }
}

/* The answers [from, to) of a shard's share are in its slice. */
static double slice_of_answers(struct grpo *g, uint32_t shard, size_t from, size_t to,
                               float *block)
{
    struct align_policy *p = g->policy;
    uint32_t shards = optimizer_options(p->optimizer)->shards, at = 0;
    struct train_slice *slice = &p->slices[shard];
    double loss = 0.0, mean = 1.0 / (double)g->n;
    if (g->pass != UPDATE || !g->fresh) {
        transformer_logprobs(p->models[shard],
                             g->pass == ASK_REFERENCE ? &g->reference_bound : &p->bound, slice,
                             p->logprobs[shard]);
    }
    for (size_t i = from; i < to; i += shards) {
        const struct grpo_answer *a = &g->answers[i];
        if (g->pass == UPDATE) {
            loss += answer_loss(g, shard, at, a) * mean;
        } else {
            keep(g, shard, at, &a->doc);
        }
        at += a->doc.n;
    }
    if (block) {
        struct train_params grads;
        align_policy_bind_grads(p, block, &grads);
        slice->weights = p->weights[shard];
        transformer_gradients(p->models[shard], &p->bound, &grads, slice, (float)mean);
        slice->weights = NULL;
    }
    return loss;
}

static double work(void *ctx, uint32_t shard, float *block)
{
    struct grpo *g = ctx;
    struct align_policy *p = g->policy;
    uint32_t shards = optimizer_options(p->optimizer)->shards;
    struct train_slice *slice = &p->slices[shard];
    double loss = 0.0;
    g->sums[shard] = (struct sums){0};
    for (size_t i = shard; i < g->n;) {
        size_t from = i;
        dataset_slice_clear(slice);
        for (; i < g->n && slice->n_tokens + g->answers[i].doc.n <= slice->capacity;
             i += shards) {
            align_slice_add(slice, g->set, &g->answers[i].doc);
        }
        loss += slice_of_answers(g, shard, from, i, block);
    }
    return loss;
}

static struct sums gather(const struct grpo *g)
{
    struct sums all = {0};
    for (uint32_t i = 0; i < optimizer_options(g->policy->optimizer)->shards; i++) {
        all.kl += g->sums[i].kl;
        all.surprise += g->sums[i].surprise;
        all.clipped += g->sums[i].clipped;
        all.tokens += g->sums[i].tokens;
    }
    return all;
}

/* --- calls --- */

struct grpo *grpo_create(struct align_policy *policy, const struct grpo_options *options,
                         struct err *e)
{
    struct grpo *g = mem_zalloc(sizeof(*g));
    if (!g) {
        err_nomem(e);
        return NULL;
    }
    g->policy = policy;
    g->options = *options;
    g->reference_params = mem_alloc_aligned(policy->n_params * sizeof(float));
    if (!g->reference_params) {
        err_nomem(e);
        grpo_destroy(g);
        return NULL;
    }
    memcpy(g->reference_params, policy->params, policy->n_params * sizeof(float));
    train_params_bind(&g->reference_bound, &policy->shape, g->reference_params);
    return g;
}

void grpo_destroy(struct grpo *g)
{
    if (!g) {
        return;
    }
    mem_free_aligned(g->reference_params);
    mem_free(g->old);
    mem_free(g->reference);
    mem_free(g);
}

static int reserve(struct grpo *g, size_t tokens, struct err *e)
{
    if (tokens <= g->room) {
        return 0;
    }
    mem_free(g->old);
    mem_free(g->reference);
    g->old = mem_array(tokens, sizeof(float));
    g->reference = mem_array(tokens, sizeof(float));
    g->room = g->old && g->reference ? tokens : 0;
    return g->room > 0 ? 0 : err_nomem(e);
}

int grpo_round(struct grpo *g, const struct align_set *set, const struct grpo_answer *answers,
               size_t n, struct grpo_stats *stats, struct err *e)
{
    struct optimizer *o = g->policy->optimizer;
    if (reserve(g, set->tokens.len / sizeof(uint32_t), e)) {
        return -1;
    }
    g->set = set;
    g->answers = answers;
    g->n = n;
    g->pass = ASK_REFERENCE;
    optimizer_evaluate(o, work, g);
    g->pass = ASK_OLD;
    optimizer_evaluate(o, work, g);
    struct sums said = gather(g);
    g->pass = UPDATE;
    *stats = (struct grpo_stats){.kl = said.kl / said.tokens,
                                 .entropy = said.surprise / said.tokens};
    for (uint32_t i = 0; i < g->options.updates; i++) {
        struct optimizer_stats step;
        g->fresh = i == 0;
        if (optimizer_step(o, work, g, &step, e)) {
            return -1;
        }
        stats->loss = step.loss;
        stats->grad_norm = step.grad_norm;
        stats->lr = (double)step.lr;
        stats->clipped = gather(g).clipped / said.tokens;
    }
    return 0;
}
