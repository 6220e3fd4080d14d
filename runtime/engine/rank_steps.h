/* rank_steps.h: how the ranks that share a model with rank 0's engine compute its steps.
 *
 * Rank 0 decides what a step computes, tells the others, and all compute it together
 * (models/ranks.h). What it tells is a message of fixed size with the number of the step, how
 * many rows it has and how many changes of the cache's tables came before it, and a hash of
 * those; few of them are in that message, more in a second one. Who follows checks all of it
 * against its own cache and model; what does not fit ends all ranks.
 *
 * Threads: the engine's on rank 0, one for the engine on each other rank. */
#pragma once

#include "models/arch/llama_step.h"
#include "models/model.h"
#include "runtime/ranks/rank_group.h"

struct rank_steps {
    struct rank_group *group;
    struct rank_channel *channel;
    uint64_t number; /* of the steps so far */
};

/* Rank 0, before the llama_step with the same arguments. Takes the cache's changes. */
void rank_steps_tell(struct rank_steps *s, struct kv_cache *kv, const struct llama_row *rows,
                     int n_rows);

/* Rank 0: there are no more steps. */
void rank_steps_end(struct rank_steps *s);

/* What the ranks that follow need to know of rank 0's engine. */
struct rank_engine {
    int32_t is_there; /* 0: it could not be made; nothing below counts */
    int32_t n_pages, n_slots, context, kv_type; /* of the cache */
    int32_t max_rows, max_logits;               /* of a step */
};

struct rank_follower;

/* Makes a cache and working space for such an engine, and threads. The model is borrowed. */
struct rank_follower *rank_follower_create(const struct model *m,
                                           const struct rank_engine *shape, int threads,
                                           uint32_t cpu_features,
                                           const struct rank_steps *steps, struct err *e);

/* Starts a thread that computes steps until rank 0 says that there are no more. */
int rank_follower_start(struct rank_follower *f, struct err *e);

/* Whether that thread has come to its end. */
bool rank_follower_is_over(const struct rank_follower *f);

/* Joins it, if it was started. Accepts NULL. */
void rank_follower_destroy(struct rank_follower *f);
