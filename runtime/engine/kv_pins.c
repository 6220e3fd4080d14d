#include "runtime/engine/kv_pins.h"

#include <string.h>

#include "runtime/base/mem.h"

static void remove_at(struct kv_pins *p, struct kv_pool *pool, size_t at)
{
    struct kv_pin *pin = &p->items[at];
    /* The last pages first, so that of a chain its end is taken before its beginning. */
    while (pin->n_pages > 0) {
        kv_pool_release(pool, pin->pages[--pin->n_pages]);
    }
    mem_free(pin->pages);
    p->count--;
    memmove(pin, pin + 1, (p->count - at) * sizeof(*pin));
}

void kv_pins_add(struct kv_pins *p, struct kv_pool *pool, uint64_t name, const int *pages,
                 size_t n_pages)
{
    int *held = mem_array(n_pages > 0 ? n_pages : 1, sizeof(*held));
    if (!held) {
        return;
    }
    /* Held before the old ones are let go, which may be the same. */
    for (size_t i = 0; i < n_pages; i++) {
        kv_pool_hold(pool, pages[i]);
        held[i] = pages[i];
    }
    kv_pins_remove(p, pool, name);
    if (p->count == KV_PINS_MAX) {
        remove_at(p, pool, 0);
    }
    p->items[p->count++] = (struct kv_pin){.name = name, .pages = held, .n_pages = n_pages};
}

void kv_pins_remove(struct kv_pins *p, struct kv_pool *pool, uint64_t name)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].name == name) {
            remove_at(p, pool, i);
            return;
        }
    }
}

bool kv_pins_remove_oldest(struct kv_pins *p, struct kv_pool *pool)
{
    if (p->count == 0) {
        return false;
    }
    remove_at(p, pool, 0);
    return true;
}

void kv_pins_deinit(struct kv_pins *p)
{
    for (size_t i = 0; i < p->count; i++) {
        mem_free(p->items[i].pages);
    }
    *p = (struct kv_pins){0};
}
