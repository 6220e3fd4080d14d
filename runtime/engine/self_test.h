/* self_test.h: does a freshly loaded model compute at all?
 *
 * Runs a short prompt through the model, once in one chunk and once token by token, and demands
 * finite logits that are bit for bit the same both ways; of an encoder, a text alone and beside
 * another one, and finite vectors. It also brings the weights into the caches.
 *
 * Ranks that share a model run it together: the same steps on all of them, whatever comes out.
 * So what one rank may lack, memory, is asked for before, by self_test_init: when all ranks
 * have that (rank_channel_agree), all run. */
#pragma once

#include "models/arch/kv_cache.h"
#include "models/model.h"

struct llama_state;

struct self_test {
    const struct model *model; /* borrowed */
    struct llama_state *state;
    struct kv_cache kv;
    float *results;
};

/* ranks: those that share the model; NULL: there are none. */
int self_test_init(struct self_test *t, const struct model *m, const struct ranks *ranks,
                   uint32_t cpu_features, struct err *e);

/* Rank 0 alone has logits to look at. */
int self_test_run(struct self_test *t, struct err *e);

/* Accepts zeros, and what self_test_init has failed at. */
void self_test_deinit(struct self_test *t);
