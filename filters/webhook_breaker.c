#include "filters/webhook_breaker.h"

enum webhook_admission webhook_breaker_admit(struct webhook_breaker *b, uint64_t now)
{
    if (b->limit == 0 || atomic_load(&b->failures) < b->limit) {
        return WEBHOOK_ASK;
    }
    uint_fast64_t until = atomic_load(&b->closed_until);
    /* Of several that come when the while is over one makes the trial; the others wait for
     * another while, unless it succeeds. */
    if (now < until ||
        !atomic_compare_exchange_strong(&b->closed_until, &until, now + b->pause_ns)) {
        return WEBHOOK_REFUSE;
    }
    return WEBHOOK_TRY;
}

void webhook_breaker_succeeded(struct webhook_breaker *b)
{
    atomic_store(&b->failures, 0);
}

bool webhook_breaker_failed(struct webhook_breaker *b, uint64_t now)
{
    if (b->limit == 0) {
        return false;
    }
    unsigned failures = atomic_load(&b->failures);
    while (failures < b->limit &&
           !atomic_compare_exchange_weak(&b->failures, &failures, failures + 1)) {
    }
    if (failures + 1 < b->limit) {
        return false;
    }
    atomic_store(&b->closed_until, now + b->pause_ns);
    return failures + 1 == b->limit;
}

void webhook_breaker_give_up_trial(struct webhook_breaker *b, uint64_t now)
{
    atomic_store(&b->closed_until, now);
}
