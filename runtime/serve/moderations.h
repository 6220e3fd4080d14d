/* moderations.h: POST /v1/moderations: what the published filters say about a text.
 *
 * All filters of both sides read it as content. If none of them is a classifier, the one that
 * comes with Weir gives scores at its own thresholds besides. It runs on the loop: the work of
 * filters is linear in a text, and texts are bounded (moderation_request.h). It waits for
 * filters that ask a service outside. Threads: the loop only. */
#pragma once

#include "runtime/serve/server.h"

void moderations_begin(struct server *s, struct http_exchange *http);

/* The client is gone. */
void moderations_abort(struct http_exchange *http);
