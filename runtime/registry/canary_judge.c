#include "runtime/registry/canary_judge.h"

#include <math.h>

#include "runtime/base/distributions.h"

/* Times and lengths of fewer answers are no sample. */
#define VALUES_MIN 20

const char *canary_verdict_name(enum canary_verdict v)
{
    static const char *const names[] = {"undecided", "good", "worse"};
    return names[v];
}

/* --- samples --- */

/* The groups that an answer belongs to. */
struct place {
    size_t caller, time;
};

/* A hash of its own: what divides requests between the sides must not divide groups too.
 * Finaliser of splitmix64 (Steele et al. 2014). An answer to nobody known is a caller
 * of its own. */
static size_t caller_group(const struct canary_sample *s, uint64_t caller)
{
    uint64_t x = (caller != 0 ? caller : s->added + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (x ^ (x >> 31)) % CANARY_GROUPS;
}

static void add_to_group(struct canary_groups *g, size_t at, double value)
{
    g->n[at]++;
    g->sum[at] += value;
}

static void add(struct canary_sample *s, enum canary_measure m, const struct place *at,
                double value)
{
    struct canary_series *v = &s->series[m];
    v->n++;
    v->sum += value;
    v->squares += value * value;
    add_to_group(&v->by_caller, at->caller, value);
    add_to_group(&v->by_time, at->time, value);
}

/* What takes no measurable time takes a microsecond. */
static void add_log(struct canary_sample *s, enum canary_measure m, const struct place *at,
                    double value, double least)
{
    if (value >= 0) {
        add(s, m, at, log(fmax(value, least)));
    }
}

void canary_sample_add(struct canary_sample *s, const struct canary_answer *a)
{
    const struct place at = {caller_group(s, a->caller), s->added / CANARY_RUN % CANARY_GROUPS};
    s->added++;
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

static struct canary_moments moments_of(const struct canary_series *v)
{
    struct canary_moments m = {.n = v->n, .mean = v->n > 0 ? v->sum / v->n : 0};
    if (v->n > 1) {
        m.variance = fmax(0, (v->squares - v->n * m.mean * m.mean) / (v->n - 1));
    }
    return m;
}

/* How much a series tells of callers that are not in it. */
struct spread {
    double design; /* effect, 1 at least */
    int groups;    /* that have values */
};

/* How much more the mean varies than that of as many independent values (Rao and Scott 1992,
 * eq. 1). */
static struct spread spread_over(const struct canary_groups *g, const struct canary_moments *m)
{
    struct spread s = {.design = 1};
    double between = 0;
    for (size_t i = 0; i < CANARY_GROUPS; i++) {
        double off = g->sum[i] - g->n[i] * m->mean;
        between += off * off;
        s.groups += g->n[i] > 0;
    }
    if (m->variance > 1e-12 && s.groups == 1) {
        s.design = m->n;
    } else if (m->variance > 1e-12 && s.groups > 1) {
        double effect = between / (m->n * m->variance) * s.groups / (s.groups - 1);
        s.design = fmin(fmax(effect, 1), m->n);
    }
    return s;
}

static struct spread spread_of(const struct canary_series *v, const struct canary_moments *m)
{
    struct spread callers = spread_over(&v->by_caller, m);
    struct spread times = spread_over(&v->by_time, m);
    return times.design > callers.design ? times : callers;
}

/* The independent values that tell as much, for an interval whose ends have this level: the
 * design effect itself is known from a few groups only (Korn and Graubard 1998). Values that
 * are all the same show no difference between callers. */
static double effective_n(const struct canary_moments *m, const struct spread *s, double level)
{
    bool is_simple = s->design == 1 && s->groups == CANARY_GROUPS;
    if (is_simple || m->variance <= 1e-12 || s->groups < 2) {
        return m->n / s->design;
    }
    double ratio =
        student_quantile_above(level, m->n - 1) / student_quantile_above(level, s->groups - 1);
    return m->n / s->design * ratio * ratio;
}

/* --- intervals --- */

struct canary_interval canary_share_interval(double hits_stable, double n_stable,
                                             double hits_canary, double n_canary, double level)
{
    if (n_stable <= 0 || n_canary <= 0) {
        return (struct canary_interval){-1, 1};
    }
    double stable = hits_stable / n_stable, canary = hits_canary / n_canary;
    double stable_low = stable - binomial_low(hits_stable, n_stable, level);
    double stable_high = binomial_high(hits_stable, n_stable, level) - stable;
    double canary_low = canary - binomial_low(hits_canary, n_canary, level);
    double canary_high = binomial_high(hits_canary, n_canary, level) - canary;
    return (struct canary_interval){canary - stable - hypot(canary_low, stable_high),
                                    canary - stable + hypot(canary_high, stable_low)};
}

struct canary_interval canary_mean_interval(const struct canary_moments *stable,
                                            const struct canary_moments *canary, double level)
{
    double difference = canary->mean - stable->mean;
    if (stable->n < 2 || canary->n < 2) {
        return (struct canary_interval){-INFINITY, INFINITY};
    }
    double a = stable->variance / stable->n, b = canary->variance / canary->n;
    double width = 0;
    if (a + b > 0) {
        /* Welch and Satterthwaite. */
        double df = (a + b) * (a + b) / (a * a / (stable->n - 1) + b * b / (canary->n - 1));
        width = student_quantile_above(level, df) * sqrt(a + b);
    }
    return (struct canary_interval){difference - width, difference + width};
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
    struct canary_moments stable, canary;
    struct spread stable_spread, canary_spread;
};

static struct canary_interval share_at(const struct pair *p, double level)
{
    double n_stable = effective_n(&p->stable, &p->stable_spread, level);
    double n_canary = effective_n(&p->canary, &p->canary_spread, level);
    return canary_share_interval(p->stable.mean * n_stable, n_stable, p->canary.mean * n_canary,
                                 n_canary, level);
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

static struct canary_interval mean_at(const struct pair *p, double level)
{
    struct canary_moments stable = p->stable, canary = p->canary;
    stable.n = effective_n(&stable, &p->stable_spread, level);
    canary.n = effective_n(&canary, &p->canary_spread, level);
    return canary_mean_interval(&stable, &canary, level);
}

static struct canary_interval as_ratio(struct canary_interval i)
{
    return (struct canary_interval){exp(i.low), exp(i.high)};
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

static void judge_measure(enum canary_measure m, const struct canary_series *stable,
                          const struct canary_series *canary, const double levels[2],
                          struct canary_finding *f)
{
    struct pair p = {.stable = moments_of(stable), .canary = moments_of(canary)};
    p.stable_spread = spread_of(stable, &p.stable);
    p.canary_spread = spread_of(canary, &p.canary);
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
