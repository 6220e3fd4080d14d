/* canary_judge.h: is a new version of a model worse than the one that serves? A test on two
 * samples of answers, that were made at the same time for requests that chance divided.
 *
 * For each measure an interval is computed in which the true difference (canary less stable of
 * shares, canary over stable of times and lengths) lies. A version is
 *
 *   worse      when the interval of one measure lies wholly beyond the margin,
 *   good       when the intervals of all measures lie wholly within it,
 *   undecided  else: more answers are needed.
 *
 * Of the rate of refusals and the length of answers less counts as more does.
 *
 * Intervals. Shares: Clopper and Pearson's exact limits of both sides (1934), joined as the
 * difference's by squaring and adding (Zou and Donner 2008); the normal approximation would
 * give many times the alarms that are asked for where few errors are expected. Times and
 * lengths: Welch's t (1947) on logarithms, so that a ratio is judged.
 *
 * Answers that hang together. Those to one caller resemble each other, and a caller stays on
 * one side; those of one moment had the same load. Counts are divided by the design effect that
 * follows (base/grouped_values.h). A side with one caller alone tells nothing of others.
 *
 * Times. Both versions compute on the same processors. With shares that are not equal their
 * loads are not either: the one with the smaller share has shorter queues, but nearly always
 * shares the processors, so that an equal version can look up to twice as slow. Only at 50 %
 * are they told apart by less; hence the default margins.
 *
 * Levels. With s steps, k looks in each, and t tests in a look (one of each measure, two where
 * less counts too), a version is called worse at the level alpha / (s k t). By Bonferroni's
 * inequality a version whose true differences all lie within the margins is called worse in the
 * whole canary with a probability of alpha at most, however looks and measures hang together.
 * To be good all measures must pass at once, which needs no correction for their number (Berger
 * 1982): the level is alpha / k, so a version that lies beyond a margin in truth is called good
 * with a probability of alpha at most.
 *
 * Threads: pure functions. */
#pragma once

#include <stdint.h>

#include "runtime/base/distributions.h"
#include "runtime/base/grouped_values.h"
#include "runtime/registry/canary_plan.h"

/* One answer. */
struct canary_answer {
    uint64_t caller; /* the same for the same one; 0: nobody is known */
    bool has_left;   /* the client did not wait: its times count alone, and as no answer */
    bool has_failed; /* nothing of what follows counts then */
    bool is_blocked; /* filters ended it */
    bool is_refusal;
    bool is_cut; /* it has not ended by itself, but at the tokens that it may have */
    /* < 0: it has none. */
    double first_token_s;
    double token_s; /* between tokens */
    double tokens;  /* of a whole answer */
};

/* What one side has answered; all zero is nothing. */
struct canary_sample {
    uint64_t answers;
    uint64_t added; /* answers, and what clients did not wait for */
    /* Of each measure: 0 or 1, or a logarithm. */
    struct grouped_values series[CANARY_MEASURE_COUNT];
};

void canary_sample_add(struct canary_sample *s, const struct canary_answer *a);

enum canary_verdict { CANARY_UNDECIDED, CANARY_GOOD, CANARY_WORSE };
const char *canary_verdict_name(enum canary_verdict v); /* "undecided" */

/* Of one measure. Shares, or geometric means and their ratio. */
struct canary_finding {
    bool is_judged; /* false: the plan has no margin for it, or neither side has values */
    enum canary_verdict verdict;
    double margin;
    double n_stable, n_canary;
    double stable, canary;
    double design_stable, design_canary; /* design effects, >= 1 */
    double difference;                   /* or ratio */
    struct interval worse;               /* at the level at which it is called worse */
    struct interval good;                /* and good */
};

struct canary_judgement {
    enum canary_verdict verdict;
    enum canary_measure measure; /* of CANARY_WORSE: which one, the first */
    struct canary_finding findings[CANARY_MEASURE_COUNT];
};

/* One look. */
void canary_judge(const struct canary_sample *stable, const struct canary_sample *canary,
                  const struct canary_plan *plan, struct canary_judgement *out);

/* That of means by itself. level: of each of its ends. */
struct interval canary_mean_interval(const struct value_moments *stable,
                                     const struct value_moments *canary, double level);
