/* model_budget.h: whether a model fits into memory, and which others go to make room.
 *
 * What counts of a loaded generation is its weights as they lie in memory and all the keys and
 * values that it may come to hold (generation.memory_bytes), from when it serves until it is
 * gone: one that is out of use but still has requests counts until the last of these ends. Not
 * counted is what an engine works with (some tens of MiB) and what requests hold.
 *
 * Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A generation that is loaded. */
struct budget_item {
    uint64_t bytes;
    uint64_t used_ns; /* when it was used last */
    bool is_kept;     /* requests do not get it unless they name it */
    bool may_go;      /* nobody uses it, and it is not what must stay */
};

struct budget_state {
    uint64_t limit;    /* bytes for all generations; 0: what the machine has */
    uint64_t used;     /* by all of them, those that are leaving included */
    uint64_t leaving;  /* of these bytes, by those that will be gone without our doing */
    uint64_t left;     /* what the machine could still give */
    uint64_t needed;   /* by the one that is to come, at the most */
    uint64_t at_least; /* that it takes from the machine at once: its files */
};

/* Bytes that must go before it can come, beside those that are leaving; 0: none. *now: it can
 * come without waiting for these either. */
uint64_t budget_shortage(const struct budget_state *s, bool *now);

/* Chooses items that give `bytes` together: kept ones first, then the others, of each kind
 * those first that were not used for the longest time, and no more than are needed. Their
 * indices are put into `chosen` (n). How many they are; 0: all that may go are not enough, or
 * bytes is 0. */
size_t budget_choose(const struct budget_item *items, size_t n, uint64_t bytes, size_t *chosen);
