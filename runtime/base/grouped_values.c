#include "runtime/base/grouped_values.h"

#include <math.h>
#include <stdbool.h>

#include "runtime/base/distributions.h"

/* Less is what rounding leaves of no variance. */
#define NO_VARIANCE 1e-12

/* A hash of its own: what divides requests between versions must not divide groups too.
 * Finaliser of splitmix64 (Steele et al. 2014). */
static size_t caller_group(uint64_t caller, uint64_t number)
{
    uint64_t x = (caller != 0 ? caller : number + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (x ^ (x >> 31)) % GROUPED_GROUPS;
}

struct value_place value_place_of(uint64_t caller, uint64_t number)
{
    return (struct value_place){caller_group(caller, number),
                                number / GROUPED_RUN % GROUPED_GROUPS};
}

static void add_to_group(struct value_groups *g, size_t at, double value)
{
    g->n[at]++;
    g->sum[at] += value;
}

void grouped_values_add(struct grouped_values *v, const struct value_place *at, double value)
{
    v->n++;
    v->sum += value;
    v->squares += value * value;
    add_to_group(&v->by_caller, at->caller, value);
    add_to_group(&v->by_time, at->time, value);
}

static void merge_groups(struct value_groups *g, const struct value_groups *from)
{
    for (size_t i = 0; i < GROUPED_GROUPS; i++) {
        g->n[i] += from->n[i];
        g->sum[i] += from->sum[i];
    }
}

void grouped_values_merge(struct grouped_values *v, const struct grouped_values *from)
{
    v->n += from->n;
    v->sum += from->sum;
    v->squares += from->squares;
    merge_groups(&v->by_caller, &from->by_caller);
    merge_groups(&v->by_time, &from->by_time);
}

struct value_moments grouped_values_moments(const struct grouped_values *v)
{
    struct value_moments m = {.n = v->n, .mean = v->n > 0 ? v->sum / v->n : 0};
    if (v->n > 1) {
        m.variance = fmax(0, (v->squares - v->n * m.mean * m.mean) / (v->n - 1));
    }
    return m;
}

/* How much more the mean varies than that of as many independent values (Rao and Scott 1992,
 * eq. 1). */
static struct value_spread spread_over(const struct value_groups *g,
                                       const struct value_moments *m)
{
    struct value_spread s = {.design = 1};
    double between = 0;
    for (size_t i = 0; i < GROUPED_GROUPS; i++) {
        double off = g->sum[i] - g->n[i] * m->mean;
        between += off * off;
        s.groups += g->n[i] > 0;
    }
    if (m->variance > NO_VARIANCE && s.groups == 1) {
        s.design = m->n;
    } else if (m->variance > NO_VARIANCE && s.groups > 1) {
        double effect = between / (m->n * m->variance) * s.groups / (s.groups - 1);
        s.design = fmin(fmax(effect, 1), m->n);
    }
    return s;
}

struct value_spread grouped_values_spread(const struct grouped_values *v)
{
    struct value_moments m = grouped_values_moments(v);
    struct value_spread callers = spread_over(&v->by_caller, &m);
    struct value_spread times = spread_over(&v->by_time, &m);
    return times.design > callers.design ? times : callers;
}

/* The design effect itself is known from a few groups only (Korn and Graubard 1998). Values
 * that are all the same show no difference between callers. */
double value_effective_n(const struct value_moments *m, const struct value_spread *s,
                         double level)
{
    bool is_simple = s->design == 1 && s->groups == GROUPED_GROUPS;
    if (is_simple || m->variance <= NO_VARIANCE || s->groups < 2) {
        return m->n / s->design;
    }
    double ratio =
        student_quantile_above(level, m->n - 1) / student_quantile_above(level, s->groups - 1);
    return m->n / s->design * ratio * ratio;
}
