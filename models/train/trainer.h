/* trainer.h: next-token training: parameters, data order, and one step after another.
 *
 * Each step fills a batch with whole documents, gives every shard its part (one thread a
 * shard), and lets the optimizer (optimizer.h, which is also the way to train with another loss
 * or only a part of the parameters) do the rest. A shard goes through its part slice by slice
 * and adds up the gradients, so that memory depends on slice_tokens and not on batch_tokens.
 * For a seed, a number of shards and a kind of processor the result is the same to the last
 * bit, however often the run was stopped and resumed in between.
 *
 * Ownership: the trainer owns everything but the dataset, which it borrows. Threads: one
 * caller; the shards' threads are the trainer's own.
 */
#pragma once

#include <stdint.h>

#include "models/train/dataset.h"
#include "models/train/optimizer.h"
#include "models/train/shape.h"
#include "runtime/base/err.h"

/* What a checkpoint records beside the weights. */
struct train_options {
    struct optimizer_options optimizer;
    uint64_t seed;
    uint32_t batch_tokens; /* most tokens a step reads; a multiple of shards is best */
    uint32_t row;          /* longest document, tokens; at most shape.context */
    uint32_t slice_tokens; /* tokens a shard works on at a time; decides the order of sums */
    uint32_t bf16;         /* 1: linear layers multiply through bfloat16 (bf16.h) */
};

struct train_stats {
    double loss;      /* mean over targets, nats */
    double grad_norm; /* before clipping */
    float lr;
    uint32_t tokens;  /* read in this step */
    uint32_t targets; /* learnt in this step */
    /* Multiplications and additions that the model needs for these tokens, forward and
     * backward: 6 for each weight of a matrix and row that goes through it, and 12 * n_heads *
     * head_dim in each layer for each pair of a token and one that it sees (Chowdhery et al.
     * 2022, "PaLM", appendix B, with causal attention counted as it is). What is computed a
     * second time on the way back, norms, rotations, softmax and the optimizer count for
     * nothing. */
    double flops;
};

struct trainer;

/* The optimizer's defaults, seed 1, 16384 tokens a step in slices of 2048. */
struct train_options train_options_default(void);

/* Refuses what trainer_create refuses of shape and options; the message names the option. */
int trainer_check(const struct train_shape *shape, const struct train_options *options,
                  struct err *e);

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

/* Bytes that a run of these options takes: weights, moments, gradients and activations. The
 * mapped data is not among them. */
uint64_t trainer_memory(const struct train_shape *shape, const struct train_options *options);

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
