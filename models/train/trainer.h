/* trainer.h: a training run: parameters, optimizer state, data order, and one step after
 * another.
 *
 * Each step fills a batch with whole documents, gives every shard its part (one thread a
 * shard), adds up the shards' gradients in a fixed order, clips them by their global norm and
 * applies AdamW. For a seed, a number of shards and a kind of processor the result is the same
 * to the last bit, however often the run was stopped and resumed in between.
 *
 * Ownership: the trainer owns everything but the dataset, which it borrows. Threads: one
 * caller; the shards' threads are the trainer's own.
 */
#pragma once

#include <stdint.h>

#include "models/train/dataset.h"
#include "models/train/shape.h"
#include "runtime/base/err.h"

#define TRAIN_MAX_SHARDS 64

/* What a checkpoint records beside the weights. */
struct train_options {
    uint64_t seed;
    uint64_t steps;        /* of the whole schedule */
    uint32_t shards;       /* threads, and parts that a batch is split into */
    uint32_t batch_tokens; /* most tokens a step reads; a multiple of shards is best */
    uint32_t row;          /* longest document, tokens; at most shape.context */
    uint32_t slice_tokens; /* tokens a shard works on at a time; decides the order of sums */
    uint32_t warmup;       /* steps of linear rise */
    float lr;              /* at its highest */
    float min_lr;          /* at the last step */
    float beta1, beta2, eps;
    float weight_decay; /* matrices only */
    float clip;         /* largest global norm of the gradient */
};

struct train_stats {
    double loss;      /* mean over targets, nats */
    double grad_norm; /* before clipping */
    float lr;
    uint32_t tokens;  /* read in this step */
    uint32_t targets; /* learnt in this step */
};

struct trainer;

/* Defaults: AdamW 0.9, 0.95, 1e-8, decay 0.1, clip 1, 2 shards, 16384 tokens a step. */
struct train_options train_options_default(void);

/* A new run with seeded weights. data == NULL: no steps, only weights (export). */
struct trainer *trainer_create(const struct train_shape *shape,
                               const struct train_options *options, const struct dataset *data,
                               struct err *e);
void trainer_destroy(struct trainer *t);

/* One step. Fails when the loss or the gradient is not finite; the weights are then as before
 * it. */
int trainer_step(struct trainer *t, struct train_stats *stats, struct err *e);

/* Mean loss over the targets of the first max_tokens tokens or so of data. */
int trainer_validate(struct trainer *t, const struct dataset *data, uint64_t max_tokens,
                     double *loss, struct err *e);

uint64_t trainer_step_count(const struct trainer *t); /* steps done */
double trainer_epochs(const struct trainer *t); /* times through the data, with its fraction */
const struct train_shape *trainer_shape(const struct trainer *t);
const struct train_options *trainer_options(const struct trainer *t);
float *trainer_params(struct trainer *t); /* the block, train_shape_param_count floats */
float *trainer_moment1(struct trainer *t);
float *trainer_moment2(struct trainer *t);
struct batcher_position trainer_position(const struct trainer *t);

/* Puts a run back to where a checkpoint left it. */
int trainer_restore(struct trainer *t, uint64_t step, struct batcher_position at,
                    struct err *e);

/* Linear to lr over warmup steps, then half a cosine down to min_lr at the last of `steps`. */
float train_learning_rate(const struct train_options *o, uint64_t step);
