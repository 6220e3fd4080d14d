/* overlap.h: which texts share a run of n words with a given set of texts.
 *
 * The given set is what a model will be judged on; a text that shares a run with it is a leak
 * (Brown et al. 2020, "Language Models are Few-Shot Learners", appendix C, has runs of 13
 * words, and of 8 at least for shorter texts). Here:
 *   - of a part of n words and more, every run of n
 *   - of one of OVERLAP_SHORT to n - 1 words, the part as one run, anywhere in a text
 *   - of a shorter one, the part where a part of a text is equal to it as a whole
 *
 * Threads: read-only once filled. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "models/curate/words.h"
#include "runtime/base/err.h"

#define OVERLAP_SHORT 8
#define OVERLAP_N_MAX 64

struct overlap {
    uint64_t *keys;   /* (cap) 0: free */
    uint32_t *owners; /* (cap) which text had it first */
    size_t count, cap;
    size_t n;
    uint64_t lengths; /* bit k: there are runs of k + 1 words */
};

/* n: 1 .. OVERLAP_N_MAX. */
void overlap_init(struct overlap *o, size_t n);
void overlap_deinit(struct overlap *o);

/* Adds a part of a text. `shared` is called for every run that another owner has; it may be
 * NULL. */
int overlap_add(struct overlap *o, const uint64_t *words, size_t count, uint32_t owner,
                void (*shared)(void *ctx, uint32_t owner, uint32_t other), void *ctx,
                struct err *e);

/* Calls `found` with the owner of each run that the part has. */
void overlap_look_up(const struct overlap *o, const uint64_t *words, size_t count,
                     void (*found)(void *ctx, uint32_t owner), void *ctx);
