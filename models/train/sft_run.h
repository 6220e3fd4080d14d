/* sft_run.h: what a fine-tuning run holds. Private to sft.c and sft_state.c. */
#pragma once

#include "models/train/sft.h"
#include "models/train/transformer.h"

struct sft {
    struct train_shape shape;
    struct sft_options options;
    const struct dataset *held_out; /* or NULL */
    struct sft_base base;
    float *adapter; /* its own block, or NULL */
    float *trained; /* one of the two */
    size_t n_trained;
    float *best; /* (n_trained) with the lowest held-out loss; NULL without held-out data */
    struct optimizer *optimizer;
    struct batcher *batcher;
    uint32_t slices_per_shard;
    struct train_slice *slices; /* (shards * slices_per_shard), those of a shard side by side */
    struct transformer *models[TRAIN_MAX_SHARDS];
    float scale; /* of the step that is running */
    /* how far it is */
    uint32_t epochs_done;
    uint32_t judged; /* epochs of which the held-out loss is known */
    uint32_t bad;    /* epochs since the best one */
    uint32_t best_epoch;
    double best_loss;
};
