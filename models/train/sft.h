/* sft.h: a fine-tuning run: examples again and again, with an adapter (lora.h) or all weights
 * trained, and held-out examples that say when to stop.
 *
 * The schedule is counted in epochs. How many steps that is is found before the first one, by
 * filling the batches of every epoch; the last batch of each is smaller. Examples do not see
 * each other (dataset.h), and the loss of a step is the mean over its learnt tokens.
 *
 * After every epoch the held-out loss is worked out. The weights with the lowest are kept, and
 * after `patience` epochs without a lower one the run is over.
 *
 * A run that was stopped and resumed gives the same weights, to the last bit, as one that was
 * not, also when it was killed between two saves.
 *
 * Ownership: parameters and datasets are borrowed. Threads: one caller; the shards' threads are
 * the run's own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "models/train/dataset.h"
#include "models/train/lora.h"
#include "models/train/optimizer.h"
#include "models/train/shape.h"
#include "runtime/base/err.h"
#include "runtime/base/hash.h"

/* Without padding, so that two can be compared byte by byte. */
struct sft_options {
    uint64_t seed;                      /* of the adapter, the order and dropout */
    struct optimizer_options optimizer; /* steps is filled in by sft_create */
    struct lora lora;                   /* rank 0: all weights are trained */
    uint32_t batch_tokens;              /* most tokens a step reads */
    uint32_t row;                       /* longest document, tokens */
    uint32_t slice_tokens;              /* tokens a shard works on at a time */
    uint32_t epochs;
    uint32_t patience; /* epochs; 0: never stops early */
    uint32_t reserved; /* 0 */
};

/* What is known of the data before there are options. */
struct sft_size {
    uint64_t documents, tokens; /* to train on */
    uint32_t longest;           /* tokens */
};

/* Defaults for 50 to 5,000 examples: rank 16, alpha 32 on all matrices, or all weights. Smaller
 * models take higher learning rates. */
struct sft_options sft_options_default(const struct train_shape *shape,
                                       const struct sft_size *size, bool full);

struct sft_stats {
    double loss; /* of the step: mean over its targets, nats */
    double grad_norm;
    float lr;
    uint32_t documents, tokens, targets;
};

struct sft;

/* The model, one of the two: its block of floats, which changes where all weights are trained,
 * or for an adapter parameters that stand still (frozen.h). */
struct sft_base {
    float *params;
    const struct train_params *frozen;
};

/* held_out: NULL for none. */
struct sft *sft_create(const struct train_shape *shape, const struct sft_base *base,
                       const struct sft_options *options, const struct dataset *train,
                       const struct dataset *held_out, struct err *e);
void sft_destroy(struct sft *s);

/* Whether all epochs are done, or patience is at its end. */
bool sft_is_over(const struct sft *s);

/* One step. Fails when the loss or the gradient is not finite; nothing has changed then. */
int sft_step(struct sft *s, struct sft_stats *stats, struct err *e);

/* Whether the step before was the last one of an epoch: then sft_judge is due, once. */
bool sft_is_judgement_due(const struct sft *s);
/* The held-out loss; keeps the weights if they are the best so far. */
int sft_judge(struct sft *s, double *loss, struct err *e);

/* Mean loss over a dataset with the weights as they are. */
int sft_evaluate(struct sft *s, const struct dataset *data, double *loss, struct err *e);

/* Puts back the weights with the lowest held-out loss, where there is one. */
void sft_take_best(struct sft *s);

uint64_t sft_steps_done(const struct sft *s);
uint64_t sft_steps(const struct sft *s); /* of the whole schedule */
uint32_t sft_epochs_done(const struct sft *s);
double sft_best_loss(const struct sft *s); /* NAN before the first judgement */
uint32_t sft_best_epoch(const struct sft *s);
const struct sft_options *sft_options(const struct sft *s);
const float *sft_adapter(const struct sft *s);   /* the block (lora.h); NULL: all weights */
uint64_t sft_trained_count(const struct sft *s); /* numbers that are trained */

/* Bytes that a run takes, but for the model where it is frozen. */
uint64_t sft_memory(const struct train_shape *shape, const struct sft_options *options,
                    bool frozen, bool held_out);

/* --- on disk, so that a run can go on --- */

/* What a state is of: two runs with the same are the same run. */
struct sft_identity {
    char data[HASH_HEX_LEN + 1]; /* of the documents, trained and held out */
    char base[HASH_HEX_LEN + 1]; /* of the weights that the run began with */
    char reserved[6];            /* 0 */
    int64_t unix_time;           /* what templates took for the present */
    double loss_before;          /* held-out loss, or of the data, before the first step */
};

/* Writes atomically: trained numbers, moments, the best ones, the place in the data. */
int sft_save(const struct sft *s, const struct sft_identity *identity, const char *path,
             struct err *e);
/* The identity alone, before there is a run. */
int sft_read_identity(const char *path, struct sft_identity *identity, struct err *e);
/* Goes on where the state was written; refused when shape, options, data or base are others. */
int sft_resume(struct sft *s, const struct sft_identity *identity, const char *path,
               struct err *e);
