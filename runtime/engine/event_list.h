/* event_list.h: a growable list of engine events, with the top tokens that belong to them.
 * Engine-internal. */
#pragma once

#include <stddef.h>

#include "runtime/engine/engine.h"

struct event_list {
    struct engine_event *items; /* `top` is not set in here: it would move */
    size_t count;
    size_t cap;
    struct engine_top_logprob *tops; /* (n_tops) of all items, in their order */
    size_t n_tops;
    size_t tops_cap;
};

/* Room for so many more; 0, or -1 when out of memory. */
int event_list_reserve(struct event_list *l, size_t events, size_t tops);

/* Room was reserved. ev->top (ev->n_top) is copied. */
void event_list_push(struct event_list *l, const struct engine_event *ev);

/* Moves all of `from` behind those of l; -1, and nothing is moved, when out of memory. */
int event_list_move(struct event_list *l, struct event_list *from);

/* Calls fn for each, with its top tokens, and empties the list. */
void event_list_drain(struct event_list *l,
                      void (*fn)(void *ctx, const struct engine_event *ev), void *ctx);

void event_list_deinit(struct event_list *l);
