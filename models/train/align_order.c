#include "models/train/align_order.h"

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

int align_order_init(struct align_order *o, size_t n, uint64_t seed, struct err *e)
{
    *o = (struct align_order){.n = n, .seed = seed, .epoch = UINT64_MAX};
    if (n > UINT32_MAX) {
        return err_set(e, ERR_LIMIT, "%zu pairs, at most %u are read", n, UINT32_MAX);
    }
    o->list = mem_zarray(n, sizeof(*o->list));
    return o->list ? 0 : err_nomem(e);
}

void align_order_deinit(struct align_order *o)
{
    mem_free(o->list);
    o->list = NULL;
}

/* Fisher and Yates, from the inside out. */
static void shuffle(struct align_order *o, uint64_t epoch)
{
    struct rng rng;
    rng_seed(&rng, o->seed * 0x9e3779b97f4a7c15u + epoch);
    for (size_t i = 0; i < o->n; i++) {
        size_t k = rng_below(&rng, (uint32_t)i + 1);
        o->list[i] = o->list[k];
        o->list[k] = (uint32_t)i;
    }
    o->epoch = epoch;
}

uint32_t align_order_at(struct align_order *o, uint64_t at)
{
    if (at / o->n != o->epoch) {
        shuffle(o, at / o->n);
    }
    return o->list[at % o->n];
}
