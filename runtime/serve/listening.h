/* listening.h: the sockets that the server is asked at, by its settings and by what the process
 * was given (passed_sockets.h).
 *
 * Threads: the loop's. */
#pragma once

#include "runtime/serve/server.h"

/* Reads the certificate and listens on all addresses. What was passed and is not one of them is
 * closed, and logged. */
int listening_begin(struct server *s, struct err *e);

/* "listening on http://HOST:PORT" (https, unix:PATH) on standard output, for each. */
void listening_announce(const struct server *s);
