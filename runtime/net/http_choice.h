/* http_choice.h: which form of a thing a client takes, and whether it has it already (RFC 9110,
 * 12.5.3 and 13.1.2). */
#pragma once

#include <stdbool.h>

#include "runtime/net/http_request.h"

/* How much the client wants the content coding ("gzip", "br", "identity"), in thousandths by
 * Accept-Encoding. 0: it must not get it. Without the field only "identity" is wanted, although
 * RFC 9110 would allow all: clients that name none mostly know none. What is wrong in the field
 * is passed over. */
int http_coding_wanted(const struct http_request *request, const char *coding);

/* True if If-None-Match names the entity tag ("abc", without quotes and W/), or is "*". */
bool http_has_etag(const struct http_request *request, const char *etag);
