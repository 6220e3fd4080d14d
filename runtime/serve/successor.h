/* successor.h: the program is replaced while it serves: the new process's part (upgrade.h has
 * the old one's, handover.h what they say).
 *
 * Threads: the loop's. */
#pragma once

#include "runtime/serve/server.h"

/* Everything is loaded: takes over from the process that started this one, then opens the
 * server (server_open). On failure the server is closed (server_fail). */
int successor_begin(struct server *s, struct err *e);

/* Lets go of the loop. */
void successor_stop(struct server *s);
