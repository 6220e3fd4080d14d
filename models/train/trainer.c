#include "models/train/trainer.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "models/train/kernels.h"
#include "models/train/team.h"
#include "runtime/base/mem.h"

/* Unit in which the gradient's norm is summed, whatever the number of threads. */
#define NORM_CHUNK       65536
#define MAX_BATCH_TOKENS (1u << 23)

struct shard {
    struct transformer *model;
    float *grads; /* (n_params) */
    double loss;  /* sum over targets */
};

struct trainer {
    struct train_shape shape;
    struct train_options options;
    const struct train_kernels *kernels;
    struct batcher *batcher;
    struct train_team *team;
    uint64_t step;
    size_t n_params;
    float *params, *moment1, *moment2; /* (n_params) */
    size_t n_tensors;
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    uint32_t slices_per_shard;
    struct train_slice *slices; /* (shards * slices_per_shard), those of a shard side by side */
    double *norm_chunks;        /* one sum a NORM_CHUNK of parameters */
    size_t n_chunks;
    struct shard shards[TRAIN_MAX_SHARDS];
    /* of the step that is running */
    float scale;
    bool forward_only;
    struct train_adamw adamw;
};

struct train_options train_options_default(void)
{
    return (struct train_options){
        .seed = 1,
        .shards = 2,
        .batch_tokens = 16384,
        .row = 512,
        .slice_tokens = 2048,
        .warmup = 100,
        .steps = 1000,
        .lr = 1e-3f,
        .min_lr = 1e-4f,
        .beta1 = 0.9f,
        .beta2 = 0.95f,
        .eps = 1e-8f,
        .weight_decay = 0.1f,
        .clip = 1.0f,
    };
}

static int check_options(const struct train_options *o, const struct train_shape *s,
                         struct err *e)
{
    if (o->shards < 1 || o->shards > TRAIN_MAX_SHARDS) {
        return err_set_param(e, ERR_INVALID, "shards", "shards is %u; 1 to %d are allowed",
                             o->shards, TRAIN_MAX_SHARDS);
    }
    if (o->row < 2 || o->row > s->context) {
        return err_set_param(e, ERR_INVALID, "row",
                             "row is %u; the model's context allows 2 to %u", o->row,
                             s->context);
    }
    if (o->batch_tokens / o->shards < o->row || o->batch_tokens > MAX_BATCH_TOKENS) {
        return err_set_param(
            e, ERR_INVALID, "batch-tokens",
            "batch-tokens is %u; it must be at least shards * row = %u and at most %u",
            o->batch_tokens, o->shards * o->row, MAX_BATCH_TOKENS);
    }
    if (!(o->lr > 0.0f && o->lr <= 1.0f) || !(o->min_lr >= 0.0f && o->min_lr <= o->lr)) {
        return err_set_param(e, ERR_INVALID, "lr",
                             "lr must be above 0 and at most 1, and min-lr from 0 to lr");
    }
    if (o->steps < 1) {
        return err_set_param(e, ERR_INVALID, "steps", "steps is 0; at least 1 is needed");
    }
    return 0;
}

static int allocate_slices(struct trainer *t, struct err *e)
{
    const struct train_options *o = &t->options;
    uint32_t per_shard = o->batch_tokens / o->shards;
    uint32_t target = o->row > o->slice_tokens ? o->row : o->slice_tokens;
    t->slices_per_shard = per_shard / target > 0 ? per_shard / target : 1;
    uint32_t capacity = per_shard / t->slices_per_shard;
    size_t n = (size_t)t->slices_per_shard * o->shards;
    t->slices = mem_zarray(n, sizeof(*t->slices));
    if (!t->slices) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++) {
        if (train_slice_init(&t->slices[i], capacity, e)) {
            return -1;
        }
    }
    for (uint32_t i = 0; i < o->shards; i++) {
        t->shards[i].model = transformer_create(&t->shape, capacity, e);
        t->shards[i].grads = mem_zalloc_aligned(t->n_params * sizeof(float));
        if (!t->shards[i].model) {
            return -1;
        }
        if (!t->shards[i].grads) {
            return err_nomem(e);
        }
    }
    return 0;
}

static int allocate(struct trainer *t, const struct dataset *data, struct err *e)
{
    t->params = mem_zalloc_aligned(t->n_params * sizeof(float));
    t->moment1 = mem_zalloc_aligned(t->n_params * sizeof(float));
    t->moment2 = mem_zalloc_aligned(t->n_params * sizeof(float));
    t->n_chunks = (t->n_params + NORM_CHUNK - 1) / NORM_CHUNK;
    t->norm_chunks = mem_zarray(t->n_chunks, sizeof(double));
    if (!t->params || !t->moment1 || !t->moment2 || !t->norm_chunks) {
        return err_nomem(e);
    }
    if (!data) {
        return 0;
    }
    if (dataset_vocab(data) > t->shape.vocab) {
        return err_set(e, ERR_INVALID,
                       "the token file has a vocabulary of %u, the model one of %u",
                       dataset_vocab(data), t->shape.vocab);
    }
    t->batcher = batcher_create(data, t->options.row, t->options.seed, true, e);
    if (!t->batcher || allocate_slices(t, e)) {
        return -1;
    }
    t->team = train_team_create(t->options.shards, e);
    return t->team ? 0 : -1;
}

