/* eval_results.h: what models did with a suite, as rows for reports. Command-internal.
 *
 * Threads: none. */
#pragma once

#include "models/eval/eval_measure.h"
#include "runtime/base/hash.h"

#define EVAL_MODELS_MAX 8

/* How near two models' predictions are, over the scored tokens of a part of perplexity. */
struct eval_divergence {
    size_t n;                /* tokens; 0: it was not looked at */
    double kl;               /* mean Kullback-Leibler divergence, of B from A, nats a token */
    double kl_99;            /* that 99 of 100 tokens stay below */
    struct stats_figure top; /* share of tokens of which both hold the same likeliest */
};

struct eval_model_result {
    char label[128];
    const char *source; /* borrowed: the file, or the address of the server */
    char sha256[HASH_HEX_LEN + 1];
    struct eval_values values[EVAL_PARTS_MAX];
    bool was_skipped[EVAL_PARTS_MAX]; /* it needs likelihoods, which a server does not tell */
    double seconds;
};

struct eval_group_row {
    const char *name; /* borrowed */
    struct eval_figure figures[EVAL_MODELS_MAX];
};

/* A measure of a part. */
struct eval_row {
    size_t part, measure;
    struct eval_figure figures[EVAL_MODELS_MAX];
    struct eval_comparison comparisons[EVAL_MODELS_MAX]; /* each with the first; [0] unused */
    struct eval_group_row *groups; /* (n_groups) owned; of a part's first measure, if there is
                                      more than one group */
    size_t n_groups;
};

struct eval_results {
    const struct eval_suite *suite; /* borrowed */
    struct eval_model_result models[EVAL_MODELS_MAX];
    size_t n_models;
    struct eval_row *rows; /* (n_rows) owned */
    size_t n_rows;
    struct eval_divergence divergence[EVAL_PARTS_MAX]; /* of two models */
};

/* Makes the rows of what is in models[].values. Rows that no model has a value for are left
 * out. -1: no memory. */
int eval_results_make(struct eval_results *r, struct err *e);
void eval_results_deinit(struct eval_results *r);

const struct eval_measure *eval_row_measure(const struct eval_results *r,
                                            const struct eval_row *row);
