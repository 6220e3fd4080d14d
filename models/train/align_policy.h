/* align_policy.h: a model that is aligned: its weights, an optimizer for all of them and a
 * workspace a shard, with its checkpoint. What is learnt is the caller's (align_dpo.h,
 * align_grpo.h, reward.h).
 *
 * Ownership: the policy owns everything in it. Threads: one caller; work runs on the
 * optimizer's threads, each with its own workspace. */
#pragma once

#include "models/train/checkpoint.h"
#include "models/train/optimizer.h"
#include "models/train/transformer.h"
#include "runtime/base/err.h"

struct align_policy {
    struct train_shape shape;
    size_t n_params;
    float *params;
    struct train_params bound; /* into params */
    float *head;               /* (n_head) more weights behind them, zero at first; or NULL */
    size_t n_head, head_offset;
    size_t block; /* floats in params and in a block of gradients or moments */
    struct optimizer *optimizer;
    uint32_t capacity; /* tokens of a slice */
    struct transformer *models[TRAIN_MAX_SHARDS];
    struct train_slice slices[TRAIN_MAX_SHARDS];
    float *weights[TRAIN_MAX_SHARDS];  /* (capacity) of a shard's slice */
    float *logprobs[TRAIN_MAX_SHARDS]; /* (capacity) */
};

/* Where a policy begins. */
struct align_start {
    const char *checkpoint; /* of any kind of training; or NULL: */
    const char *model;      /* the weights of a model file or folder (import.h) */
    uint32_t context;       /* of a model file: longest document, tokens */
};

/* The shape alone. */
int align_start_shape(const struct align_start *start, struct train_shape *shape,
                      struct err *e);

/* capacity: tokens that have to fit into a slice; at least what the caller compares at once.
 * n_head: floats of a head that is trained along. NULL with a message. */
struct align_policy *align_policy_create(const struct align_start *start,
                                         const struct optimizer_options *options,
                                         uint32_t capacity, size_t n_head, struct err *e);
void align_policy_destroy(struct align_policy *p); /* accepts NULL */

/* Gradients of a shard's block, bound as the parameters are. */
void align_policy_bind_grads(const struct align_policy *p, float *block,
                             struct train_params *grads);

/* `mark` says what the run reads, so that one that is resumed notices other data. */
int align_policy_save(const struct align_policy *p, const char *path, uint64_t mark,
                      struct err *e);
/* Weights, moments and steps done. Refused when it is of another run: of another schedule too,
 * since a changed one would not give what the whole run gives. */
int align_policy_resume(struct align_policy *p, const char *path, uint64_t mark, struct err *e);