struct trainer *trainer_create(const struct train_shape *shape,
                               const struct train_options *options, const struct dataset *data,
                               struct err *e)
{
    if (train_shape_check(shape, e) || check_options(options, shape, e)) {
        return NULL;
    }
    struct trainer *t = mem_zalloc(sizeof(*t));
    if (!t) {
        err_nomem(e);
        return NULL;
    }
    /* Each shard is one thread already. */
    openblas_set_num_threads(1);
    t->shape = *shape;
    t->options = *options;
    t->kernels = train_kernels_get();
    t->n_params = train_shape_param_count(shape);
    t->n_tensors = train_shape_tensors(shape, t->tensors);
    if (allocate(t, data, e)) {
        trainer_destroy(t);
        return NULL;
    }
    train_params_init(shape, t->params, options->seed);
    return t;
}

void trainer_destroy(struct trainer *t)
{
    if (!t) {
        return;
    }
    train_team_destroy(t->team);
    for (uint32_t i = 0; i < t->options.shards; i++) {
        transformer_destroy(t->shards[i].model);
        mem_free_aligned(t->shards[i].grads);
    }
    if (t->slices) {
        for (size_t i = 0; i < (size_t)t->slices_per_shard * t->options.shards; i++) {
            train_slice_deinit(&t->slices[i]);
        }
    }
    mem_free(t->slices);
    batcher_destroy(t->batcher);
    mem_free(t->norm_chunks);
    mem_free_aligned(t->params);
    mem_free_aligned(t->moment1);
    mem_free_aligned(t->moment2);
    mem_free(t);
}

/* Phase 1: loss and gradients of one shard's slices. */
static void run_shard(void *arg, size_t member)
{
    struct trainer *t = arg;
    struct shard *shard = &t->shards[member];
    struct train_params params, grads;
    train_params_bind(&params, &t->shape, t->params);
    train_params_bind(&grads, &t->shape, shard->grads);
    shard->loss = 0.0;
    if (!t->forward_only) {
        memset(shard->grads, 0, t->n_params * sizeof(float));
    }
    for (uint32_t i = 0; i < t->slices_per_shard; i++) {
        const struct train_slice *slice = &t->slices[member * t->slices_per_shard + i];
        if (slice->n_targets == 0) {
            continue;
        }
        if (t->forward_only) {
            shard->loss += transformer_loss(shard->model, &params, slice);
        } else {
            shard->loss +=
                transformer_gradients(shard->model, &params, &grads, slice, t->scale);
        }
    }
}

/* Phase 2: this member's chunks of all gradients into shard 0's, and their sums of squares. */
static void reduce_gradients(void *arg, size_t member)
{
    struct trainer *t = arg;
    for (size_t c = member; c < t->n_chunks; c += t->options.shards) {
        size_t begin = c * NORM_CHUNK, left = t->n_params - begin;
        size_t n = left < NORM_CHUNK ? left : NORM_CHUNK;
        for (uint32_t i = 1; i < t->options.shards; i++) {
            t->kernels->add(t->shards[0].grads + begin, t->shards[i].grads + begin, n);
        }
        t->norm_chunks[c] = t->kernels->sum_squares(t->shards[0].grads + begin, n);
    }
}

/* Phase 3: AdamW on this member's part of every tensor. */
static void update_params(void *arg, size_t member)
{
    struct trainer *t = arg;
    for (size_t i = 0; i < t->n_tensors; i++) {
        const struct train_tensor *tensor = &t->tensors[i];
        size_t n = (size_t)tensor->rows * tensor->cols, shards = t->options.shards;
        size_t begin = n * member / shards, end = n * (member + 1) / shards;
        size_t at = tensor->offset + begin;
        struct train_adamw o = t->adamw;
        o.weight_decay = tensor->rows > 1 ? o.weight_decay : 0.0f;
        t->kernels->adamw(t->params + at, t->shards[0].grads + at, t->moment1 + at,
                          t->moment2 + at, end - begin, &o);
    }
}

