/* train_sft.h: what `weir train sft` was asked for, what it begins with, and the run itself.
 * Private to train_sft.c, train_sft_input.c and train_sft_run.c. */
#pragma once

#include <limits.h>

#include "models/train/frozen.h"
#include "models/train/sft.h"
#include "models/train/sft_data.h"
#include "runtime/base/options.h"

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

/* Everything that one command holds. */
struct sft_job {
    struct sft_request request;
    struct gguf *gguf; /* the model, or of a checkpoint its vocabulary */
    bool is_checkpoint;
    char base_sha256[HASH_HEX_LEN + 1];
    struct train_shape shape;
    float *params;               /* (train_shape_param_count), or NULL: */
    struct frozen_model *frozen; /* an adapter is trained beside the file */
    struct tokenizer *tokenizer;
    struct chat_template *chat_template;
    struct sft_renderer renderer;
    struct dataset_writer train_writer, held_out_writer;
    struct dataset *train, *held_out;
    struct sft_counts counts;
    char state_path[PATH_MAX];
    struct sft_run run;
};

/* The model, with its tokenizer and chat template. */
int sft_job_open_model(struct sft_job *j, struct err *e);
/* The examples; what cannot be used is said on stderr. */
int sft_job_open_data(struct sft_job *j, struct err *e);
/* Prints the first documents, what is learnt in double brackets. */
void sft_job_show(const struct sft_job *j);
