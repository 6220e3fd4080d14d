#include "filters/chain_queue.h"

#include <string.h>

#include "runtime/base/mem.h"

void chain_queue_init(struct chain_queue *q)
{
    *q = (struct chain_queue){0};
    buf_init(&q->bytes, CHAIN_MAX_FLOW);
}

void chain_queue_deinit(struct chain_queue *q)
{
    mem_free(q->steps);
    buf_deinit(&q->bytes);
    chain_queue_init(q);
}

static void drop_consumed(struct chain_queue *q)
{
    buf_consume(&q->bytes, q->consumed);
    q->consumed = 0;
}

/* Gives back the space of what is gone, once that is as much as what is left. */
static void compact(struct chain_queue *q)
{
    if (q->consumed > 0 && q->consumed >= q->bytes.len - q->consumed) {
        drop_consumed(q);
    }
    if (q->head == q->count) {
        q->head = q->count = 0;
    }
}

/* The space of steps that are gone is used again before there is more. */
static int reserve_step(struct chain_queue *q)
{
    if (q->count - q->head == CHAIN_MAX_STEPS) {
        q->is_full = true;
        return -1;
    }
    if (q->count == q->cap && q->head > q->cap / 2) {
        q->count -= q->head;
        memmove(q->steps, q->steps + q->head, q->count * sizeof(*q->steps));
        q->head = 0;
    }
    if (q->count < q->cap) {
        return 0;
    }
    size_t cap = q->cap ? q->cap * 2 : 8;
    struct chain_step *moved = mem_realloc_array(q->steps, cap, sizeof(*moved));
    if (!moved) {
        return -1;
    }
    q->steps = moved;
    q->cap = cap;
    return 0;
}

/* The last step, when more text goes on with it. */
static struct chain_step *text_before(const struct chain_queue *q,
                                      const struct chain_step *step)
{
    struct chain_step *last = q->head < q->count ? &q->steps[q->count - 1] : NULL;
    bool goes_on = last && step->kind == CHAIN_STEP_TEXT && last->kind == CHAIN_STEP_TEXT &&
                   last->channel == step->channel;
    return goes_on ? last : NULL;
}

int chain_queue_add(struct chain_queue *q, const struct chain_step *step, const char *bytes)
{
    if (step->len > q->bytes.max - chain_queue_bytes(q)) {
        q->is_full = true;
        return -1;
    }
    if (step->len > q->bytes.max - q->bytes.len) {
        drop_consumed(q);
    }
    struct chain_step *last = text_before(q, step);
    if ((!last && reserve_step(q) != 0) ||
        (step->len > 0 && buf_append(&q->bytes, bytes, step->len) != 0)) {
        return -1;
    }
    if (last) {
        last->len += step->len;
    } else {
        q->steps[q->count++] = *step;
    }
    return 0;
}

const struct chain_step *chain_queue_first(const struct chain_queue *q, const char **bytes)
{
    if (q->head == q->count) {
        return NULL;
    }
    *bytes = q->bytes.data ? q->bytes.data + q->consumed : "";
    return &q->steps[q->head];
}

void chain_queue_consume(struct chain_queue *q, size_t n)
{
    q->steps[q->head].len -= n;
    q->consumed += n;
    compact(q);
}

void chain_queue_drop(struct chain_queue *q)
{
    q->consumed += q->steps[q->head].len;
    q->head++;
    compact(q);
}

size_t chain_queue_bytes(const struct chain_queue *q)
{
    return q->bytes.len - q->consumed;
}
