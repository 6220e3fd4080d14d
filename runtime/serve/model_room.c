#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/memory_left.h"
#include "runtime/serve/model_budget.h"
#include "runtime/serve/model_set_parts.h"

/* A generation that is loaded, and whose it is. */
struct owner {
    struct model_set *set;
    struct generation *generation;
};

/* All that is loaded and can still be asked for. */
struct inventory {
    struct budget_item *items; /* (n) */
    struct owner *owners;      /* (n) */
    size_t *chosen;            /* (n) */
    size_t n;
};

static void add(struct inventory *v, struct model_set *set, struct generation *g)
{
    v->items[v->n] = (struct budget_item){.bytes = g->memory_bytes,
                                          .used_ns = g->used_ns,
                                          .is_kept = g != set->serving,
                                          .may_go = model_set_may_drop(set, g)};
    v->owners[v->n++] = (struct owner){set, g};
}

static void inventory_deinit(struct inventory *v)
{
    mem_free(v->items);
    mem_free(v->owners);
    mem_free(v->chosen);
}

static int take_inventory(struct inventory *v, const struct model_catalog *c, struct err *e)
{
    size_t most = 0;
    for (size_t i = 0; i < c->n_sets; i++) {
        most += c->sets[i]->n_kept + 1;
    }
    *v = (struct inventory){.items = mem_zarray(most, sizeof(*v->items)),
                            .owners = mem_zarray(most, sizeof(*v->owners)),
                            .chosen = mem_zarray(most, sizeof(*v->chosen))};
    if (!v->items || !v->owners || !v->chosen) {
        inventory_deinit(v);
        return err_nomem(e);
    }
    for (size_t i = 0; i < c->n_sets; i++) {
        struct model_set *set = c->sets[i];
        if (set->serving) {
            add(v, set, set->serving);
        }
        for (size_t k = 0; k < set->n_kept; k++) {
            add(v, set, set->kept[k]);
        }
    }
    return 0;
}

static uint64_t sum(const struct inventory *v, bool only_idle)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < v->n; i++) {
        bytes += only_idle && !v->items[i].may_go ? 0 : v->items[i].bytes;
    }
    return bytes;
}

/* What stays, however long one waits: the serving versions of the set itself, if it is to be
 * compared with, and of the default; and what has a share of the traffic. */
static uint64_t sum_that_stays(const struct inventory *v, const struct model_set *set,
                               const struct model_load *l)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < v->n; i++) {
        const struct owner *o = &v->owners[i];
        bool stays = v->items[i].is_kept ? model_set_is_in_use(o->set, o->generation)
                                         : o->set->is_default || (o->set == set && l->serving);
        bytes += stays ? v->items[i].bytes : 0;
    }
    return bytes;
}

static unsigned long long mib(uint64_t bytes)
{
    return (unsigned long long)(bytes >> 20);
}

static enum room say_why(const struct inventory *v, uint64_t stays,
                         const struct budget_state *b, uint64_t shortage, struct err *e)
{
    bool is_busy = sum(v, false) - stays >= shortage;
    enum err_kind kind = is_busy ? ERR_BUSY : ERR_LIMIT;
    if (b->at_least > b->left) {
        err_set(e, kind,
                "the model has %llu MiB, and %llu MiB of memory are left beside what is "
                "loaded%s",
                mib(b->at_least), mib(b->left), is_busy ? " and in use" : "");
    } else {
        err_set(e, kind,
                "the model takes up to %llu MiB with its keys and values, and %llu of the %llu "
                "MiB of --models-memory are taken%s",
                mib(b->needed), mib(b->used), mib(b->limit),
                is_busy ? " by models that are in use" : "");
    }
    return ROOM_NONE;
}

static void drive_out(const struct inventory *v, size_t n_chosen)
{
    for (size_t i = 0; i < n_chosen; i++) {
        const struct owner *o = &v->owners[v->chosen[i]];
        log_warn("model %s: unloaded, since memory is short", o->generation->id);
        model_set_drop(o->set, o->generation, "memory");
    }
}

/* The version that serves goes when its requests have ended; those that come wait. */
static void drain(struct model_set *set, struct model_load *l)
{
    log_warn("model %s: unloaded before %s is loaded, since memory is short; requests wait",
             set->serving->id, l->version);
    generation_unref(l->serving); /* there is nothing to compare with then */
    l->serving = NULL;
    model_set_drop(set, set->serving, "drain_first");
}

static enum room make(const struct inventory *v, struct model_set *set, struct model_load *l,
                      bool may_drain, struct err *e)
{
    const struct model_catalog *c = set->catalog;
    struct budget_state b = {.limit = set->server->set.models_memory,
                             .used = c->used,
                             .leaving = c->used - sum(v, false),
                             .left = memory_left(),
                             .needed = l->memory_bytes,
                             .at_least = l->file_bytes};
    bool now;
    uint64_t shortage = budget_shortage(&b, &now);
    if (shortage == 0) {
        return now ? ROOM_THERE : ROOM_COMING;
    }
    size_t n = budget_choose(v->items, v->n, shortage, v->chosen);
    if (n > 0) {
        drive_out(v, n);
        return ROOM_COMING;
    }
    uint64_t drained = may_drain && set->serving ? set->serving->memory_bytes : 0;
    if (drained == 0 || sum(v, true) + drained < shortage) {
        return say_why(v, sum_that_stays(v, set, l), &b, shortage, e);
    }
    n = budget_choose(v->items, v->n, shortage > drained ? shortage - drained : 0, v->chosen);
    drive_out(v, n);
    drain(set, l);
    return ROOM_COMING;
}

enum room model_room_make(struct model_set *set, struct model_load *l, bool may_drain,
                          struct err *e)
{
    struct inventory v;
    if (take_inventory(&v, set->catalog, e) != 0) {
        return ROOM_NONE;
    }
    enum room room = make(&v, set, l, may_drain, e);
    inventory_deinit(&v);
    return room;
}
