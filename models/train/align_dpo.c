#include "models/train/align_dpo.h"

#include <math.h>
#include <string.h>

#include "models/train/align_order.h"
#include "models/train/dataset.h"
#include "runtime/base/mem.h"

#define SLICE_TOKENS 2048 /* that a slice has room for at least */

/* What the reference says of a pair. */
struct dpo_reference {
    double chosen, rejected;
};

struct dpo {
    struct align_policy *policy;
    struct dpo_options options;
    const struct align_set *pairs, *validation;
    struct dpo_reference *reference, *validation_reference;
    struct align_order order;
    /* the call that is running */
    const struct align_set *set;
    struct dpo_reference *said; /* of `set` */
    uint32_t *batch;            /* (n_batch) pairs of it */
    size_t n_batch;
    bool ask_reference; /* fills `said` instead of reading it */
    struct dpo_stats sums[TRAIN_MAX_SHARDS];
};

/* --- the loss --- */

double dpo_pair_loss(const struct dpo_options *o, const struct dpo_logprobs *chosen,
                     const struct dpo_logprobs *rejected, double *d_chosen, double *d_rejected)
{
    double over_chosen = o->per_token ? 1.0 / chosen->n : 1.0;
    double over_rejected = o->per_token ? 1.0 / rejected->n : 1.0;
    double beta = (double)o->beta;
    double margin = beta * ((chosen->policy - chosen->reference) * over_chosen -
                            (rejected->policy - rejected->reference) * over_rejected);
    /* log(1 + exp(-margin)), without overflow. */
    double loss = margin > 0.0 ? log1p(exp(-margin)) : log1p(exp(margin)) - margin;
    double pull = beta / (1.0 + exp(margin)); /* beta * sigmoid(-margin) */
    double sft = (double)o->sft_weight / chosen->n;
    *d_chosen = -pull * over_chosen - sft;
    *d_rejected = pull * over_rejected;
    return loss - sft * chosen->policy;
}

static void count(struct dpo_stats *s, const struct dpo_options *o, double loss,
                  const struct dpo_logprobs *chosen, const struct dpo_logprobs *rejected)
{
    double c = chosen->policy - chosen->reference, r = rejected->policy - rejected->reference;
    double margin = o->per_token ? c / (double)chosen->n - r / (double)rejected->n : c - r;
    s->loss += loss;
    s->margin += (double)o->beta * margin;
    s->accuracy += margin > 0.0;
    s->chosen += c;
    s->rejected += r;
}

/* --- a shard's pairs --- */

/* Sum of log p over a document that begins at *at in a shard's slice. */
static double doc_logprob(const struct align_policy *p, uint32_t shard, uint32_t *at,
                          const struct align_doc *doc)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < doc->n; i++) {
        sum += (double)p->logprobs[shard][*at + i];
    }
    *at += doc->n;
    return sum;
}

static void weigh(const struct align_policy *p, uint32_t shard, uint32_t begin,
                  const struct align_doc *doc, double weight)
{
    for (uint32_t i = 0; i < doc->n; i++) {
        p->weights[shard][begin + i] = (float)weight;
    }
}

/* The pairs [from, to) of a shard's share are in its slice. */
static double slice_of_pairs(struct dpo *d, uint32_t shard, size_t from, size_t to,
                             const struct train_params *grads)
{
    struct align_policy *p = d->policy;
    uint32_t shards = optimizer_options(p->optimizer)->shards;
    struct train_slice *slice = &p->slices[shard];
    double loss = 0.0, mean = 1.0 / (double)d->n_batch;
    uint32_t at = 0;
    transformer_logprobs(p->models[shard], &p->bound, slice, p->logprobs[shard]);
    for (size_t i = from; i < to; i += shards) {
        const struct align_pair *pair = align_set_pair(d->set, d->batch[i]);
        struct dpo_reference *said = &d->said[d->batch[i]];
        uint32_t begin = at;
        struct dpo_logprobs c = {doc_logprob(p, shard, &at, &pair->chosen), said->chosen,
                                 pair->chosen.n_answer};
        struct dpo_logprobs r = {doc_logprob(p, shard, &at, &pair->rejected), said->rejected,
                                 pair->rejected.n_answer};
        if (d->ask_reference) {
            *said = (struct dpo_reference){c.policy, r.policy};
            continue;
        }
        double d_chosen, d_rejected;
        double of_pair = dpo_pair_loss(&d->options, &c, &r, &d_chosen, &d_rejected);
        count(&d->sums[shard], &d->options, of_pair, &c, &r);
        loss += of_pair * mean;
        /* The transformer's loss is weight * -log p. */
        weigh(p, shard, begin, &pair->chosen, -d_chosen);
        weigh(p, shard, begin + pair->chosen.n, &pair->rejected, -d_rejected);
    }
    if (grads) {
        slice->weights = p->weights[shard];
        transformer_gradients(p->models[shard], &p->bound, grads, slice, (float)mean);
        slice->weights = NULL;
    }
    return loss;
}

