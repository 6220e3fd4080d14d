#include "runtime/net/trace_context.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "runtime/base/hex.h"
#include "runtime/base/rng.h"

#define VERSION_AT 0
#define TRACE_AT   3
#define SPAN_AT    36
#define FLAGS_AT   53
#define SAMPLED    1 /* of the flags */

/* --- reading --- */

/* Digits in lower case only. */
static bool is_hex(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool upper = at[i] >= 'A' && at[i] <= 'F';
        if (upper || hex_value((unsigned char)at[i]) < 0) {
            return false;
        }
    }
    return true;
}

static bool is_zero(const char *at, size_t len)
{
    return strspn(at, "0") >= len;
}

bool trace_context_parse(const char *value, struct trace_context *out)
{
    size_t len = strlen(value);
    if (len < TRACE_PARENT_LEN || value[TRACE_AT - 1] != '-' || value[SPAN_AT - 1] != '-' ||
        value[FLAGS_AT - 1] != '-' || !is_hex(value + VERSION_AT, 2) ||
        !is_hex(value + TRACE_AT, TRACE_ID_LEN) || !is_hex(value + SPAN_AT, TRACE_SPAN_LEN) ||
        !is_hex(value + FLAGS_AT, 2)) {
        return false;
    }
    bool is_ours = memcmp(value, "00", 2) == 0;
    bool is_whole = len == TRACE_PARENT_LEN || (!is_ours && value[TRACE_PARENT_LEN] == '-');
    if (!is_whole || memcmp(value, "ff", 2) == 0 || is_zero(value + TRACE_AT, TRACE_ID_LEN) ||
        is_zero(value + SPAN_AT, TRACE_SPAN_LEN)) {
        return false;
    }
    *out = (struct trace_context){.is_sampled =
                                      hex_value((unsigned char)value[FLAGS_AT + 1]) & SAMPLED};
    memcpy(out->trace, value + TRACE_AT, TRACE_ID_LEN);
    memcpy(out->span, value + SPAN_AT, TRACE_SPAN_LEN);
    return true;
}

/* --- making --- */

/* Names need to be new and not secret, so one look at the system's random numbers will do. */
static struct rng *random_numbers(void)
{
    static _Thread_local struct rng rng;
    static _Thread_local bool is_seeded;
    uint64_t seed = 0;
    if (!is_seeded) {
        if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            seed = ((uint64_t)now.tv_sec << 30) ^ (uint64_t)now.tv_nsec;
        }
        rng_seed(&rng, seed);
        is_seeded = true;
    }
    return &rng;
}

/* All zeros name nothing. */
static uint64_t random_name(void)
{
    uint64_t name;
    do {
        name = rng_next(random_numbers());
    } while (name == 0);
    return name;
}

void trace_context_span(char span[TRACE_SPAN_LEN + 1])
{
    snprintf(span, TRACE_SPAN_LEN + 1, "%016llx", (unsigned long long)random_name());
}

void trace_context_begin(struct trace_context *out)
{
    snprintf(out->trace, sizeof(out->trace), "%016llx%016llx",
             (unsigned long long)random_name(), (unsigned long long)random_name());
    trace_context_span(out->span);
    out->is_sampled = false;
}

void trace_context_format(const struct trace_context *c, char out[TRACE_PARENT_LEN + 1])
{
    snprintf(out, TRACE_PARENT_LEN + 1, "00-%s-%s-%02x", c->trace, c->span,
             c->is_sampled ? SAMPLED : 0);
}

/* Of the last seven bytes, which are random (Trace Context level 2, random-trace-id). */
double trace_context_share(const struct trace_context *c)
{
    uint64_t number = 0;
    for (const char *at = c->trace + TRACE_ID_LEN - 13; *at; at++) {
        number = number << 4 | (uint64_t)hex_value((unsigned char)*at);
    }
    return (double)number / (double)(UINT64_C(1) << 52);
}
