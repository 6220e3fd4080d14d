/* train_sft.h: what `weir train sft` was asked for, and the run itself. Private to train_sft.c
 * and train_sft_run.c. */
#pragma once

#include "models/train/sft.h"
#include "models/train/sft_data.h"

/* What the command line said; negative, 0 or NULL where it said nothing. */
struct sft_request {
    const char *model, *vocab, *out, *validate, *log, *plot, *name, *type, *targets;
    const char *on_error, *overlong;
    struct option_strings *data;
    bool full, resume, json;
    long rank, epochs, batch, row, patience, seed, threads, checkpoint_every, show;
    double alpha, dropout, lr, held_out, weight_decay;
};

/* A run that is ready. Everything is borrowed. */
struct sft_run {
    const struct sft_request *request;
    struct sft *sft;
    const struct dataset *train, *held_out; /* the second may be NULL */
    const struct sft_counts *counts;
    struct sft_identity identity;
    const char *state_path;
    /* what the report says */
    double loss_after;
    double seconds; /* of the steps alone */
    uint64_t documents, tokens;
    bool stopped; /* by a signal; the state is written */
};

/* All steps, with progress, log and saved states; then the best weights are in place. */
int sft_run_steps(struct sft_run *run, struct err *e);

/* Draws the log, where that was asked for. */
int sft_run_plot(const struct sft_run *run, struct err *e);

/* On stdout: words, or JSON. */
void sft_run_report(const struct sft_run *run, const char *what);
