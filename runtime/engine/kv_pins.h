/* kv_pins.h: pages of the KV cache that are held for prompts which will be asked for again.
 * Engine-internal.
 *
 * Each pin has a name, a number of its maker's. When pages run out, pins are given up, the
 * oldest first.
 *
 * Threads: the engine's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/engine/kv_pool.h"

#define KV_PINS_MAX 64

struct kv_pin {
    uint64_t name;
    int *pages; /* (n_pages), owned */
    size_t n_pages;
};

/* All zero is none. */
struct kv_pins {
    struct kv_pin items[KV_PINS_MAX]; /* (count), the oldest first */
    size_t count;
};

/* Holds the pages under that name, in place of what had the name before; beyond KV_PINS_MAX in
 * place of the oldest. Without memory nothing is held. */
void kv_pins_add(struct kv_pins *p, struct kv_pool *pool, uint64_t name, const int *pages,
                 size_t n_pages);

/* Lets go of one; an unknown name is ignored. */
void kv_pins_remove(struct kv_pins *p, struct kv_pool *pool, uint64_t name);

/* Lets go of the oldest. False when there is none. */
bool kv_pins_remove_oldest(struct kv_pins *p, struct kv_pool *pool);

/* Forgets all, whatever becomes of the pool. */
void kv_pins_deinit(struct kv_pins *p);
