#include "runtime/engine/fair_queue.h"

#include "runtime/base/mem.h"

void fair_queue_deinit(struct fair_queue *q)
{
    for (size_t i = 0; i < q->n_tenants; i++) {
        for (struct sequence *s = q->tenants[i].first, *next; s; s = next) {
            next = s->next;
            sequence_destroy(s);
        }
    }
    mem_free(q->tenants);
    *q = (struct fair_queue){0};
}

static struct fair_tenant *find_tenant(const struct fair_queue *q, uint64_t id)
{
    for (size_t i = 0; i < q->n_tenants; i++) {
        if (q->tenants[i].id == id) {
            return &q->tenants[i];
        }
    }
    return NULL;
}

/* Tenants that wait for nothing and would begin at the floor anyway need not be remembered. */
static void drop_idle(struct fair_queue *q)
{
    size_t kept = 0;
    for (size_t i = 0; i < q->n_tenants; i++) {
        if (q->tenants[i].first || q->tenants[i].served > q->floor) {
            q->tenants[kept++] = q->tenants[i];
        }
    }
    q->n_tenants = kept;
}

int fair_queue_reserve(struct fair_queue *q, uint64_t tenant)
{
    if (find_tenant(q, tenant)) {
        return 0;
    }
    drop_idle(q);
    if (q->n_tenants == q->cap) {
        size_t cap = q->cap ? 2 * q->cap : 8;
        struct fair_tenant *moved = mem_realloc_array(q->tenants, cap, sizeof(*moved));
        if (!moved) {
            return -1;
        }
        q->tenants = moved;
        q->cap = cap;
    }
    q->tenants[q->n_tenants++] = (struct fair_tenant){.id = tenant, .served = q->floor};
    return 0;
}

void fair_queue_push(struct fair_queue *q, struct sequence *s)
{
    struct fair_tenant *t = find_tenant(q, s->options.tenant);
    if (!t->first && t->served < q->floor) {
        t->served = q->floor;
    }
    struct sequence **link = &t->first;
    while (*link && !sequence_precedes(s, *link)) {
        link = &(*link)->next;
    }
    s->next = *link;
    *link = s;
    q->count++;
    q->prompt_tokens += s->n_prompt;
}

static struct sequence *first_ready(const struct fair_tenant *t)
{
    struct sequence *s = t->first;
    while (s && s->paused) {
        s = s->next;
    }
    return s;
}

struct sequence *fair_queue_peek(const struct fair_queue *q)
{
    struct sequence *best = NULL;
    uint64_t least = 0;
    for (size_t i = 0; i < q->n_tenants; i++) {
        const struct fair_tenant *t = &q->tenants[i];
        struct sequence *s = first_ready(t);
        if (s && (!best || t->served < least ||
                  (t->served == least && sequence_precedes(s, best)))) {
            best = s;
            least = t->served;
        }
    }
    return best;
}

struct sequence *fair_queue_pop(struct fair_queue *q)
{
    struct sequence *s = fair_queue_peek(q);
    if (s) {
        uint64_t served = find_tenant(q, s->options.tenant)->served;
        q->floor = served > q->floor ? served : q->floor;
        fair_queue_remove(q, s);
    }
    return s;
}

struct sequence *fair_queue_find(const struct fair_queue *q, uint64_t id)
{
    for (size_t i = 0; i < q->n_tenants; i++) {
        for (struct sequence *s = q->tenants[i].first; s; s = s->next) {
            if (s->id == id) {
                return s;
            }
        }
    }
    return NULL;
}

void fair_queue_remove(struct fair_queue *q, struct sequence *s)
{
    struct sequence **link = &find_tenant(q, s->options.tenant)->first;
    while (*link != s) {
        link = &(*link)->next;
    }
    *link = s->next;
    s->next = NULL;
    q->count--;
    q->prompt_tokens -= s->n_prompt;
}

struct sequence *fair_queue_take_if(struct fair_queue *q,
                                    bool (*is_due)(const struct sequence *s, uint64_t arg),
                                    uint64_t arg)
{
    for (size_t i = 0; i < q->n_tenants; i++) {
        for (struct sequence *s = q->tenants[i].first; s; s = s->next) {
            if (is_due(s, arg)) {
                fair_queue_remove(q, s);
                return s;
            }
        }
    }
    return NULL;
}

void fair_queue_charge(struct fair_queue *q, uint64_t tenant, uint64_t tokens)
{
    struct fair_tenant *t = find_tenant(q, tenant);
    if (t) {
        t->served += tokens;
    }
}
