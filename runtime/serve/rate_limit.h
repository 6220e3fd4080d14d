/* rate_limit.h: so much a minute, as a bucket that fills evenly.
 *
 * A full bucket holds a minute's worth, so that much may come at once. What is taken may be
 * known only afterwards (an answer's tokens): the level then falls below zero, and nothing is
 * had until it is above again. Times are clock_now_ns(). Threads: none. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rate_limit {
    uint32_t per_minute; /* 0: no limit */
    double level;        /* at updated_ns */
    uint64_t updated_ns;
};

/* Sets the limit; what was used before still counts. A new one is full. */
void rate_limit_set(struct rate_limit *l, uint32_t per_minute, uint64_t now_ns);

/* True when one can be taken. */
bool rate_limit_allows(struct rate_limit *l, uint64_t now_ns);

void rate_limit_take(struct rate_limit *l, uint64_t n, uint64_t now_ns);

/* Whole ones that are left. */
uint32_t rate_limit_remaining(struct rate_limit *l, uint64_t now_ns);

/* Until one can be taken, and until the bucket is full. */
uint64_t rate_limit_wait_ms(struct rate_limit *l, uint64_t now_ns);
uint64_t rate_limit_reset_ms(struct rate_limit *l, uint64_t now_ns);
