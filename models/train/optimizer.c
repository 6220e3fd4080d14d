#include "models/train/optimizer.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "models/train/kernels.h"
#include "models/train/team.h"
#include "runtime/base/mem.h"

/* Unit in which the gradient's norm is summed, whatever the number of threads. */
#define NORM_CHUNK 65536

struct optimizer {
    struct optimizer_options options;
    const struct train_kernels *kernels;
    struct train_team *team;
    uint64_t step;
    struct optimizer_tensor *tensors; /* (n_tensors) */
    size_t n_tensors;
    size_t block; /* floats */
    float *moment1, *moment2;
    float *grads[TRAIN_MAX_SHARDS];
    double losses[TRAIN_MAX_SHARDS];
    double *norm_chunks; /* (n_chunks) one sum a NORM_CHUNK of a block */
    size_t n_chunks;
    /* of the step that is running */
    optimizer_work work;
    void *ctx;
    struct train_adamw adamw;
};

struct optimizer_options optimizer_options_default(void)
{
    return (struct optimizer_options){
        .shards = 2,
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

int optimizer_options_check(const struct optimizer_options *o, struct err *e)
{
    if (o->shards < 1 || o->shards > TRAIN_MAX_SHARDS) {
        return err_set_param(e, ERR_INVALID, "shards", "shards is %u; 1 to %d are allowed",
                             o->shards, TRAIN_MAX_SHARDS);
    }
    if (!(o->lr > 0.0f && o->lr <= 1.0f) || !(o->min_lr >= 0.0f && o->min_lr <= o->lr)) {
        return err_set_param(e, ERR_INVALID, "lr",
                             "lr must be above 0 and at most 1, and min-lr from 0 to lr");
    }
    if (o->steps < 1) {
        return err_set_param(e, ERR_INVALID, "steps", "steps is 0; at least 1 is needed");
    }
    if (!(o->weight_decay >= 0.0f && o->weight_decay <= 1.0f)) {
        return err_set_param(e, ERR_INVALID, "weight-decay", "weight-decay must be 0 to 1");
    }
    if (!(o->clip > 0.0f)) {
        return err_set_param(e, ERR_INVALID, "clip", "clip must be above 0");
    }
    return 0;
}

size_t optimizer_place(struct optimizer_tensor *tensors, size_t n_tensors)
{
    size_t at = 0;
    for (size_t i = 0; i < n_tensors; i++) {
        tensors[i].offset = at;
        at += (tensors[i].count + 15) / 16 * 16;
    }
    return at;
}

static int allocate(struct optimizer *o, const struct optimizer_tensor *tensors, struct err *e)
{
    o->tensors = mem_array(o->n_tensors, sizeof(*tensors));
    if (!o->tensors) {
        return err_nomem(e);
    }
    memcpy(o->tensors, tensors, o->n_tensors * sizeof(*tensors));
    for (size_t i = 0; i < o->n_tensors; i++) {
        size_t end = tensors[i].offset + (tensors[i].count + 15) / 16 * 16;
        o->block = end > o->block ? end : o->block;
    }
    o->n_chunks = (o->block + NORM_CHUNK - 1) / NORM_CHUNK;
    o->norm_chunks = mem_zarray(o->n_chunks, sizeof(double));
    o->moment1 = mem_zalloc_aligned(o->block * sizeof(float));
    o->moment2 = mem_zalloc_aligned(o->block * sizeof(float));
    if (!o->norm_chunks || !o->moment1 || !o->moment2) {
        return err_nomem(e);
    }
    for (uint32_t i = 0; i < o->options.shards; i++) {
        if (!(o->grads[i] = mem_zalloc_aligned(o->block * sizeof(float)))) {
            return err_nomem(e);
        }
    }
    o->team = train_team_create(o->options.shards, e);
    return o->team ? 0 : -1;
}

struct optimizer *optimizer_create(const struct optimizer_options *options,
                                   const struct optimizer_tensor *tensors, size_t n_tensors,
                                   struct err *e)
{
    if (optimizer_options_check(options, e)) {
        return NULL;
    }
    struct optimizer *o = mem_zalloc(sizeof(*o));
    if (!o) {
        err_nomem(e);
        return NULL;
    }
    /* Each shard is one thread already. */
    openblas_set_num_threads(1);
    o->options = *options;
    o->kernels = train_kernels_get();
    o->n_tensors = n_tensors;
    if (allocate(o, tensors, e)) {
        optimizer_destroy(o);
        return NULL;
    }
    return o;
}

void optimizer_destroy(struct optimizer *o)
{
    if (!o) {
        return;
    }
    train_team_destroy(o->team);
    for (uint32_t i = 0; i < o->options.shards; i++) {
        mem_free_aligned(o->grads[i]);
    }
    mem_free_aligned(o->moment1);
    mem_free_aligned(o->moment2);
    mem_free(o->norm_chunks);
    mem_free(o->tensors);
    mem_free(o);
}

uint64_t optimizer_memory(const struct optimizer_options *options, size_t block)
{
    return (uint64_t)(options->shards + 2) * block * sizeof(float);
}

/* Phase 1: each shard's loss and gradients. */
static void run_shard(void *arg, size_t member)
{
    struct optimizer *o = arg;
    memset(o->grads[member], 0, o->block * sizeof(float));
    o->losses[member] = o->work(o->ctx, (uint32_t)member, o->grads[member]);
}

static void evaluate_shard(void *arg, size_t member)
{
    struct optimizer *o = arg;
    o->losses[member] = o->work(o->ctx, (uint32_t)member, NULL);
}

/* Phase 2: this member's chunks of all gradients into shard 0's, and their sums of squares. */
static void reduce_gradients(void *arg, size_t member)
{
    struct optimizer *o = arg;
    for (size_t c = member; c < o->n_chunks; c += o->options.shards) {
        size_t begin = c * NORM_CHUNK, left = o->block - begin;
        size_t n = left < NORM_CHUNK ? left : NORM_CHUNK;
        for (uint32_t i = 1; i < o->options.shards; i++) {
            o->kernels->add(o->grads[0] + begin, o->grads[i] + begin, n);
        }
        o->norm_chunks[c] = o->kernels->sum_squares(o->grads[0] + begin, n);
    }
}

/* Phase 3: AdamW on this member's part of every tensor. */
static void update_params(void *arg, size_t member)
{
    struct optimizer *o = arg;
    size_t shards = o->options.shards;
    for (size_t i = 0; i < o->n_tensors; i++) {
        const struct optimizer_tensor *tensor = &o->tensors[i];
        size_t begin = tensor->count * member / shards;
        size_t end = tensor->count * (member + 1) / shards;
        size_t at = tensor->offset + begin;
        struct train_adamw adamw = o->adamw;
        adamw.weight_decay = tensor->decays ? adamw.weight_decay : 0.0f;
        o->kernels->adamw(tensor->param + begin, o->grads[0] + at, o->moment1 + at,
                          o->moment2 + at, end - begin, &adamw);
    }
}

float optimizer_learning_rate(const struct optimizer_options *o, uint64_t step)
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

static void set_adamw(struct optimizer *o, double norm)
{
    const struct optimizer_options *p = &o->options;
    double n = (double)(o->step + 1);
    o->adamw = (struct train_adamw){
        .lr = optimizer_learning_rate(p, o->step),
        .beta1 = p->beta1,
        .beta2 = p->beta2,
        .eps = p->eps,
        .weight_decay = p->weight_decay,
        .correction1 = (float)(1.0 / (1.0 - pow((double)p->beta1, n))),
        .correction2 = (float)(1.0 / (1.0 - pow((double)p->beta2, n))),
        .grad_scale = norm > (double)p->clip ? (float)((double)p->clip / norm) : 1.0f,
    };
}

static double total_loss(const struct optimizer *o)
{
    double loss = 0.0;
    for (uint32_t i = 0; i < o->options.shards; i++) {
        loss += o->losses[i];
    }
    return loss;
}

int optimizer_step(struct optimizer *o, optimizer_work work, void *ctx,
                   struct optimizer_stats *stats, struct err *e)
{
    double squares = 0.0;
    o->work = work;
    o->ctx = ctx;
    train_team_run(o->team, run_shard, o);
    train_team_run(o->team, reduce_gradients, o);
    for (size_t i = 0; i < o->n_chunks; i++) {
        squares += o->norm_chunks[i];
    }
    *stats = (struct optimizer_stats){.loss = total_loss(o), .grad_norm = sqrt(squares)};
    if (!isfinite(stats->loss) || !isfinite(stats->grad_norm)) {
        return err_set(
            e, ERR_INVALID,
            "step %llu: loss %g, gradient norm %g: training has diverged; go back to a "
            "checkpoint with a lower --lr",
            (unsigned long long)o->step + 1, stats->loss, stats->grad_norm);
    }
    set_adamw(o, stats->grad_norm);
    stats->lr = o->adamw.lr;
    train_team_run(o->team, update_params, o);
    o->step++;
    return 0;
}

double optimizer_evaluate(struct optimizer *o, optimizer_work work, void *ctx)
{
    o->work = work;
    o->ctx = ctx;
    train_team_run(o->team, evaluate_shard, o);
    return total_loss(o);
}

const struct optimizer_options *optimizer_options(const struct optimizer *o)
{
    return &o->options;
}

uint64_t optimizer_steps_done(const struct optimizer *o)
{
    return o->step;
}

void optimizer_set_steps_done(struct optimizer *o, uint64_t step)
{
    o->step = step;
}

size_t optimizer_block(const struct optimizer *o)
{
    return o->block;
}

float *optimizer_moment1(struct optimizer *o)
{
    return o->moment1;
}

float *optimizer_moment2(struct optimizer *o)
{
    return o->moment2;
}
