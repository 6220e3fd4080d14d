/* optimizer.h: steps of AdamW from gradients that the caller works out, one thread a shard.
 *
 * This is the part of training that does not care what is learnt: the shards' gradients are
 * added up in a fixed order, clipped by their global norm, and moments and parameters follow
 * (Loshchilov and Hutter 2019, algorithm 2), with a rate that rises linearly and falls by half
 * a cosine. trainer.h is next-token training on top of it; another loss needs only a function:
 *
 *     static double work(void *ctx, uint32_t shard, float *grads)
 *     {
 *         ... for each slice of this shard: forward; with grads != NULL backward into grads ...
 *         return loss;
 *     }
 *
 *     struct optimizer_tensor tensors[] = {{.param = a, .count = n_a, .decays = true}, ...};
 *     struct optimizer *o = optimizer_create(&options, tensors, n, &e);
 *     while (optimizer_steps_done(o) < options.steps && !optimizer_step(o, work, ctx, &s, &e))
 * ...
 *
 * Parameters that are not listed (a frozen base under LoRA) have neither gradients nor moments.
 * A batch that is larger than memory is work on several slices one after the other: `work` adds
 * to the same gradients. The result is the same to the last bit for a number of shards,
 * whichever thread was faster.
 *
 * Ownership: parameters are borrowed, gradients and moments are the optimizer's. Threads: one
 * caller, which does shard 0's work itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"

#define TRAIN_MAX_SHARDS 64

/* What of training a checkpoint records and every kind of training shares. */
struct optimizer_options {
    uint64_t steps;  /* of the whole schedule */
    uint32_t shards; /* threads, and parts that a batch is split into */
    uint32_t warmup; /* steps of linear rise */
    float lr;        /* at its highest */
    float min_lr;    /* at the last step */
    float beta1, beta2, eps;
    float weight_decay; /* of tensors that decay */
    float clip;         /* largest global norm of the gradient */
    uint32_t reserved;  /* 0 */
};

/* AdamW 0.9, 0.95, 1e-8, decay 0.1, clip 1, 2 shards, 1000 steps of 1e-3 to 1e-4, 100 of
 * warmup. */
struct optimizer_options optimizer_options_default(void);

/* The message names the option as the command line has it. */
int optimizer_options_check(const struct optimizer_options *o, struct err *e);

/* A part of the parameters that is trained. */
struct optimizer_tensor {
    float *param;  /* (count), changed by each step */
    size_t count;  /* floats */
    size_t offset; /* its place in a block of gradients or moments: optimizer_place */
    bool decays;   /* matrices do; norms and biases do not */
};

/* Gives each tensor its place, one behind the other at multiples of 16 floats; returns the
 * floats of a block. */
size_t optimizer_place(struct optimizer_tensor *tensors, size_t n_tensors);

/* One shard's part of a step, on a thread of its own at the same time as the others. Adds the
 * gradient of its part of the loss to `grads` (a block, zero before the first of a step; each
 * tensor's at its offset) and returns that part of the loss, scaled as the caller wants it
 * shown. grads == NULL: only the loss (optimizer_evaluate). */
typedef double (*optimizer_work)(void *ctx, uint32_t shard, float *grads);

struct optimizer_stats {
    double loss;      /* sum of what the shards returned, in their order */
    double grad_norm; /* before clipping */
    float lr;
};

struct optimizer;

/* `tensors` is copied; they have been placed. NULL: no memory, or a thread cannot be started.
 */
struct optimizer *optimizer_create(const struct optimizer_options *options,
                                   const struct optimizer_tensor *tensors, size_t n_tensors,
                                   struct err *e);
void optimizer_destroy(struct optimizer *o);

/* One step. Fails when the loss or the gradient is not finite; parameters and moments are then
 * as before it. */
int optimizer_step(struct optimizer *o, optimizer_work work, void *ctx,
                   struct optimizer_stats *stats, struct err *e);

/* The sum of what the shards return without gradients. */
double optimizer_evaluate(struct optimizer *o, optimizer_work work, void *ctx);

const struct optimizer_options *optimizer_options(const struct optimizer *o);
uint64_t optimizer_steps_done(const struct optimizer *o);
void optimizer_set_steps_done(struct optimizer *o, uint64_t step); /* from a checkpoint */

/* Moments, blocks of optimizer_block floats; a checkpoint keeps them and puts them back. */
size_t optimizer_block(const struct optimizer *o);
float *optimizer_moment1(struct optimizer *o);
float *optimizer_moment2(struct optimizer *o);

/* The bytes that an optimizer of so many floats a block takes. */
uint64_t optimizer_memory(const struct optimizer_options *options, size_t block);

/* Linear to lr over warmup steps, then half a cosine down to min_lr at the last of `steps`.
 * Steps are counted from 0. */
float optimizer_learning_rate(const struct optimizer_options *o, uint64_t step);
