/* drift.h: the answers of two versions of a model to the same prompts, compared.
 * Command-internal.
 *
 * Everything is paired: of each prompt there are two answers, and tests look at the prompts on
 * which the versions differ. All answers are greedy, so an answer that differs differs because
 * of the model (or of what stands before the prompt).
 *
 * Threads: none. Ownership: answers are the caller's. */
#pragma once

#include "runtime/base/stats.h"
#include "runtime/cli/drift_prompts.h"

enum drift_end {
    DRIFT_STOP,     /* the model ended it */
    DRIFT_LENGTH,   /* it was cut */
    DRIFT_FILTERED, /* a filter ended it */
    DRIFT_BLOCKED,  /* a filter refused the prompt */
    DRIFT_FAILED,   /* the prompt could not be answered: `text` says why */
};

struct drift_answer {
    char *text; /* (len), NUL-terminated */
    size_t len;
    enum drift_end end;
    size_t tokens;
    double seconds; /* from asking to having it */
};

struct drift_pair {
    struct drift_answer of[2]; /* of A and of B */
};

enum drift_rate_id {
    DRIFT_REFUSED,       /* it begins by declining: refusal.h */
    DRIFT_RATE_FILTERED, /* ended or refused by a filter */
    DRIFT_CUT,           /* at the length that was asked for */
    DRIFT_RATE_FAILED,
    DRIFT_RIGHT, /* as "expect" says; of the prompts that have it */
    DRIFT_RATES
};

struct drift_rate {
    size_t n;       /* prompts that count */
    size_t hits[2]; /* of A, of B */
    size_t only[2]; /* of A alone, of B alone */
    double p;       /* McNemar */
};

struct drift_summary {
    size_t n, n_same;
    struct stats_figure same; /* the share */
    struct drift_rate rates[DRIFT_RATES];

    size_t n_lengths;                       /* prompts that both have answered */
    struct stats_figure mean[2], median[2]; /* words of an answer */
    struct stats_figure longer;             /* the mean of B's words less A's */
    double length_p;                        /* Wilcoxon */

    double tokens_per_s[2]; /* of one request, reading of the prompt included */
};

/* "stop", "length", "filtered", "blocked", "failed" */
const char *drift_end_name(enum drift_end end);

/* "refused", "filtered", "cut", "failed", "right" */
const char *drift_rate_name(enum drift_rate_id rate);

/* Whether the same was said, and ended in the same way. */
bool drift_is_same(const struct drift_pair *pair);

/* Whether this answer counts for a rate. */
bool drift_counts(const struct drift_prompt *prompt, const struct drift_answer *answer,
                  enum drift_rate_id rate);

/* The word, from 1, at which the texts part. */
size_t drift_first_difference(const struct drift_pair *pair);

/* Of the prompts of a category; NULL: of all. pairs: (prompts->n). -1: no memory. */
int drift_summarise(const struct drift_prompts *prompts, const struct drift_pair *pairs,
                    const char *category, struct drift_summary *out, struct err *e);

void drift_pairs_free(struct drift_pair *pairs, size_t n); /* accepts NULL */
