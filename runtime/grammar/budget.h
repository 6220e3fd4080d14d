/* budget.h: how long compiling may take. */
#pragma once

#include <stdint.h>
#include <time.h>

#include "runtime/base/err.h"

/* Sanitizers make everything many times slower; what is refused must not depend on them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define BUDGET_SLOWDOWN 20
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define BUDGET_SLOWDOWN 20
#    endif
#endif
#ifndef BUDGET_SLOWDOWN
#    define BUDGET_SLOWDOWN 1
#endif

#define BUDGET_MS (50 * BUDGET_SLOWDOWN)

struct budget {
    int64_t end_ns; /* of the thread's processor time */
};

static inline int64_t budget_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline struct budget budget_begin(void)
{
    return (struct budget){budget_clock_ns() + (int64_t)BUDGET_MS * 1000000};
}

/* 0, or -1 with ERR_LIMIT when the time is over. */
static inline int budget_check(const struct budget *b, struct err *e)
{
    if (budget_clock_ns() <= b->end_ns) {
        return 0;
    }
    return err_set(
        e, ERR_LIMIT,
        "the schema or grammar is too complex: compiling it takes longer than 50 ms");
}
