/* sticky.h: what decides which share of a trial a request belongs to: who asks, or, where
 * nobody is known by a key, which conversation or text it is.
 *
 * Threads: the loop. */
#pragma once

#include <stdint.h>

#include "runtime/api/answer_request.h"
#include "runtime/serve/server.h"

/* The same for all requests of an API key, else for all that begin with the same words of the
 * user, or are to go on with the same (first) text. 0: a request without any of these. */
uint64_t sticky_of(const struct server *s, struct http_exchange *http,
                   const struct answer_request *request);

/* Of a request that has only a text: the same as of one that is to go on with it. */
uint64_t sticky_of_text(const struct server *s, struct http_exchange *http, const char *text,
                        size_t len);
