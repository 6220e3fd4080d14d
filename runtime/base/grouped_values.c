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

size_t value_time_group(uint64_t number)
{
    return number / GROUPED_RUN % GROUPED_GROUPS;
}

struct value_place value_place_of(uint64_t caller, uint64_t number)
{
    return (struct value_place){caller_group(caller, number), value_time_group(number)};
}

void value_groups_add(struct value_groups *g, size_t at, double value)
{
    g->n[at]++;
    g->sum[at] += value;
}

void grouped_values_add(struct grouped_values *v, const struct value_place *at, double value)
{
    v->n++;
    v->sum += value;
    v->squares += value * value;
    value_groups_add(&v->by_caller, at->caller, value);
    value_groups_add(&v->by_time, at->time, value);
}

void value_groups_merge(struct value_groups *g, const struct value_groups *from)
{
    for (size_t i = 0; i < GROUPED_GROUPS; i++) {
        g->n[i] += from->n[i];
        g->sum[i] += from->sum[i];
    }
}

struct value_moments value_moments_of(double n, double sum, double squares)
{
    struct value_moments m = {.n = n, .mean = n > 0 ? sum / n : 0};
    if (n > 1) {
        m.variance = fmax(0, (squares - n * m.mean * m.mean) / (n - 1));
    }
    return m;
}

struct value_moments grouped_values_moments(const struct grouped_values *v)
{
    return value_moments_of(v->n, v->sum, v->squares);
}

/* How much more the mean varies than that of as many independent values (Rao and Scott 1992,
 * eq. 1). */
struct value_spread value_groups_spread(const struct value_groups *g,
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
    struct value_spread callers = value_groups_spread(&v->by_caller, &m);
    struct value_spread times = value_groups_spread(&v->by_time, &m);
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
