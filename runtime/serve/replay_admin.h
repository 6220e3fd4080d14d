/* replay_admin.h: POST /admin/filters/replay: what a chain would do otherwise than the
 * published one, or than another, on given texts or on those that are kept.
 *
 *   {"chain": {...}, "against": {...}, "texts": [...]} or {..., "stored": N}
 *
 * The work is done on a worker, one replay at a time, and ends when the client leaves or after
 * REPLAY_SECONDS_MAX. Threads: the loop. */
#pragma once

#include "runtime/net/http_server.h"
#include "runtime/serve/server.h"

#define REPLAY_SECONDS_MAX 120
#define REPLAY_TEXTS_MAX   10000
#define REPLAY_BYTES_MAX   ((size_t)64 << 20) /* of stored texts together */

void replay_admin_begin(struct server *s, struct http_exchange *http);

/* The client is gone: the replay ends soon. */
void replay_admin_abort(struct http_exchange *http);
