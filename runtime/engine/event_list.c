#include "runtime/engine/event_list.h"

#include "runtime/base/mem.h"

int event_list_reserve(struct event_list *l, size_t more)
{
    size_t need = l->count + more;
    if (need <= l->cap) {
        return 0;
    }
    size_t cap = l->cap ? l->cap : 64;
    while (cap < need) {
        cap *= 2;
    }
    struct engine_event *moved = mem_realloc_array(l->items, cap, sizeof(*moved));
    if (!moved) {
        return -1;
    }
    l->items = moved;
    l->cap = cap;
    return 0;
}

void event_list_push(struct event_list *l, const struct engine_event *ev)
{
    l->items[l->count++] = *ev;
}

void event_list_deinit(struct event_list *l)
{
    mem_free(l->items);
    *l = (struct event_list){0};
}
