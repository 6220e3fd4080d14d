/* call_arguments.h: a call's arguments on their way through the filters.
 *
 * Filters read text, not JSON. So the value of each string, and each member's name, is decoded
 * and goes through the chain as a text of its own on the channel of tool arguments; what comes
 * out is written as JSON again. Everything between the strings passes as it is. The result is
 * JSON whatever a filter replaces. Escapes of what no text may hold, NUL and half a surrogate
 * pair, are JSON all the same and become U+FFFD.
 *
 * Threads: the loop only. */
#pragma once

#include <stdbool.h>

#include "filters/chain.h"
#include "models/output/json_scan.h"

/* All-zero awaits the first byte of a call's arguments. */
struct call_arguments {
    struct json_scan scan;
    struct json_chars chars; /* of the string that is open */
    bool in_string;
};

/* The next piece, whole characters of valid JSON. Text of strings goes through the stream,
 * whose sink must write it with call_arguments_escape; everything else goes around the filters
 * with the tag CALL_ARGUMENTS_JSON. What the chain returned: CHAIN_GOES_ON, CHAIN_STOPPED or
 * -1. */
int call_arguments_feed(struct call_arguments *c, const char *text, size_t len,
                        struct chain_stream *filters, const struct chain_sink *sink,
                        struct err *e);

#define CALL_ARGUMENTS_JSON 0u

/* Appends the inside of a JSON string (RFC 8259, section 7). 0 or -1. */
int call_arguments_escape(struct buf *out, const char *text, size_t len);
