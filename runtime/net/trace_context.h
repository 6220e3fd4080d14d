/* trace_context.h: the header field `traceparent` of W3C Trace Context
 * (https://www.w3.org/TR/trace-context/): which trace a request belongs to, and which span
 * called.
 *
 * Threads: any but trace_context_begin, which has one state for each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TRACE_ID_LEN     32 /* hex digits, in lower case */
#define TRACE_SPAN_LEN   16
#define TRACE_PARENT_LEN 55 /* 00-TRACE-SPAN-FLAGS */

struct trace_context {
    char trace[TRACE_ID_LEN + 1];
    char span[TRACE_SPAN_LEN + 1];
    bool is_sampled; /* the flag: whoever calls records this trace */
};

/* Reads a field's value; false when it is none, and all there is to do is to begin a trace. A
 * version that is not known yet is read as far as this one goes, as the standard asks. */
bool trace_context_parse(const char *value, struct trace_context *out);

/* A trace of its own. */
void trace_context_begin(struct trace_context *out);

/* A new span within the same trace. */
void trace_context_span(char span[TRACE_SPAN_LEN + 1]);

/* "00-TRACE-SPAN-01" */
void trace_context_format(const struct trace_context *c, char out[TRACE_PARENT_LEN + 1]);

/* A number that is spread evenly over [0, 1) and the same for everybody who sees the trace: who
 * records the share r of all traces takes those below r. */
double trace_context_share(const struct trace_context *c);
