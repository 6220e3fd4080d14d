/* reload.h: a changed model file becomes the next generation while the old one serves.
 *
 * Hashing, loading, checking and warming happen on a worker thread; then one pointer is swapped
 * on the loop. If anything fails, the old generation goes on and the reason is logged and, when
 * an admin asked, answered.
 *
 * Threads: the loop only. */
#pragma once

#include <stdbool.h>

#include "runtime/serve/server.h"

/* Begins a reload of the model file that the server was started with. `ex` (may be NULL) is
 * answered when it is over: 200 with "published" or "unchanged", or 422 with what is wrong with
 * the file. A second reload while one runs is refused with 409. force: also publish a file that
 * has not changed. */
void reload_begin(struct server *s, struct http_exchange *ex, bool force);

/* The admin's client is gone; the reload itself goes on. */
void reload_abandon(struct server *s, struct http_exchange *ex);
