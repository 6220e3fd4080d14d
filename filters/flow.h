/* flow.h: text on its way from one filter to the next, with the events that ride on it.
 *
 * An event belongs to a place in the text. It travels through the rest of the chain with the
 * byte that follows it and comes out when that byte does, so that a filter further down which
 * stops the text also takes away what happened behind its stop, however far a filter before it
 * had read ahead.
 *
 * Ownership: flow_init takes nothing, flow_deinit releases. Functions that can fail return 0,
 * or -1 when memory or CHAIN_MAX_FLOW ran out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filters/chain.h"
#include "runtime/base/buf.h"

struct flow {
    struct buf bytes;
    size_t head;    /* bytes before it are gone already */
    uint64_t start; /* offset of bytes.data[head] in the text */

    struct chain_event *events; /* event.at: where it rides, in this flow's offsets */
    size_t event_head;
    size_t event_count; /* events[event_head, event_count) wait, in order of `at` */
    size_t event_cap;

    bool is_full; /* an append failed because of CHAIN_MAX_FLOW, not for want of memory */
};

void flow_init(struct flow *flow);
void flow_deinit(struct flow *flow);

static inline const char *flow_text(const struct flow *flow)
{
    return flow->bytes.data ? flow->bytes.data + flow->head : "";
}

static inline size_t flow_len(const struct flow *flow)
{
    return flow->bytes.len - flow->head;
}

static inline uint64_t flow_end(const struct flow *flow)
{
    return flow->start + flow_len(flow);
}

int flow_append(struct flow *flow, const char *text, size_t len);
/* A copy of the event rides at the end of the text so far. */
int flow_append_event(struct flow *flow, const struct chain_event *event);

/* The first len bytes go on into `to`, events before each of them included. */
int flow_move(struct flow *flow, size_t len, struct flow *to);
/* The first len bytes vanish; events before each of them go on into `to`. */
int flow_skip(struct flow *flow, size_t len, struct flow *to);
/* Events that ride before offset `end` go on into `to`; the bytes stay. */
int flow_move_events(struct flow *flow, uint64_t end, struct flow *to);

/* Takes out the next event; NULL when there is none. Valid until the flow changes. */
const struct chain_event *flow_take_event(struct flow *flow);
/* The first len bytes vanish. */
static inline void flow_consume(struct flow *flow, size_t len)
{
    flow->head += len;
    flow->start += len;
}
/* Gives back the space of what is gone. Pointers into the flow become invalid. */
void flow_compact(struct flow *flow);
