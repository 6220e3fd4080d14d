/* align_grpo.h: group relative policy optimization (Shao et al. 2024, "DeepSeekMath", section
 * 4.1): reinforcement learning without a value model.
 *
 * A question is answered several times by the policy as it is. Within that group an answer's
 * advantage is how far its reward is from the group's mean, in standard deviations; every token
 * of the answer has it. Then, with the ratio of the policy's probability of a token to that
 * under which it was sampled:
 *
 *     ratio = exp(log pi - log old)
 *     kl    = exp(log ref - log pi) - (log ref - log pi) - 1
 *     loss  = -min(ratio * A, clamp(ratio, 1 - clip, 1 + clip) * A) + beta * kl
 *
 * as means over an answer's tokens, then over answers. kl is an estimate of the divergence from
 * the reference, the policy as it began, which is never negative (Schulman 2020).
 *
 * Who samples and who gives rewards is the caller's.
 *
 * Ownership: everything is borrowed but what the run allocates. Threads: as align_policy.h. */
#pragma once

#include "models/train/align_data.h"
#include "models/train/align_policy.h"

struct grpo_options {
    float clip;       /* 0.2 */
    float beta;       /* 0.04 */
    uint32_t updates; /* optimizer steps a round of answers; 1: all is on-policy */
};

struct grpo_answer {
    struct align_doc doc; /* one token of an answer or more */
    double reward;
    double advantage; /* grpo_advantages */
};

/* Means over the answers of a round, before its first update. */
struct grpo_stats {
    double loss;          /* of its last update */
    double kl;            /* nats a token, from the reference */
    double entropy;       /* nats a token: of what was sampled, -log pi on average */
    double clipped;       /* share of tokens, of the last update, that the clamp kept still */
    double grad_norm, lr; /* of the last update */
};

/* Fills in the advantages of n answers, of which each run of `group` answers one question.
 * Returns the number of groups whose rewards differ: the others teach nothing. */
size_t grpo_advantages(struct grpo_answer *answers, size_t n, size_t group);

/* A token's loss and its derivative by log pi. */
double grpo_token_loss(const struct grpo_options *o, double policy, double old,
                       double reference, double advantage, double *d_policy, bool *clipped);

struct grpo;

/* The policy's present weights are kept as the reference. NULL with a message. */
struct grpo *grpo_create(struct align_policy *policy, const struct grpo_options *options,
                         struct err *e);
void grpo_destroy(struct grpo *g); /* accepts NULL */

/* `updates` steps on n answers with advantages. Documents fit into the policy's slices. */
int grpo_round(struct grpo *g, const struct align_set *set, const struct grpo_answer *answers,
               size_t n, struct grpo_stats *stats, struct err *e);
