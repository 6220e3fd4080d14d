/* gate.h: what each request passes before a route is chosen, and what each answer gets on its
 * way out: keys and limits (access.h), origins (cors.h), OPTIONS, fields that all answers
 * carry.
 *
 * Threads: the loop. */
#pragma once

#include "runtime/api/routes.h"
#include "runtime/base/buf.h"
#include "runtime/net/http_server.h"
#include "runtime/serve/server.h"

/* False when it was answered here: refused, or an OPTIONS request. `allow` as of route_find. */
bool gate_pass(struct server *s, struct http_exchange *ex, const struct route *route,
               const char *allow);

/* on_response and on_end of http_server.h. */
void gate_add_fields(const struct server *s, const struct http_exchange *ex, struct buf *head);
void gate_leave(struct http_exchange *ex);
