/* grouped_values.h: how much a sample of values tells when the values hang together.
 *
 * Answers to one caller resemble each other, and those of one moment had the same load and the
 * same news of the day. A test that takes them for independent gives many times the alarms that
 * it promises. So values are sorted twice into GROUPED_GROUPS groups: by the caller's hash, and
 * in runs of GROUPED_RUN that came one after the other. Where the means of the groups vary more
 * than they would by chance, counts are divided by that design effect, the larger of the two
 * (Rao and Scott 1992), and where there are few groups by more, as the effect itself is not
 * well known then (Korn and Graubard 1998).
 *
 * Threads: pure functions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define GROUPED_GROUPS 64
#define GROUPED_RUN    8

struct value_groups {
    double n[GROUPED_GROUPS], sum[GROUPED_GROUPS];
};

/* All zero is nothing. */
struct grouped_values {
    double n, sum, squares;
    struct value_groups by_caller, by_time;
};

void value_groups_add(struct value_groups *g, size_t at, double value);

/* All of `from` too. */
void value_groups_merge(struct value_groups *g, const struct value_groups *from);

/* The group of the number-th answer, in the order in which they came. */
size_t value_time_group(uint64_t number);

/* The groups that a value belongs to. */
struct value_place {
    size_t caller, time;
};

/* caller: the same for the same one; 0: nobody is known, who is then a caller of his own.
 * number: of the answer, in the order in which they came. */
struct value_place value_place_of(uint64_t caller, uint64_t number);

void grouped_values_add(struct grouped_values *v, const struct value_place *at, double value);

struct value_moments {
    double n, mean, variance;
};
struct value_moments value_moments_of(double n, double sum, double squares);
struct value_moments grouped_values_moments(const struct grouped_values *v);

/* How much a sample tells of what is not in it. */
struct value_spread {
    double design; /* effect, 1 at least */
    int groups;    /* that have values */
};

/* By the values' groups of one kind, and by the kind that varies more. */
struct value_spread value_groups_spread(const struct value_groups *g,
                                        const struct value_moments *m);
struct value_spread grouped_values_spread(const struct grouped_values *v);

/* The number of independent values that tell as much, for an interval whose ends have this
 * level. */
double value_effective_n(const struct value_moments *m, const struct value_spread *s,
                         double level);
