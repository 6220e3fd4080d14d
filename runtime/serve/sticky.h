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

/* The same without a look at the key: which conversation or text it is. */
uint64_t sticky_of_conversation(const struct answer_request *request);

/* Of a text alone: as of a request that is to go on with it. */
uint64_t sticky_of_text(const char *text, size_t len);
