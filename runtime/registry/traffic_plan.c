#include "runtime/registry/traffic_plan.h"

#include <string.h>

#include "runtime/base/fnv.h"

static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

uint32_t traffic_plan_place(const char *salt, uint64_t caller)
{
    uint64_t line = fnv64(FNV64_BASIS, salt, strlen(salt));
    /* The salt is mixed by itself first: else two lines would differ by a few bits of what goes
     * into the mixing. */
    return (uint32_t)(mix(mix(line) ^ caller) >> 32);
}

bool traffic_plan_takes(const char *salt, uint64_t caller, int percent)
{
    return (int64_t)traffic_plan_place(salt, caller) * 100 < (int64_t)percent << 32;
}
