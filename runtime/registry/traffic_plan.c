#include "runtime/registry/traffic_plan.h"

#include <string.h>

static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

uint64_t traffic_plan_hash(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * 1099511628211u;
    }
    return hash;
}

uint32_t traffic_plan_place(const char *salt, uint64_t caller)
{
    uint64_t line = traffic_plan_hash(TRAFFIC_PLAN_BASIS, salt, strlen(salt));
    /* The salt is mixed by itself first: else two lines would differ by a few bits of what goes
     * into the mixing. */
    return (uint32_t)(mix(mix(line) ^ caller) >> 32);
}

bool traffic_plan_takes(const char *salt, uint64_t caller, int percent)
{
    return (int64_t)traffic_plan_place(salt, caller) * 100 < (int64_t)percent << 32;
}
