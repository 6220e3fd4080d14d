/* reward.h: a model that says by a number how good an answer is: a transformer whose last
 * token's features, behind the last norm, are multiplied by a vector.
 *
 * It learns from pairs under Bradley and Terry's model, as Ouyang et al. 2022 ("Training
 * language models to follow instructions with human feedback", eq. 1) do; `center` holds the
 * rewards near 0, since their sum is not said by pairs (Eisenstein et al. 2023, "Helping or
 * Herding?", section 3):
 *
 *     loss = -log sigmoid(r(c) - r(r)) + center * (r(c) + r(r))^2
 *
 * So sigmoid of a difference of rewards is the probability that the first answer is preferred.
 *
 * The file is, little-endian: the bytes of struct reward_header, the weights (params, then the
 * head), and where the run is not at its end both moments of the optimizer. It is written
 * atomically.
 *
 * Ownership: the training borrows policy and pairs. Threads: as align_policy.h. */
#pragma once

#include <stdbool.h>

#include "models/train/align_data.h"
#include "models/train/align_policy.h"

struct reward_header {
    char magic[8]; /* "WEIRRWD1" */
    struct train_shape shape;
    struct optimizer_options optimizer;
    uint64_t mark; /* of what the run reads */
    uint64_t step;
    uint64_t blocks; /* 1: weights; 3: moments as well */
};

struct reward_options {
    float center;         /* 0.01 */
    uint32_t batch_pairs; /* of a step */
    uint64_t seed;        /* of the order of pairs */
};

/* Means over pairs. */
struct reward_stats {
    double loss;
    double margin;           /* r(c) - r(r) */
    double accuracy;         /* share of pairs with a margin above 0 */
    double chosen, rejected; /* rewards */
};

#define REWARD_BINS 10

/* Held-out pairs by how sure the model is of the answer that it prefers, from 0.5 to 1. */
struct reward_calibration {
    struct reward_bin {
        size_t pairs;
        double said;  /* mean probability of the preferred answer */
        double right; /* share of pairs in which that one is the chosen */
    } bins[REWARD_BINS];
    double error; /* mean of |said - right|, weighted by pairs (Guo et al. 2017, eq. 3) */
};

/* The loss of a pair and its derivatives. */
double reward_pair_loss(const struct reward_options *o, double chosen, double rejected,
                        double *d_chosen, double *d_rejected);

struct reward_training;

/* The policy has a head of d_model floats and room for dpo_capacity tokens of each pair. */
struct reward_training *reward_create(struct align_policy *policy,
                                      const struct reward_options *options,
                                      const struct align_set *pairs, struct err *e);
void reward_destroy(struct reward_training *t); /* accepts NULL */

int reward_step(struct reward_training *t, struct reward_stats *stats,
                struct optimizer_stats *step, struct err *e);

/* Means over all pairs of a set. calibration may be NULL. -1: no memory. */
int reward_judge(struct reward_training *t, const struct align_set *set,
                 struct reward_stats *stats, struct reward_calibration *calibration,
                 struct err *e);

int reward_save(const struct align_policy *p, const char *path, uint64_t mark, struct err *e);
/* Refused when that run is at its end, or of other data or options. */
int reward_resume(struct align_policy *p, const char *path, uint64_t mark, struct err *e);

/* --- a model to score with --- */

struct reward_model;

/* capacity: of the longest conversation, tokens; 0: the model's context. NULL with a message.
 */
struct reward_model *reward_open(const char *path, uint32_t capacity, struct err *e);
void reward_close(struct reward_model *m); /* accepts NULL */
const struct train_shape *reward_shape(const struct reward_model *m);

/* The document has at most `capacity` tokens, all of them in the vocabulary. */
double reward_of(struct reward_model *m, const struct align_set *set,
                 const struct align_doc *doc);
