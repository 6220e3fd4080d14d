/* align_order.h: in which order pairs are read: each epoch has all of them, in an order that
 * depends on the seed and the epoch's number alone, so that a run that is resumed reads what
 * the whole run would have read.
 *
 * Ownership: an order owns its list. Threads: none. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"

struct align_order {
    uint32_t *list; /* (n) of the epoch below */
    size_t n;
    uint64_t seed, epoch;
};

/* n: 1 or more. */
int align_order_init(struct align_order *o, size_t n, uint64_t seed, struct err *e);
void align_order_deinit(struct align_order *o);

/* What is read as the `at`-th, counted from the run's beginning over all epochs. */
uint32_t align_order_at(struct align_order *o, uint64_t at);