static double work(void *ctx, uint32_t shard, float *block)
{
    struct dpo *d = ctx;
    struct align_policy *p = d->policy;
    uint32_t shards = optimizer_options(p->optimizer)->shards;
    struct train_params grads;
    double loss = 0.0;
    d->sums[shard] = (struct dpo_stats){0};
    if (block) {
        align_policy_bind_grads(p, block, &grads);
    }
    for (size_t i = shard; i < d->n_batch;) {
        size_t from = i;
        struct train_slice *slice = &p->slices[shard];
        dataset_slice_clear(slice);
        for (; i < d->n_batch; i += shards) {
            const struct align_pair *pair = align_set_pair(d->set, d->batch[i]);
            if (slice->n_tokens + pair->chosen.n + pair->rejected.n > slice->capacity) {
                break;
            }
            align_slice_add(slice, d->set, &pair->chosen);
            align_slice_add(slice, d->set, &pair->rejected);
        }
        loss += slice_of_pairs(d, shard, from, i, block ? &grads : NULL);
    }
    return loss;
}

/* Means over the pairs of the call that just ended. */
static void gather(const struct dpo *d, struct dpo_stats *out)
{
    double over = 1.0 / (double)d->n_batch;
    *out = (struct dpo_stats){0};
    for (uint32_t i = 0; i < optimizer_options(d->policy->optimizer)->shards; i++) {
        out->loss += d->sums[i].loss * over;
        out->margin += d->sums[i].margin * over;
        out->accuracy += d->sums[i].accuracy * over;
        out->chosen += d->sums[i].chosen * over;
        out->rejected += d->sums[i].rejected * over;
    }
}

/* --- calls --- */

static void look_at_all(struct dpo *d, const struct align_set *set, struct dpo_reference *said,
                        bool ask_reference)
{
    d->set = set;
    d->said = said;
    d->n_batch = align_set_count(set);
    d->ask_reference = ask_reference;
    for (size_t i = 0; i < d->n_batch; i++) {
        d->batch[i] = (uint32_t)i;
    }
    optimizer_evaluate(d->policy->optimizer, work, d);
    d->ask_reference = false;
}

uint32_t dpo_capacity(uint32_t longest)
{
    uint32_t n = 2 * longest;
    return n > SLICE_TOKENS ? n : SLICE_TOKENS;
}

static int allocate(struct dpo *d, struct err *e)
{
    size_t n = align_set_count(d->pairs),
           v = d->validation ? align_set_count(d->validation) : 0;
    size_t most = n > v ? n : v;
    if (most > UINT32_MAX) {
        return err_set(e, ERR_LIMIT, "%zu pairs, at most %u are read", most, UINT32_MAX);
    }
    most = most > d->options.batch_pairs ? most : d->options.batch_pairs;
    d->reference = mem_zarray(n, sizeof(*d->reference));
    d->validation_reference = mem_zarray(v + 1, sizeof(*d->validation_reference));
    d->batch = mem_zarray(most, sizeof(*d->batch));
    return d->reference && d->validation_reference && d->batch
               ? align_order_init(&d->order, n, d->options.seed, e)
               : err_nomem(e);
}

struct dpo *dpo_create(struct align_policy *policy, const struct dpo_options *options,
                       const struct align_set *pairs, const struct align_set *validation,
                       struct err *e)
{
    struct dpo *d = mem_zalloc(sizeof(*d));
    if (!d) {
        err_nomem(e);
        return NULL;
    }
    d->policy = policy;
    d->options = *options;
    d->pairs = pairs;
    d->validation = validation;
    if (allocate(d, e)) {
        dpo_destroy(d);
        return NULL;
    }
    look_at_all(d, pairs, d->reference, true);
    if (validation) {
        look_at_all(d, validation, d->validation_reference, true);
    }
    return d;
}

void dpo_destroy(struct dpo *d)
{
    if (!d) {
        return;
    }
    mem_free(d->reference);
    mem_free(d->validation_reference);
    align_order_deinit(&d->order);
    mem_free(d->batch);
    mem_free(d);
}

int dpo_step(struct dpo *d, struct dpo_stats *stats, struct optimizer_stats *step,
             struct err *e)
{
    uint64_t at = optimizer_steps_done(d->policy->optimizer) * d->options.batch_pairs;
    d->set = d->pairs;
    d->said = d->reference;
    d->n_batch = d->options.batch_pairs;
    for (size_t i = 0; i < d->n_batch; i++) {
        d->batch[i] = align_order_at(&d->order, at + i);
    }
    if (optimizer_step(d->policy->optimizer, work, d, step, e)) {
        return -1;
    }
    gather(d, stats);
    return 0;
}

void dpo_validate(struct dpo *d, struct dpo_stats *stats)
{
    look_at_all(d, d->validation, d->validation_reference, false);
    gather(d, stats);
}
