/* sticky.h: what decides which share of a trial a request belongs to: who asks, or, where
 * nobody is known by a key, which conversation it is.
 *
 * Threads: the loop. */
#pragma once

#include <stdint.h>

#include "runtime/api/answer_request.h"
#include "runtime/serve/server.h"

/* The same for all requests of an API key, else for all that begin with the same words of the
 * user. 0: a request without either. */
uint64_t sticky_of(const struct server *s, struct http_exchange *http,
                   const struct answer_request *request);