float train_learning_rate(const struct train_options *o, uint64_t step)
{
    if (step < o->warmup) {
        return o->lr * (float)(step + 1) / (float)o->warmup;
    }
    if (step + 1 >= o->steps) {
        return o->min_lr;
    }
    double done = (double)(step - o->warmup) / (double)(o->steps - 1 - o->warmup);
    return o->min_lr + (o->lr - o->min_lr) * (float)(0.5 * (1.0 + cos(M_PI * done)));
}

static void set_adamw(struct trainer *t, double norm)
{
    const struct train_options *o = &t->options;
    double n = (double)(t->step + 1);
    t->adamw = (struct train_adamw){
        .lr = train_learning_rate(o, t->step),
        .beta1 = o->beta1,
        .beta2 = o->beta2,
        .eps = o->eps,
        .weight_decay = o->weight_decay,
        .correction1 = (float)(1.0 / (1.0 - pow((double)o->beta1, n))),
        .correction2 = (float)(1.0 / (1.0 - pow((double)o->beta2, n))),
        .grad_scale = norm > (double)o->clip ? (float)((double)o->clip / norm) : 1.0f,
    };
}

int trainer_step(struct trainer *t, struct train_stats *stats, struct err *e)
{
    size_t n_slices = (size_t)t->slices_per_shard * t->options.shards;
    uint32_t targets = batcher_fill(t->batcher, t->slices, n_slices, false);
    double loss = 0.0, squares = 0.0;
    *stats = (struct train_stats){.targets = targets};
    for (size_t i = 0; i < n_slices; i++) {
        stats->tokens += t->slices[i].n_tokens;
    }

    t->scale = 1.0f / (float)targets;
    t->forward_only = false;
    train_team_run(t->team, run_shard, t);
    train_team_run(t->team, reduce_gradients, t);
    for (uint32_t i = 0; i < t->options.shards; i++) {
        loss += t->shards[i].loss;
    }
    for (size_t i = 0; i < t->n_chunks; i++) {
        squares += t->norm_chunks[i];
    }
    stats->loss = loss / targets;
    stats->grad_norm = sqrt(squares);
    if (!isfinite(stats->loss) || !isfinite(stats->grad_norm)) {
        return err_set(
            e, ERR_INVALID,
            "step %llu: loss %g, gradient norm %g: training has diverged; go back to a "
            "checkpoint with a lower --lr",
            (unsigned long long)t->step + 1, stats->loss, stats->grad_norm);
    }
    set_adamw(t, stats->grad_norm);
    stats->lr = t->adamw.lr;
    train_team_run(t->team, update_params, t);
    t->step++;
    return 0;
}

int trainer_validate(struct trainer *t, const struct dataset *data, uint64_t max_tokens,
                     double *loss, struct err *e)
{
    if (dataset_vocab(data) > t->shape.vocab) {
        return err_set(e, ERR_INVALID,
                       "the validation file has a vocabulary of %u, the model one of %u",
                       dataset_vocab(data), t->shape.vocab);
    }
    struct batcher *batcher = batcher_create(data, t->options.row, 0, false, e);
    if (!batcher) {
        return -1;
    }
    size_t n_slices = (size_t)t->slices_per_shard * t->options.shards;
    uint64_t tokens = 0, targets = 0;
    uint32_t count;
    double total = 0.0;
    t->forward_only = true;
    while (tokens < max_tokens &&
           (count = batcher_fill(batcher, t->slices, n_slices, true)) > 0) {
        train_team_run(t->team, run_shard, t);
        for (uint32_t i = 0; i < t->options.shards; i++) {
            total += t->shards[i].loss;
        }
        for (size_t i = 0; i < n_slices; i++) {
            tokens += t->slices[i].n_tokens;
        }
        targets += count;
    }
    *loss = total / (double)targets;
    batcher_destroy(batcher);
    return 0;
}

uint64_t trainer_step_count(const struct trainer *t)
{
    return t->step;
}

double trainer_epochs(const struct trainer *t)
{
    struct batcher_position at = batcher_tell(t->batcher);
    return (double)at.epoch + (double)at.next / (double)batcher_doc_count(t->batcher);
}

const struct train_shape *trainer_shape(const struct trainer *t)
{
    return &t->shape;
}

const struct train_options *trainer_options(const struct trainer *t)
{
    return &t->options;
}

float *trainer_params(struct trainer *t)
{
    return t->params;
}

float *trainer_moment1(struct trainer *t)
{
    return t->moment1;
}

float *trainer_moment2(struct trainer *t)
{
    return t->moment2;
}

struct batcher_position trainer_position(const struct trainer *t)
{
    return t->batcher ? batcher_tell(t->batcher) : (struct batcher_position){0};
}

int trainer_restore(struct trainer *t, uint64_t step, struct batcher_position at, struct err *e)
{
    t->step = step;
    return t->batcher ? batcher_seek(t->batcher, at, e) : 0;
}
