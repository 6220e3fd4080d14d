/* pretrain_report.h: what `weir train pretrain` tells while it runs: the progress line, the
 * log, its charts, and where the checkpoint came from. */
#pragma once

#include "models/train/run_log.h"
#include "models/train/trainer.h"
#include "runtime/cli/progress.h"

struct pretrain_report {
    struct trainer *trainer;          /* borrowed */
    const struct dataset *data;       /* borrowed */
    const char *log_path, *plot_path; /* or NULL */
    struct run_log *log;              /* or NULL */
    struct progress progress;
    double peak;                   /* flop/s that the machine reaches; 0: not known */
    double seconds, flops, tokens; /* of this run's steps */
    double loss;                   /* smoothed, for the progress line */
    double last_loss;              /* of the last step */
    double val_loss;               /* the newest; NAN before the first */
};

/* Prints what the run is, opens the log (where the trainer has steps behind it: goes on with
 * it). `init` may be NULL. */
int pretrain_report_begin(struct pretrain_report *r, const char *init, struct err *e);

/* A step that took so many seconds. val_loss: NAN where nothing was validated. */
void pretrain_report_step(struct pretrain_report *r, const struct train_stats *stats,
                          double seconds, double val_loss);

/* Draws the charts where they are wanted; a failure is told and stops nothing. */
void pretrain_report_draw(struct pretrain_report *r);

/* Ends the progress line, draws, closes the log. */
void pretrain_report_end(struct pretrain_report *r);

/* The sidecar of a checkpoint. A run that is resumed takes over what its first part began with
 * from the sidecar that is there. */
int pretrain_write_lineage(const struct pretrain_report *r, const char *out, const char *init,
                           bool resumed, struct err *e);
