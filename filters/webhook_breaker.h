/* webhook_breaker.h: leaves a service alone that keeps failing.
 *
 * After so many failures in a row it is not asked for a while. Then one question goes out as a
 * trial: it brings the service back, or begins the next while.
 *
 * Times are those of clock_now_ns. Threads: any. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct webhook_breaker {
    uint32_t limit;    /* failures in a row; 0: never */
    uint64_t pause_ns; /* the while */
    atomic_uint failures;
    atomic_uint_fast64_t closed_until; /* nothing is asked before, once `limit` is reached */
};

enum webhook_admission { WEBHOOK_ASK, WEBHOOK_TRY, WEBHOOK_REFUSE };

enum webhook_admission webhook_breaker_admit(struct webhook_breaker *b, uint64_t now);

void webhook_breaker_succeeded(struct webhook_breaker *b);

/* Whether this is the failure with which a pause begins. */
bool webhook_breaker_failed(struct webhook_breaker *b, uint64_t now);

/* The trial was taken back before it came to anything: another may be made. */
void webhook_breaker_give_up_trial(struct webhook_breaker *b, uint64_t now);
