/* event_list.h: a growable list of engine events. Engine-internal. */
#pragma once

#include <stddef.h>

#include "runtime/engine/engine.h"

struct event_list {
    struct engine_event *items;
    size_t count;
    size_t cap;
};

int event_list_reserve(struct event_list *l, size_t more); /* 0, or -1 when out of memory */
void event_list_push(struct event_list *l,
                     const struct engine_event *ev); /* room was reserved */
void event_list_deinit(struct event_list *l);
