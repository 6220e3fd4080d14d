#include "runtime/registry/drift_judge.h"

#include <math.h>

#include "runtime/base/distributions.h"

/* Fewer are no distribution. */
#define VALUES_MIN 20

struct drift_settings drift_settings_default(void)
{
    return (struct drift_settings){.window = 250,
                                   .baseline = 1000,
                                   .alpha = 0.01,
                                   .margins = {[ANSWER_MEASURE_TOKENS] = 0.1,
                                               [ANSWER_MEASURE_ENTROPY] = 0.1,
                                               [ANSWER_MEASURE_REFUSAL] = 0.05,
                                               [ANSWER_MEASURE_BLOCK] = 0.02,
                                               [ANSWER_MEASURE_FEEDBACK] = 0.05,
                                               [ANSWER_MEASURE_DISLIKE] = 0.1}};
}

double drift_distance(const struct answer_sample *a, const struct answer_sample *b,
                      enum answer_measure m)
{
    double n_a = a->values[m].n, n_b = b->values[m].n;
    double below_a = 0, below_b = 0, distance = 0;
    for (int i = 0; i < ANSWER_BINS && n_a > 0 && n_b > 0; i++) {
        below_a += a->bins[m][i];
        below_b += b->bins[m][i];
        distance = fmax(distance, fabs(below_a / n_a - below_b / n_b));
    }
    return distance;
}

/* Both sides of a measure. */
struct sides {
    struct value_moments baseline, window;
    double n_baseline, n_window; /* independent values that tell as much */
};

static struct sides look_at(const struct answer_values *baseline,
                            const struct answer_values *window, double level,
                            struct drift_finding *f)
{
    struct sides s = {.baseline =
                          value_moments_of(baseline->n, baseline->sum, baseline->squares),
                      .window = value_moments_of(window->n, window->sum, window->squares)};
    struct value_spread old = value_groups_spread(&baseline->by_time, &s.baseline);
    struct value_spread new = value_groups_spread(&window->by_time, &s.window);
    s.n_baseline = value_effective_n(&s.baseline, &old, level);
    s.n_window = value_effective_n(&s.window, &new, level);
    f->n_baseline = baseline->n;
    f->n_window = window->n;
    f->design_baseline = old.design;
    f->design_window = new.design;
    return s;
}

static void judge_bins(const struct answer_sample *baseline, const struct answer_sample *window,
                       enum answer_measure m, struct drift_finding *f)
{
    f->is_judged = baseline->values[m].n >= VALUES_MIN && window->values[m].n >= VALUES_MIN;
    if (!f->is_judged) {
        return;
    }
    struct sides s = look_at(&baseline->values[m], &window->values[m], f->level / 2, f);
    double error = sqrt(log(2 / f->level) / 2 * (1 / s.n_baseline + 1 / s.n_window));
    f->difference = drift_distance(baseline, window, m);
    f->at_least = fmax(0, f->difference - error);
}

static void judge_share(const struct answer_values *baseline,
                        const struct answer_values *window, struct drift_finding *f)
{
    f->is_judged = baseline->n > 0 && window->n > 0;
    if (!f->is_judged) {
        return;
    }
    struct sides s = look_at(baseline, window, f->level / 2, f);
    struct interval i =
        share_difference_interval(s.baseline.mean * s.n_baseline, s.n_baseline,
                                  s.window.mean * s.n_window, s.n_window, f->level / 2);
    f->difference = s.window.mean - s.baseline.mean;
    f->at_least = fmax(0, fmax(i.low, -i.high));
}

void drift_judge(const struct answer_sample *baseline, const struct answer_sample *window,
                 const struct drift_settings *set, uint64_t look,
                 struct drift_finding findings[ANSWER_MEASURE_COUNT])
{
    double k = (double)look;
    for (int i = 0; i < ANSWER_MEASURE_COUNT; i++) {
        enum answer_measure m = (enum answer_measure)i;
        struct drift_finding *f = &findings[i];
        *f = (struct drift_finding){.margin = set->margins[i],
                                    .level = set->alpha / (ANSWER_MEASURE_COUNT * k * (k + 1))};
        if (f->margin < 0) {
            continue;
        }
        if (answer_measure_is_share(m)) {
            judge_share(&baseline->values[i], &window->values[i], f);
        } else {
            judge_bins(baseline, window, m, f);
        }
        f->differs = f->is_judged && f->at_least > f->margin;
    }
}
