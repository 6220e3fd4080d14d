/* align_dpo.h: direct preference optimization (Rafailov et al. 2023, "Direct Preference
 * Optimization: Your Language Model is Secretly a Reward Model", eq. 7).
 *
 * The policy is to prefer, more than the reference that it began as does, the chosen answer of
 * a pair to the rejected one:
 *
 *     margin = beta * ((log pi(c) - log ref(c)) - (log pi(r) - log ref(r)))
 *     loss   = -log sigmoid(margin) - sft_weight * log pi(c) / tokens of c
 *
 * The second term (Pang et al. 2024, "Iterative Reasoning Preference Optimization", eq. 4)
 * holds the chosen answer up, whose own likelihood falls under the first alone. With
 * `per_token` log probabilities are means over an answer's tokens, so that length does not
 * decide (Meng et al. 2024, SimPO, section 2.2).
 *
 * The reference's log probabilities are worked out once, before the first step, from the
 * weights that the policy has then.
 *
 * Ownership: everything is borrowed but what the run allocates. Threads: as align_policy.h. */
#pragma once

#include "models/train/align_data.h"
#include "models/train/align_policy.h"

struct dpo_options {
    float beta;           /* 0.1 */
    float sft_weight;     /* 0 */
    bool per_token;       /* false */
    uint32_t batch_pairs; /* of a step */
    uint64_t seed;        /* of the order of pairs */
};

/* Of one pair, or means over many. */
struct dpo_stats {
    double loss;
    double margin;           /* positive where the chosen one is preferred by more */
    double accuracy;         /* share of pairs with a margin above 0 */
    double chosen, rejected; /* log pi - log ref, nats an answer */
};

/* log p of an answer of n tokens under policy and reference. */
struct dpo_logprobs {
    double policy, reference;
    uint32_t n;
};

/* The loss of a pair, and what it is differentiated to: by the policy's log p of the chosen and
 * of the rejected answer. */
double dpo_pair_loss(const struct dpo_options *o, const struct dpo_logprobs *chosen,
                     const struct dpo_logprobs *rejected, double *d_chosen, double *d_rejected);

struct dpo;

/* Works out the reference's log probabilities of both sets with the policy's present weights.
 * validation may be NULL. NULL with a message. */
struct dpo *dpo_create(struct align_policy *policy, const struct dpo_options *options,
                       const struct align_set *pairs, const struct align_set *validation,
                       struct err *e);
void dpo_destroy(struct dpo *d);

/* Tokens that a slice must hold for pairs of documents of at most so many tokens. */
uint32_t dpo_capacity(uint32_t longest);

/* The optimizer's next step. Which pairs it reads depends on its number and the seed alone. */
int dpo_step(struct dpo *d, struct dpo_stats *stats, struct optimizer_stats *step,
             struct err *e);

/* Means over all pairs of the validation set. */
void dpo_validate(struct dpo *d, struct dpo_stats *stats);
