/* sft_data.h: a file of examples, a JSON object a line (sft_example.h), to documents of a token
 * file, rendered by the model's template (sft_render.h).
 *
 * Nothing is dropped in silence: what cannot be used is said with file and line, and counted.
 *
 * Ownership: everything is borrowed. Threads: none. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "models/train/dataset.h"
#include "models/train/sft_render.h"
#include "runtime/base/err.h"

/* What to do with documents that are longer than the model may read. */
enum sft_overlong {
    SFT_OVERLONG_STOP,
    SFT_OVERLONG_SKIP, /* leave it out */
    SFT_OVERLONG_CUT,  /* keep its beginning, if anything is learnt there */
};

struct sft_data_options {
    bool skip_malformed; /* else they are an error, after all lines were looked at */
    enum sft_overlong overlong;
    uint32_t row;    /* longest document, tokens */
    double held_out; /* share of the examples that goes to the second writer, 0 to 0.5 */
    uint64_t seed;   /* which ones */
    /* Told what is wrong with a line, or NULL. Of many only the first SFT_SAID_MAX. */
    void (*say)(void *ctx, const char *message);
    void *ctx;
};

#define SFT_SAID_MAX 20

struct sft_counts {
    uint64_t examples;  /* that are in a writer */
    uint64_t held_out;  /* of them, in the second */
    uint64_t malformed; /* lines that were skipped */
    uint64_t too_long;  /* documents that were skipped */
    uint64_t cut;       /* and cut */
    uint32_t longest;   /* document in a writer, tokens */
};

/* Adds to the writers; held_out may be NULL where the share is 0. */
int sft_data_read(const char *path, struct sft_renderer *r, const struct sft_data_options *o,
                  struct dataset_writer *train, struct dataset_writer *held_out,
                  struct sft_counts *counts, struct err *e);
