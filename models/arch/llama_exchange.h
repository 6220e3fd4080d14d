/* llama_exchange.h: rows of which every rank has computed its columns are put together. Private
 * to models/arch.
 *
 * A worker asks where the rank's own columns go (llama_exchange_own), all workers fill them,
 * one worker gathers between two barriers (llama_exchange_meet), and then each unpacks the rows
 * that it wants. The next exchange may be filled when all have unpacked: there is one buffer.
 * Where the process is alone its columns are the whole rows, and the other calls do nothing but
 * to wait for its workers.
 *
 * Ownership: llama_exchange_init allocates, llama_exchange_deinit releases. */
#pragma once

#include <stdatomic.h>

#include "models/arch/llama_share.h"
#include "models/parallel.h"

struct llama_exchange {
    struct parallel parallel;  /* whose workers exchange */
    const struct ranks *ranks; /* NULL: alone */
    unsigned char *wire;
    size_t bytes;
    /* Rank 0 says with every exchange whether the step shall end, so that all know it at the
     * same place. */
    const atomic_bool *give_up; /* rank 0's; NULL: never */
    bool gives_up;              /* what it said last */
};

/* For exchanges of up to n numbers in all. */
int llama_exchange_init(struct llama_exchange *x, const struct parallel *p, size_t n,
                        const atomic_bool *give_up, struct err *e);
void llama_exchange_deinit(struct llama_exchange *x);

/* (n_rows, own columns): where the rank's own go. `alone` where there are no others. */
float *llama_exchange_own(const struct llama_exchange *x, const struct llama_split *s,
                          size_t n_rows, float *alone);

/* The same of any rank, behind a gather. */
const float *llama_exchange_of(const struct llama_exchange *x, const struct llama_split *s,
                               size_t n_rows, int rank);

/* By one worker. to_all false: rank 0 alone gets the others' columns. */
void llama_exchange_gather(struct llama_exchange *x, const struct llama_split *s, size_t n_rows,
                           bool to_all);

/* Rows [r0, r1) of (n_rows, s->width) into `rows`. */
void llama_exchange_unpack(const struct llama_exchange *x, const struct llama_split *s,
                           size_t n_rows, float *rows, size_t r0, size_t r1);

/* By all workers, whose columns are filled: one gathers. */
void llama_exchange_meet(struct llama_exchange *x, const struct llama_split *s, size_t n_rows,
                         bool to_all, int worker);

/* The same, to all ranks, and each worker unpacks its share of the rows. */
void llama_exchange_collect(struct llama_exchange *x, const struct llama_split *s, float *rows,
                            size_t n_rows, int worker, int n_workers);
