/* ranks.h: how processes that have a share of a model each put together what they computed
 * (tensor parallelism), without the model knowing by what means. A process is a rank, 0 ..
 * n_ranks - 1.
 *
 * Matrices are split by their outputs and attention by its heads, so every number is computed
 * by one rank alone, in the order that one process has, and is the same bit for bit; no sum is
 * ever made of parts. What a rank needs of the others are whole rows, which `gather` brings.
 * All ranks run the same steps in the same order.
 *
 * Threads: of a channel, one at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define RANKS_MAX 64

/* At the begin of every block, for whoever carries it. */
#define RANKS_HEAD 64

struct ranks {
    void *channel; /* borrowed */
    int rank;
    int n_ranks; /* 2 .. RANKS_MAX */

    /* The block of rank i lies at blocks + at[i] and ends at at[i + 1], RANKS_HEAD bytes and
     * what it computed; the rank's own is filled. Behind it the others are too, of all ranks,
     * or where !to_all of rank 0 alone. Returns the flag that rank 0 gave, where to_all. A rank
     * that is lost, late or elsewhere in the program ends the process with a message: there is
     * no half of a step to go on from. */
    bool (*gather)(void *channel, unsigned char *blocks, const size_t *at, bool to_all,
                   bool flag);
};
