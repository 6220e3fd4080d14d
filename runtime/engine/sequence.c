#include "runtime/engine/sequence.h"

#include <string.h>

#include "runtime/base/mem.h"

struct sequence *sequence_create(uint64_t id, const struct engine_request *r)
{
    struct sequence *s = mem_zalloc(sizeof(*s));
    if (!s) {
        return NULL;
    }
    s->prompt = mem_array(r->n_prompt, sizeof(*s->prompt));
    if (!s->prompt) {
        mem_free(s);
        return NULL;
    }
    memcpy(s->prompt, r->prompt, r->n_prompt * sizeof(*s->prompt));
    s->n_prompt = r->n_prompt;
    s->id = id;
    s->user = r->user;
    s->max_tokens = r->max_tokens;
    s->slot = -1;
    sampler_init(&s->sampler, &r->sampling);
    return s;
}

void sequence_destroy(struct sequence *s)
{
    if (s) {
        mem_free(s->prompt);
        mem_free(s);
    }
}

void sequence_queue_push(struct sequence_queue *q, struct sequence *s)
{
    s->next = NULL;
    if (q->last) {
        q->last->next = s;
    } else {
        q->first = s;
    }
    q->last = s;
    q->count++;
}

struct sequence *sequence_queue_pop(struct sequence_queue *q)
{
    struct sequence *s = q->first;
    if (s) {
        q->first = s->next;
        if (!q->first) {
            q->last = NULL;
        }
        q->count--;
    }
    return s;
}

struct sequence *sequence_queue_remove(struct sequence_queue *q, uint64_t id)
{
    struct sequence *before = NULL;
    for (struct sequence *s = q->first; s; before = s, s = s->next) {
        if (s->id != id) {
            continue;
        }
        if (before) {
            before->next = s->next;
        } else {
            q->first = s->next;
        }
        if (q->last == s) {
            q->last = before;
        }
        q->count--;
        return s;
    }
    return NULL;
}
