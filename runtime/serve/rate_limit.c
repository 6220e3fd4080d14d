#include "runtime/serve/rate_limit.h"

#include <math.h>

#define MINUTE_NS 60e9

static void fill(struct rate_limit *l, uint64_t now_ns)
{
    if (now_ns > l->updated_ns) {
        l->level += (double)(now_ns - l->updated_ns) / MINUTE_NS * l->per_minute;
        l->updated_ns = now_ns;
    }
    l->level = fmin(l->level, l->per_minute);
}

static uint64_t ms_until(struct rate_limit *l, double wanted, uint64_t now_ns)
{
    if (l->per_minute == 0) {
        return 0;
    }
    fill(l, now_ns);
    /* Sums of fractions: what is missing by rounding is there. */
    double ms = (wanted - l->level) / l->per_minute * 60000 - 1e-3;
    return ms > 0 ? (uint64_t)ceil(ms) : 0;
}

void rate_limit_set(struct rate_limit *l, uint32_t per_minute, uint64_t now_ns)
{
    fill(l, now_ns);
    double used = l->per_minute - l->level;
    l->per_minute = per_minute;
    l->level = per_minute - used;
    l->updated_ns = now_ns;
}

bool rate_limit_allows(struct rate_limit *l, uint64_t now_ns)
{
    return ms_until(l, 1, now_ns) == 0;
}

void rate_limit_take(struct rate_limit *l, uint64_t n, uint64_t now_ns)
{
    if (l->per_minute > 0) {
        fill(l, now_ns);
        l->level -= (double)n;
    }
}

uint32_t rate_limit_remaining(struct rate_limit *l, uint64_t now_ns)
{
    fill(l, now_ns);
    return l->level > 0 ? (uint32_t)(l->level + 1e-6) : 0;
}

uint64_t rate_limit_wait_ms(struct rate_limit *l, uint64_t now_ns)
{
    return ms_until(l, 1, now_ns);
}

uint64_t rate_limit_reset_ms(struct rate_limit *l, uint64_t now_ns)
{
    return ms_until(l, l->per_minute, now_ns);
}
