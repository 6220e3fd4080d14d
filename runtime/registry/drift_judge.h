/* drift_judge.h: are the answers of now like those of the baseline? A test on two samples
 * (answer_sample.h), taken again and again for as long as a version serves.
 *
 * The answers differ in a measure when the true difference lies beyond the margin, by more than
 * chance explains:
 *
 *   bins     Kolmogorov and Smirnov's largest distance D of the two distribution functions. It
 *            differs when D - e > margin, where e = sqrt(ln(2 / level) / 2 * (1/n + 1/m)) is
 *            what D may be off by (Smirnov 1939; Massart 1990). Counting in bins can only make
 *            D smaller.
 *   shares   the interval of the difference (share_difference_interval: Clopper and Pearson's
 *            exact limits, joined as Zou and Donner do) lies wholly beyond +-margin.
 *
 * n and m are divided by the design effect of answers that came together and resemble each
 * other (base/grouped_values.h). Its runs are short: where many more answers in a row than
 * GROUPED_RUN are alike, there are more false alarms than what follows says.
 *
 * The many looks. The k-th look of a series at one of M measures has the level
 *
 *   alpha / (M k (k + 1)),
 *
 * whose sum over all measures and all looks to come is alpha. So by Boole's inequality answers
 * that stay within the margins raise a false alarm with a probability of alpha at most, in all
 * the time that the series lives. The price is small: e grows as the root of the logarithm of
 * k.
 *
 * Threads: pure functions. */
#pragma once

#include "runtime/registry/answer_sample.h"

struct drift_settings {
    uint32_t window;   /* answers of the smallest window */
    uint32_t baseline; /* answers of a baseline that is taken by itself */
    double alpha;
    double margins[ANSWER_MEASURE_COUNT]; /* distances from 0 to 1; < 0: it is not looked at */
};

struct drift_settings drift_settings_default(void);

/* Of one measure. */
struct drift_finding {
    bool is_judged; /* else it has no margin, or a side has too few values */
    bool differs;
    double margin, level;
    double n_baseline, n_window;           /* values */
    double design_baseline, design_window; /* design effects, >= 1 */
    double difference; /* D, or the share of now less that of the baseline */
    double at_least;   /* so much of its size is there at this level; 0: perhaps nothing */
};

/* look: from 1 on. */
void drift_judge(const struct answer_sample *baseline, const struct answer_sample *window,
                 const struct drift_settings *set, uint64_t look,
                 struct drift_finding findings[ANSWER_MEASURE_COUNT]);

/* Kolmogorov and Smirnov's D by itself. */
double drift_distance(const struct answer_sample *a, const struct answer_sample *b,
                      enum answer_measure m);
