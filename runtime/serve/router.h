/* router.h: from a request's path to the code that answers it.
 *
 * Who may call is checked as soon as the head is read, before a body is accepted. Threads: the
 * loop. */
#pragma once

#include "runtime/serve/server.h"

/* The server's HTTP callbacks; their ctx is a struct server. */
extern const struct http_handler router_handler;

/* The request goes its way from the beginning again: nothing of it is left from before. */
void router_dispatch(struct server *s, struct http_exchange *ex);
