/* sse.h: server-sent events (WHATWG HTML, "Server-sent events") into a buffer.
 *
 * One call appends one whole event. Text with line ends is cut into one `data:` line for each,
 * as the format asks; a CR alone and CR LF count as line ends too, and a reader sees LF for all
 * three. Readers want UTF-8.
 *
 * Errors: as buf.h, 0 or -1, with b->failed remembered.
 */
#pragma once

#include <stddef.h>

#include "runtime/base/buf.h"

/* "data: TEXT\n\n", preceded by "event: NAME\n" unless event is NULL. event is one line. */
int sse_append_event(struct buf *b, const char *event, const char *data, size_t len);

/* ": TEXT\n\n": readers ignore it; it keeps proxies and clients from timing out. text is one
 * line. */
int sse_append_comment(struct buf *b, const char *text);
