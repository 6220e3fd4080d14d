/* http_transcript.h: what parsing some input leads to, in words, to compare ways of cutting it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/net/http_server.h"

/* How input is cut into calls. */
enum http_cut { HTTP_CUT_NOT, HTTP_CUT_BYTES, HTTP_CUT_RANDOM };

/* The defaults with bodies of at most 256 KiB. */
struct http_server_settings http_transcript_settings(void);

/* Parses `wire` as all that comes on one connection. Appends each request, then "more",
 * "closed" or "refused STATUS CODE". Aborts when the parser breaks its contract. */
void http_transcript(struct buf *out, const char *wire, size_t len, enum http_cut cut,
                     uint64_t seed);
