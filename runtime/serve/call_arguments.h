/* call_arguments.h: a call's arguments on their way through the filters.
 *
 * Filters read text, not JSON. So the value of each string, and each member's name, is decoded
 * and goes through the chain as a text of its own on the channel of tool arguments; what comes
 * out is written as JSON again. Everything between the strings passes as it is. The result is
 * JSON whatever a filter replaces. A number is a text of its own too; what a filter makes
 * another text of becomes a string. Escapes of what no text may hold, NUL and half a surrogate
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
    bool in_number;
};

/* What goes around the filters (chain_around). */
enum call_arguments_tag {
    CALL_ARGUMENTS_JSON,        /* what is between strings and numbers */
    CALL_ARGUMENTS_NUMBER_PART, /* a number as it was written, before what comes of it */
    CALL_ARGUMENTS_NUMBER_END,
    CALL_ARGUMENTS_TAGS
};

/* The next piece, whole characters of valid JSON. Strings and numbers go through the stream,
 * whose sink hands what comes out to the functions below. What the chain returned:
 * CHAIN_GOES_ON, CHAIN_STOPPED or -1. */
int call_arguments_feed(struct call_arguments *c, const char *text, size_t len,
                        struct chain_stream *filters, const struct chain_sink *sink,
                        struct err *e);

/* Writes what comes out as JSON again. */
struct call_arguments_writer {
    bool in_number;
    struct buf number; /* as it was written, and as the filters release it */
    struct buf filtered;
};

void call_arguments_writer_init(struct call_arguments_writer *w);
void call_arguments_writer_deinit(struct call_arguments_writer *w);

/* For emit and around of the sink: each appends to `out`, and returns 0 or -1. */
int call_arguments_emit(struct call_arguments_writer *w, struct buf *out, const char *text,
                        size_t len);
int call_arguments_around(struct call_arguments_writer *w, struct buf *out, uint64_t tag,
                          const char *bytes, size_t len);
