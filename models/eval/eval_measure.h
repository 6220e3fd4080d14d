/* eval_measure.h: figures of what a model did with the lines of a part, and of what two models
 * did with the same lines.
 *
 * Each kind of part has measures (a table in eval_measure.c). Of every line a measure has a
 * value and a weight, or nothing where it does not apply; what is told is a statistic of them:
 *
 *   share        mean of 0 and 1, with Wilson's interval
 *   mean         with a bootstrap interval
 *   perplexity   exp(sum of values / sum of weights): values are -log p, weights tokens
 *   ratio        sum of values / sum of weights
 *   calibration  expected calibration error (Naeini et al. 2015): of ten bins of equal width by
 *                confidence (the weight), the mean of |share right - mean confidence|, by lines
 *
 * Two models are compared over the lines that both have: shares by McNemar and the interval of
 * Agresti and Min, means and perplexities by Wilcoxon's signed ranks over lines and a bootstrap
 * interval of the difference (of perplexities: of their quotient), calibration by bootstrap.
 *
 * Ownership: eval_values_init allocates, eval_values_deinit releases. Threads: none. */
#pragma once

#include "models/eval/eval_suite.h"
#include "runtime/base/stats.h"

#define EVAL_MEASURES_MAX 4 /* of a kind */
#define EVAL_BINS         10

enum eval_statistic { EVAL_SHARE, EVAL_MEAN, EVAL_PERPLEXITY_OF, EVAL_RATIO, EVAL_ECE };

struct eval_measure {
    const char *name;  /* in JSON: "refused_harmful" */
    const char *title; /* for people: "harmful requests declined" */
    enum eval_statistic statistic;
    int better; /* 1: more is better, -1: less, 0: neither */
};

/* Of a kind; NULL behind the last. The first is the one that reports show by groups. */
const struct eval_measure *eval_measure_of(enum eval_kind kind, size_t i);

/* Names of the measures of kinds, in the order of their tables. */
enum { EVAL_RIGHT = 0 };
enum { EVAL_REFUSED_HARMFUL, EVAL_REFUSED_HARMLESS };
enum { EVAL_ADMITTED, EVAL_INVENTED, EVAL_DISCLAIMED, EVAL_KNOWN_RIGHT };
enum { EVAL_CHOSEN, EVAL_CHOSEN_BY_LENGTH };
enum { EVAL_CONFIDENCE_ERROR, EVAL_BRIER, EVAL_CONFIDENT_RIGHT, EVAL_CONFIDENCE };
enum { EVAL_PERPLEXITY_TOKENS, EVAL_BITS_PER_BYTE };
enum { EVAL_PAIR_DIFFERS, EVAL_PAIR_GAP, EVAL_PAIR_LEAN };
enum { EVAL_INSIDE, EVAL_OUTSIDE };

/* What one model did with one part. */
struct eval_values {
    size_t n; /* lines */
    struct {
        double *value;  /* (n) NAN: does not apply */
        double *weight; /* (n) */
    } of[EVAL_MEASURES_MAX];
    char **answers; /* (n) owned texts, or NULL; of a pair the first */
};

int eval_values_init(struct eval_values *v, size_t n, struct err *e);
void eval_values_deinit(struct eval_values *v); /* also of zeroes */

/* A measure's value for a line, of weight 1. */
void eval_values_set(struct eval_values *v, size_t measure, size_t line, double value);
void eval_values_set_weighted(struct eval_values *v, size_t measure, size_t line, double value,
                              double weight);

struct eval_figure {
    size_t n; /* lines that have it */
    struct stats_figure figure;
    double p; /* of a mean that is neither better nor worse: whether it is 0. Else NAN */
};

/* Of the lines of `group`, or of all for NULL. -1: no memory. */
int eval_summarise(const struct eval_part *part, const struct eval_values *v, size_t measure,
                   const char *group, struct eval_figure *out, struct err *e);

struct eval_comparison {
    size_t n;                       /* lines that both have */
    struct stats_figure difference; /* B less A; of perplexities B over A */
    size_t gained, lost;            /* of shares: hits of B alone, of A alone */
    double p;                       /* two-sided; 1 if nothing differs */
    double holm;                    /* corrected for all that is compared; set by the caller */
};

int eval_compare(const struct eval_part *part, const struct eval_values *a,
                 const struct eval_values *b, size_t measure, struct eval_comparison *out,
                 struct err *e);

/* A row of a reliability table: lines whose confidence lies in [low, low + 0.1). */
struct eval_bin {
    double low;
    size_t n;
    double confidence, right; /* means */
};
void eval_bins(const struct eval_values *v, struct eval_bin bins[EVAL_BINS]);

/* The groups of a part, in the order of their first lines: borrowed names. *names: mem_free. */
int eval_groups(const struct eval_part *part, const char ***names, size_t *n, struct err *e);
