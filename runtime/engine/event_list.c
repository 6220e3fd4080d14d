#include "runtime/engine/event_list.h"

#include <string.h>

#include "runtime/base/mem.h"

#define CAP_MIN 64

/* Room for `need` elements of `size` bytes in *items. */
static int grow(void **items, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap) {
        return 0;
    }
    size_t wanted = *cap ? *cap : CAP_MIN;
    while (wanted < need) {
        wanted *= 2;
    }
    void *moved = mem_realloc_array(*items, wanted, size);
    if (!moved) {
        return -1;
    }
    *items = moved;
    *cap = wanted;
    return 0;
}

int event_list_reserve(struct event_list *l, size_t events, size_t tops)
{
    void *items = l->items;
    int rc = grow(&items, &l->cap, l->count + events, sizeof(*l->items));
    l->items = items;
    void *more = l->tops;
    rc = rc == 0 ? grow(&more, &l->tops_cap, l->n_tops + tops, sizeof(*l->tops)) : rc;
    l->tops = more;
    return rc;
}

void event_list_push(struct event_list *l, const struct engine_event *ev)
{
    if (ev->n_top > 0) {
        memcpy(l->tops + l->n_tops, ev->top, (size_t)ev->n_top * sizeof(*l->tops));
        l->n_tops += (size_t)ev->n_top;
    }
    l->items[l->count] = *ev;
    l->items[l->count++].top = NULL;
}

int event_list_move(struct event_list *l, struct event_list *from)
{
    if (event_list_reserve(l, from->count, from->n_tops) != 0) {
        return -1;
    }
    if (from->count > 0) {
        memcpy(l->items + l->count, from->items, from->count * sizeof(*l->items));
    }
    if (from->n_tops > 0) {
        memcpy(l->tops + l->n_tops, from->tops, from->n_tops * sizeof(*l->tops));
    }
    l->count += from->count;
    l->n_tops += from->n_tops;
    from->count = from->n_tops = 0;
    return 0;
}

void event_list_drain(struct event_list *l,
                      void (*fn)(void *ctx, const struct engine_event *ev), void *ctx)
{
    const struct engine_top_logprob *top = l->tops;
    for (size_t i = 0; i < l->count; i++) {
        struct engine_event ev = l->items[i];
        if (ev.n_top > 0) {
            ev.top = top;
            top += ev.n_top;
        }
        fn(ctx, &ev);
    }
    l->count = l->n_tops = 0;
}

void event_list_deinit(struct event_list *l)
{
    mem_free(l->items);
    mem_free(l->tops);
    *l = (struct event_list){0};
}
