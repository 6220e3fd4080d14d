/* filter_outside.h: carries the questions of filters over HTTP, for all requests of a server.
 *
 * Nothing is set up before the first question.
 *
 * Threads: the loop only. */
#pragma once

#include <uv.h>

#include "filters/chain.h"
#include "runtime/net/http_call.h"
#include "runtime/net/trace_context.h"

struct filter_outside {
    struct chain_outside face; /* first: for chain_stream_set_outside */
    uv_loop_t *loop;
    struct http_calls *calls; /* NULL before the first question, and when it is closed */
    bool is_closed;
};

/* The same for one request: what is asked carries its trace (`traceparent`). */
struct filter_outside_traced {
    struct chain_outside face; /* first */
    struct filter_outside *to;
    char header[TRACE_PARENT_LEN + 16]; /* "traceparent: ..." */
};

/* to: borrowed. parent: as trace_context_format makes it, or "" for none. */
void filter_outside_trace(struct filter_outside_traced *t, struct filter_outside *to,
                          const char *parent);

void filter_outside_init(struct filter_outside *o, uv_loop_t *loop);

/* Questions that are left get no answer, further ones are refused. The loop must run until its
 * handles are closed. */
void filter_outside_close(struct filter_outside *o);
