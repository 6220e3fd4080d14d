#include "runtime/registry/canary_judge.h"

#include <math.h>

/* Times and lengths of fewer answers are no sample. */
#define VALUES_MIN 20

const char *canary_verdict_name(enum canary_verdict v)
{
    static const char *const names[] = {"undecided", "good", "worse"};
    return names[v];
}

/* --- samples --- */

static void add(struct canary_sample *s, enum canary_measure m, const struct value_place *at,
                double value)
{
    grouped_values_add(&s->series[m], at, value);
}

/* What takes no measurable time takes a microsecond. */
static void add_log(struct canary_sample *s, enum canary_measure m,
                    const struct value_place *at, double value, double least)
{
    if (value >= 0) {
        add(s, m, at, log(fmax(value, least)));
    }
}

void canary_sample_add(struct canary_sample *s, const struct canary_answer *a)
{
    const struct value_place at = value_place_of(a->caller, s->added++);
    if (!a->has_left) {
        s->answers++;
        add(s, CANARY_ERROR_RATE, &at, a->has_failed);
    }
    if (!a->has_left && !a->has_failed) {
        add(s, CANARY_BLOCK_RATE, &at, a->is_blocked);
        add(s, CANARY_REFUSAL_RATE, &at, a->is_refusal);
        add(s, CANARY_CUT_RATE, &at, a->is_cut);
        add_log(s, CANARY_ANSWER_TOKENS, &at, a->tokens, 1);
    }
    if (!a->has_failed) {
        add_log(s, CANARY_FIRST_TOKEN, &at, a->first_token_s, 1e-6);
        add_log(s, CANARY_TOKEN_TIME, &at, a->token_s, 1e-6);
    }
}

/* --- intervals --- */

struct interval canary_mean_interval(const struct value_moments *stable,
                                     const struct value_moments *canary, double level)
{
    double difference = canary->mean - stable->mean;
    if (stable->n < 2 || canary->n < 2) {
        return (struct interval){-INFINITY, INFINITY};
    }
    double a = stable->variance / stable->n, b = canary->variance / canary->n;
    double width = 0;
    if (a + b > 0) {
        /* Welch and Satterthwaite. */
        double df = (a + b) * (a + b) / (a * a / (stable->n - 1) + b * b / (canary->n - 1));
        width = student_quantile_above(level, df) * sqrt(a + b);
    }
    return (struct interval){difference - width, difference + width};
}

/* --- findings --- */

static enum canary_verdict rule(enum canary_measure m, const struct canary_finding *f,
                                double margin)
{
    bool both = canary_measure_is_two_sided(m);
    if (f->worse.low > margin || (both && f->worse.high < -margin)) {
        return CANARY_WORSE;
    }
    return f->good.high <= margin && (!both || f->good.low >= -margin) ? CANARY_GOOD
                                                                       : CANARY_UNDECIDED;
}

/* Both sides of a measure. */
struct pair {
    struct value_moments stable, canary;
    struct value_spread stable_spread, canary_spread;
};

static struct interval share_at(const struct pair *p, double level)
{
    double n_stable = value_effective_n(&p->stable, &p->stable_spread, level);
    double n_canary = value_effective_n(&p->canary, &p->canary_spread, level);
    return share_difference_interval(p->stable.mean * n_stable, n_stable,
                                     p->canary.mean * n_canary, n_canary, level);
}

static void judge_share(enum canary_measure m, const struct pair *p, const double levels[2],
                        struct canary_finding *f)
{
    f->difference = p->canary.mean - p->stable.mean;
    f->stable = p->stable.mean;
    f->canary = p->canary.mean;
    f->worse = share_at(p, levels[0]);
    f->good = share_at(p, levels[1]);
    f->is_judged = p->stable.n > 0 || p->canary.n > 0;
    f->verdict = rule(m, f, f->margin);
}

static struct interval mean_at(const struct pair *p, double level)
{
    struct value_moments stable = p->stable, canary = p->canary;
    stable.n = value_effective_n(&stable, &p->stable_spread, level);
    canary.n = value_effective_n(&canary, &p->canary_spread, level);
    return canary_mean_interval(&stable, &canary, level);
}

static struct interval as_ratio(struct interval i)
{
    return (struct interval){exp(i.low), exp(i.high)};
}

static void judge_ratio(enum canary_measure m, const struct pair *p, const double levels[2],
                        struct canary_finding *f)
{
    double least = fmin(p->stable.n, p->canary.n), most = fmax(p->stable.n, p->canary.n);
    f->stable = p->stable.n > 0 ? exp(p->stable.mean) : 0;
    f->canary = p->canary.n > 0 ? exp(p->canary.mean) : 0;
    f->is_judged = most >= VALUES_MIN;
    if (least < VALUES_MIN) {
        return; /* undecided, if the other side has enough */
    }
    f->difference = exp(p->canary.mean - p->stable.mean);
    f->worse = mean_at(p, levels[0]);
    f->good = mean_at(p, levels[1]);
    f->verdict = rule(m, f, log(f->margin));
    f->worse = as_ratio(f->worse);
    f->good = as_ratio(f->good);
}

static void judge_measure(enum canary_measure m, const struct grouped_values *stable,
                          const struct grouped_values *canary, const double levels[2],
                          struct canary_finding *f)
{
    struct pair p = {.stable = grouped_values_moments(stable),
                     .canary = grouped_values_moments(canary)};
    p.stable_spread = grouped_values_spread(stable);
    p.canary_spread = grouped_values_spread(canary);
    f->n_stable = stable->n;
    f->n_canary = canary->n;
    f->design_stable = p.stable_spread.design;
    f->design_canary = p.canary_spread.design;
    (canary_measure_is_share(m) ? judge_share : judge_ratio)(m, &p, levels, f);
}

static int count_tests(const struct canary_plan *plan)
{
    int tests = 0;
    for (int m = 0; m < CANARY_MEASURE_COUNT; m++) {
        if (plan->margins[m] >= 0) {
            tests += canary_measure_is_two_sided((enum canary_measure)m) ? 2 : 1;
        }
    }
    return tests;
}

void canary_judge(const struct canary_sample *stable, const struct canary_sample *canary,
                  const struct canary_plan *plan, struct canary_judgement *out)
{
    int tests = count_tests(plan);
    double looks = plan->looks;
    const double levels[2] = {plan->alpha /
                                  (looks * (double)plan->n_steps * (tests > 0 ? tests : 1)),
                              plan->alpha / looks};
    *out = (struct canary_judgement){.verdict = CANARY_GOOD};
    for (int i = 0; i < CANARY_MEASURE_COUNT; i++) {
        struct canary_finding *f = &out->findings[i];
        f->margin = plan->margins[i];
        if (f->margin < 0) {
            continue;
        }
        judge_measure((enum canary_measure)i, &stable->series[i], &canary->series[i], levels,
                      f);
        if (f->is_judged && f->verdict == CANARY_WORSE && out->verdict != CANARY_WORSE) {
            out->verdict = CANARY_WORSE;
            out->measure = (enum canary_measure)i;
        } else if (f->is_judged && f->verdict == CANARY_UNDECIDED &&
                   out->verdict == CANARY_GOOD) {
            out->verdict = CANARY_UNDECIDED;
        }
    }
}
