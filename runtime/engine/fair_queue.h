/* fair_queue.h: requests that wait, and whose turn it is. Engine-internal.
 *
 * Each tenant (a caller's key) has a queue of its own, in the order of priority and arrival.
 * The tenant that was served least so far comes first, counted in tokens (Sheng et al. 2024,
 * "Fairness in Serving Large Language Models", virtual token counter): one caller with a
 * thousand requests delays another with one request by one turn. Who has been away is not owed
 * for that time.
 *
 * Threads: under the engine's lock. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/engine/sequence.h"

struct fair_tenant {
    uint64_t id;
    uint64_t served; /* tokens */
    struct sequence *first;
};

struct fair_queue {
    struct fair_tenant *tenants; /* (n_tenants): those that wait, or were served lately */
    size_t n_tenants;
    size_t cap;
    int count;              /* requests */
    uint64_t prompt_tokens; /* of all of them together */
    uint64_t floor;         /* served tokens of the tenant that was last taken from */
};

void fair_queue_deinit(struct fair_queue *q); /* destroys what waits */

/* Room for a further tenant; 0, or -1 when out of memory. */
int fair_queue_reserve(struct fair_queue *q, uint64_t tenant);

/* Room was reserved. */
void fair_queue_push(struct fair_queue *q, struct sequence *s);

/* The next one that is not paused; NULL when there is none. */
struct sequence *fair_queue_peek(const struct fair_queue *q);
struct sequence *fair_queue_pop(struct fair_queue *q);

/* NULL when it is not there. */
struct sequence *fair_queue_find(const struct fair_queue *q, uint64_t id);
void fair_queue_remove(struct fair_queue *q, struct sequence *s);

/* Takes out one for which `is_due` says so; NULL when there is none. */
struct sequence *fair_queue_take_if(struct fair_queue *q,
                                    bool (*is_due)(const struct sequence *s, uint64_t arg),
                                    uint64_t arg);

/* Work was done for a tenant. */
void fair_queue_charge(struct fair_queue *q, uint64_t tenant, uint64_t tokens);
