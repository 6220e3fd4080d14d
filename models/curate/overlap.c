#include "models/curate/overlap.h"

#include <stdbool.h>
#include <string.h>

#include "runtime/base/mem.h"

#define WHOLE_PART 0x5bf03635u /* what is equal as a whole, among runs */

void overlap_init(struct overlap *o, size_t n)
{
    *o = (struct overlap){.n = n};
}

void overlap_deinit(struct overlap *o)
{
    mem_free(o->keys);
    mem_free(o->owners);
    *o = (struct overlap){0};
}

static size_t slot_of(const struct overlap *o, uint64_t key)
{
    size_t i = (size_t)key & (o->cap - 1);
    while (o->keys[i] && o->keys[i] != key) {
        i = (i + 1) & (o->cap - 1);
    }
    return i;
}

static int grow(struct overlap *o, struct err *e)
{
    struct overlap bigger = *o;
    bigger.cap = o->cap ? 2 * o->cap : 1024;
    bigger.keys = mem_zarray(bigger.cap, sizeof(*bigger.keys));
    bigger.owners = mem_array(bigger.cap, sizeof(*bigger.owners));
    if (!bigger.keys || !bigger.owners) {
        mem_free(bigger.keys);
        mem_free(bigger.owners);
        return err_nomem(e);
    }
    for (size_t i = 0; i < o->cap; i++) {
        if (o->keys[i]) {
            size_t at = slot_of(&bigger, o->keys[i]);
            bigger.keys[at] = o->keys[i];
            bigger.owners[at] = o->owners[i];
        }
    }
    mem_free(o->keys);
    mem_free(o->owners);
    *o = bigger;
    return 0;
}

static uint64_t whole_key(const uint64_t *words, size_t count)
{
    return words_mix(words_digest(words, count).a ^ WHOLE_PART) | 1;
}

struct adding {
    struct overlap *o;
    uint32_t owner;
    void (*shared)(void *ctx, uint32_t owner, uint32_t other);
    void *ctx;
};

static int add_key(struct adding *a, uint64_t key, struct err *e)
{
    struct overlap *o = a->o;
    if (2 * (o->count + 1) > o->cap && grow(o, e)) {
        return -1;
    }
    size_t i = slot_of(o, key);
    if (!o->keys[i]) {
        o->keys[i] = key;
        o->owners[i] = a->owner;
        o->count++;
    } else if (a->shared && o->owners[i] != a->owner) {
        a->shared(a->ctx, a->owner, o->owners[i]);
    }
    return 0;
}

int overlap_add(struct overlap *o, const uint64_t *words, size_t count, uint32_t owner,
                void (*shared)(void *ctx, uint32_t owner, uint32_t other), void *ctx,
                struct err *e)
{
    struct adding a = {o, owner, shared, ctx};
    size_t shortest = OVERLAP_SHORT < o->n ? OVERLAP_SHORT : o->n;
    if (count == 0) {
        return 0;
    }
    if (count < shortest) {
        return add_key(&a, whole_key(words, count), e);
    }
    struct ngrams g;
    uint64_t hash;
    size_t n = count < o->n ? count : o->n;
    o->lengths |= (uint64_t)1 << (n - 1);
    ngrams_init(&g, words, count, n);
    while (ngrams_next(&g, &hash)) {
        if (add_key(&a, hash | 1, e)) {
            return -1;
        }
    }
    return 0;
}

static void look_up_key(const struct overlap *o, uint64_t key,
                        void (*found)(void *ctx, uint32_t owner), void *ctx)
{
    size_t i = slot_of(o, key);
    if (o->keys[i]) {
        found(ctx, o->owners[i]);
    }
}

void overlap_look_up(const struct overlap *o, const uint64_t *words, size_t count,
                     void (*found)(void *ctx, uint32_t owner), void *ctx)
{
    if (o->cap == 0 || count == 0) {
        return;
    }
    look_up_key(o, whole_key(words, count), found, ctx);
    for (size_t n = 1; n <= o->n && n <= count; n++) {
        if (!(o->lengths >> (n - 1) & 1)) {
            continue;
        }
        struct ngrams g;
        uint64_t hash;
        ngrams_init(&g, words, count, n);
        while (ngrams_next(&g, &hash)) {
            look_up_key(o, hash | 1, found, ctx);
        }
    }
}
