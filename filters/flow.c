#include "filters/flow.h"

#include <string.h>

#include "runtime/base/mem.h"

void flow_init(struct flow *flow)
{
    *flow = (struct flow){0};
    buf_init(&flow->bytes, CHAIN_MAX_FLOW);
}

void flow_deinit(struct flow *flow)
{
    buf_deinit(&flow->bytes);
    mem_free(flow->events);
    flow->events = NULL;
}

int flow_append(struct flow *flow, const char *text, size_t len)
{
    if (len > flow->bytes.max - flow->bytes.len) {
        flow->is_full = true;
        return -1;
    }
    return len > 0 ? buf_append(&flow->bytes, text, len) : 0;
}

int flow_append_event(struct flow *flow, const struct chain_event *event)
{
    if (flow->event_count == flow->event_cap) {
        size_t cap = flow->event_cap ? flow->event_cap * 2 : 4;
        struct chain_event *moved = mem_realloc_array(flow->events, cap, sizeof(*moved));
        if (!moved) {
            return -1;
        }
        flow->events = moved;
        flow->event_cap = cap;
    }
    struct chain_event *copy = &flow->events[flow->event_count++];
    *copy = *event;
    copy->at = flow_end(flow);
    return 0;
}

int flow_move_events(struct flow *flow, uint64_t end, struct flow *to)
{
    while (flow->event_head < flow->event_count && flow->events[flow->event_head].at < end) {
        if (flow_append_event(to, &flow->events[flow->event_head]) != 0) {
            return -1;
        }
        flow->event_head++;
    }
    return 0;
}

int flow_move(struct flow *flow, size_t len, struct flow *to)
{
    uint64_t end = flow->start + len;
    while (flow->start < end) {
        if (flow_move_events(flow, flow->start + 1, to) != 0) {
            return -1;
        }
        uint64_t next = end;
        if (flow->event_head < flow->event_count && flow->events[flow->event_head].at < end) {
            next = flow->events[flow->event_head].at;
        }
        size_t run = (size_t)(next - flow->start);
        if (flow_append(to, flow_text(flow), run) != 0) {
            return -1;
        }
        flow_consume(flow, run);
    }
    return 0;
}

int flow_skip(struct flow *flow, size_t len, struct flow *to)
{
    if (flow_move_events(flow, flow->start + len, to) != 0) {
        return -1;
    }
    flow_consume(flow, len);
    return 0;
}

const struct chain_event *flow_take_event(struct flow *flow)
{
    if (flow->event_head == flow->event_count) {
        return NULL;
    }
    return &flow->events[flow->event_head++];
}

void flow_compact(struct flow *flow)
{
    if (flow->head == flow->bytes.len) {
        flow->bytes.len = 0; /* the usual case: all has gone on */
    } else {
        buf_consume(&flow->bytes, flow->head);
    }
    flow->head = 0;
    if (flow->event_head > 0) {
        flow->event_count -= flow->event_head;
        memmove(flow->events, flow->events + flow->event_head,
                flow->event_count * sizeof(*flow->events));
        flow->event_head = 0;
    }
}
