/* live_settings.h: settings that change while requests run.
 *
 * Threads: the loop. */
#pragma once

#include "runtime/serve/server.h"

/* Takes over what can change at once, for requests that begin from now on, and what counts with
 * the next version of a model that is loaded, and warns as the start does. `fresh` gives away
 * its CORS origins; its strings are borrowed until the server ends, since requests and loads
 * may hold them. */
void live_settings_apply(struct server *s, struct server_settings *fresh);
