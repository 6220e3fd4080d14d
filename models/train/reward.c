#include "models/train/reward.h"

#include <math.h>
#include <string.h>

#include "models/train/align_order.h"
#include "models/train/dataset.h"
#include "runtime/base/mem.h"

struct reward_training {
    struct align_policy *policy;
    struct reward_options options;
    const struct align_set *pairs;
    struct align_order order;
    float *dfeatures[TRAIN_MAX_SHARDS]; /* (docs of a slice, d_model) */
    /* the call that is running */
    const struct align_set *set;
    uint32_t *batch; /* (n_batch) pairs of it */
    size_t n_batch, batch_room;
    double *margins; /* (n_batch), or NULL */
    struct reward_stats sums[TRAIN_MAX_SHARDS];
};

double reward_pair_loss(const struct reward_options *o, double chosen, double rejected,
                        double *d_chosen, double *d_rejected)
{
    double margin = chosen - rejected, sum = chosen + rejected, center = (double)o->center;
    /* log(1 + exp(-margin)), without overflow. */
    double loss = margin > 0.0 ? log1p(exp(-margin)) : log1p(exp(margin)) - margin;
    double pull = 1.0 / (1.0 + exp(margin)); /* sigmoid(-margin) */
    *d_chosen = -pull + 2.0 * center * sum;
    *d_rejected = pull + 2.0 * center * sum;
    return loss + center * sum * sum;
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

/* --- a shard's pairs --- */

/* Adds d * features to the head's gradient and d * head to the features'. */
static void head_backward(const struct align_policy *p, float *dhead, float *dfeatures,
                          const float *features, double d)
{
    for (size_t i = 0; i < p->n_head; i++) {
        dhead[i] += (float)d * features[i];
        dfeatures[i] = (float)d * p->head[i];
    }
}

/* The pairs [from, to) of a shard's share are in its slice, two documents each. */
static double slice_of_pairs(struct reward_training *t, uint32_t shard, size_t from, size_t to,
                             float *block)
{
    struct align_policy *p = t->policy;
    uint32_t shards = optimizer_options(p->optimizer)->shards;
    struct train_slice *slice = &p->slices[shard];
    struct reward_stats *sums = &t->sums[shard];
    double loss = 0.0, mean = 1.0 / (double)t->n_batch;
    const float *features = transformer_features(p->models[shard], &p->bound, slice);
    float *dfeatures = t->dfeatures[shard];
    for (size_t i = from; i < to; i += shards, features += 2 * p->n_head) {
        double c = dot(features, p->head, p->n_head), d_chosen;
        double r = dot(features + p->n_head, p->head, p->n_head), d_rejected;
        double one = reward_pair_loss(&t->options, c, r, &d_chosen, &d_rejected);
        loss += one * mean;
        sums->loss += one;
        sums->margin += c - r;
        sums->accuracy += c > r;
        sums->chosen += c;
        sums->rejected += r;
        if (t->margins) {
            t->margins[i] = c - r;
        }
        if (block) {
            float *dhead = block + p->head_offset;
            head_backward(p, dhead, dfeatures, features, d_chosen * mean);
            head_backward(p, dhead, dfeatures + p->n_head, features + p->n_head,
                          d_rejected * mean);
            dfeatures += 2 * p->n_head;
        }
    }
    if (block) {
        struct train_params grads;
        align_policy_bind_grads(p, block, &grads);
        transformer_features_backward(p->models[shard], &p->bound, &grads, slice,
                                      t->dfeatures[shard]);
    }
    return loss;
}

static double work(void *ctx, uint32_t shard, float *block)
{
    struct reward_training *t = ctx;
    struct align_policy *p = t->policy;
    uint32_t shards = optimizer_options(p->optimizer)->shards;
    struct train_slice *slice = &p->slices[shard];
    double loss = 0.0;
    t->sums[shard] = (struct reward_stats){0};
    for (size_t i = shard; i < t->n_batch;) {
        size_t from = i;
        dataset_slice_clear(slice);
        for (; i < t->n_batch; i += shards) {
            const struct align_pair *pair = align_set_pair(t->set, t->batch[i]);
            if (slice->n_tokens + pair->chosen.n + pair->rejected.n > slice->capacity) {
                break;
            }
            align_slice_add_end(slice, t->set, &pair->chosen);
            align_slice_add_end(slice, t->set, &pair->rejected);
        }
        loss += slice_of_pairs(t, shard, from, i, block);
    }
    return loss;
}

static void gather(const struct reward_training *t, struct reward_stats *out)
{
    double over = 1.0 / (double)t->n_batch;
    *out = (struct reward_stats){0};
    for (uint32_t i = 0; i < optimizer_options(t->policy->optimizer)->shards; i++) {
        out->loss += t->sums[i].loss * over;
        out->margin += t->sums[i].margin * over;
        out->accuracy += t->sums[i].accuracy * over;
        out->chosen += t->sums[i].chosen * over;
        out->rejected += t->sums[i].rejected * over;
    }
}

/* --- calls --- */

static int reserve_batch(struct reward_training *t, size_t n, struct err *e)
{
    if (n > t->batch_room) {
        uint32_t *batch = mem_realloc_array(t->batch, n, sizeof(*batch));
        if (!batch) {
            return err_nomem(e);
        }
        t->batch = batch;
        t->batch_room = n;
    }
    t->n_batch = n;
    return 0;
}

struct reward_training *reward_create(struct align_policy *policy,
                                      const struct reward_options *options,
                                      const struct align_set *pairs, struct err *e)
{
    struct reward_training *t = mem_zalloc(sizeof(*t));
    if (!t) {
        err_nomem(e);
        return NULL;
    }
    *t = (struct reward_training){.policy = policy, .options = *options, .pairs = pairs};
    bool ok = !align_order_init(&t->order, align_set_count(pairs), options->seed, e);
    for (uint32_t i = 0; ok && i < optimizer_options(policy->optimizer)->shards; i++) {
        /* A document has two tokens or more. */
        t->dfeatures[i] = mem_zarray(policy->capacity / 2 + 1, policy->n_head * sizeof(float));
        ok = t->dfeatures[i] || (err_nomem(e), false);
    }
    if (!ok) {
        reward_destroy(t);
        return NULL;
    }
    return t;
}

void reward_destroy(struct reward_training *t)
{
    if (!t) {
        return;
    }
    align_order_deinit(&t->order);
    for (size_t i = 0; i < TRAIN_MAX_SHARDS; i++) {
        mem_free(t->dfeatures[i]);
    }
    mem_free(t->batch);
    mem_free(t);
}

int reward_step(struct reward_training *t, struct reward_stats *stats,
                struct optimizer_stats *step, struct err *e)
{
    if (reserve_batch(t, t->options.batch_pairs, e)) {
        return -1;
    }
    uint64_t at = optimizer_steps_done(t->policy->optimizer) * t->n_batch;
    t->set = t->pairs;
    for (size_t i = 0; i < t->n_batch; i++) {
        t->batch[i] = align_order_at(&t->order, at + i);
    }
    if (optimizer_step(t->policy->optimizer, work, t, step, e)) {
        return -1;
    }
    gather(t, stats);
    return 0;
}

static void calibrate(struct reward_calibration *c, const double *margins, size_t n)
{
    *c = (struct reward_calibration){0};
    for (size_t i = 0; i < n; i++) {
        double said = 1.0 / (1.0 + exp(-fabs(margins[i])));
        size_t bin = (size_t)((said - 0.5) * 2.0 * REWARD_BINS);
        struct reward_bin *b = &c->bins[bin < REWARD_BINS ? bin : REWARD_BINS - 1];
        b->pairs++;
        b->said += said;
        b->right += margins[i] > 0.0;
    }
    for (size_t i = 0; i < REWARD_BINS; i++) {
        struct reward_bin *b = &c->bins[i];
        if (b->pairs > 0) {
            c->error += fabs(b->said - b->right) / (double)n;
            b->said /= (double)b->pairs;
            b->right /= (double)b->pairs;
        }
    }
}

int reward_judge(struct reward_training *t, const struct align_set *set,
                 struct reward_stats *stats, struct reward_calibration *calibration,
                 struct err *e)
{
    size_t n = align_set_count(set);
    if (reserve_batch(t, n, e)) {
        return -1;
    }
    if (calibration && !(t->margins = mem_zarray(n, sizeof(double)))) {
        return err_nomem(e);
    }
    t->set = set;
    for (size_t i = 0; i < n; i++) {
        t->batch[i] = (uint32_t)i;
    }
    optimizer_evaluate(t->policy->optimizer, work, t);
    gather(t, stats);
    if (calibration) {
        calibrate(calibration, t->margins, n);
        mem_free(t->margins);
        t->margins = NULL;
    }
    return 0;
}
