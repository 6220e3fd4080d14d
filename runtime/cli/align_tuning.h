/* align_tuning.h: what `weir align dpo` and `weir align reward` have in common: steps over
 * pairs of answers, with a log, pairs kept apart and a lineage. Private to the two.
 *
 * Errors: -1 with *e. Threads: none. */
#pragma once

#include "models/lineage/lineage.h"
#include "models/train/run_log.h"
#include "runtime/base/options.h"
#include "runtime/cli/align.h"

/* What the command line said. */
struct align_tuning_request {
    const char *init, *base, *pairs, *validate, *out, *log, *on_error;
    bool resume;
    long steps, batch_pairs, warmup, seed, shards, row, checkpoint_every, validate_every;
    double lr, min_lr, epochs;
};

/* Their defaults; lr is the command's own. */
struct align_tuning_request align_tuning_request_default(double lr);

/* Puts the options that both know behind those in the table, which has so much room left and a
 * last entry without a name. Not there: --init, --out and --lr, whose help differs. */
#define ALIGN_TUNING_OPTIONS 17
void align_tuning_options(struct option *table, struct align_tuning_request *r);

/* Whether what must be given is there, and the values are possible. */
bool align_tuning_request_holds(const struct align_tuning_request *r);

/* A run. */
struct align_tuning {
    const struct align_tuning_request *r; /* borrowed */
    struct align_base base;
    struct align_set pairs, validation; /* the second is empty without --validate */
    struct align_policy *policy;        /* put there by the command, released here */
    struct run_log *log;                /* NULL without --log */
};

/* Reads the vocabulary and the pairs. After -1 too, align_tuning_close. */
int align_tuning_open(struct align_tuning *t, const struct align_tuning_request *r,
                      struct err *e);
void align_tuning_close(struct align_tuning *t);

struct align_start align_tuning_start(const struct align_tuning *t);
uint64_t align_tuning_steps(const struct align_tuning *t);
struct optimizer_options align_tuning_optimizer(const struct align_tuning *t);
uint32_t align_tuning_longest(const struct align_tuning *t); /* document, tokens */

/* Of the pairs and of the options given, to notice others on --resume. */
uint64_t align_tuning_mark(const struct align_tuning *t, const double *options, size_t bytes);

/* Whether pairs kept apart are looked at after this step. */
bool align_tuning_validates(const struct align_tuning *t, uint64_t done);

/* What a command does in its steps. */
struct align_tuning_work {
    const char *label; /* of the progress line */
    /* The optimizer's next step, validated and logged; how it went goes to note (size). */
    int (*step)(void *ctx, char *note, size_t size, struct err *e);
    int (*save)(void *ctx, struct err *e);
    void *ctx;
};

/* The steps that are left, saved now and then and at the end; or until a signal, which is said
 * on stderr. */
int align_tuning_run(const struct align_tuning *t, const struct align_tuning_work *w,
                     struct err *e);

/* A description that the command adds its own options to (NULL: no memory), and the log that
 * begins with it, which releases it. */
cJSON *align_tuning_describe(const struct align_tuning *t, const char *tool);
int align_tuning_open_log(struct align_tuning *t, cJSON *description, struct err *e);
int align_tuning_draw_log(const struct align_tuning *t, const struct run_log_plot *plots,
                          size_t n, struct err *e);

/* With parents and the options that both know. */
struct lineage *align_tuning_lineage(const struct align_tuning *t, const char *tool);
