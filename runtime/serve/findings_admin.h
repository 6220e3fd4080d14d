/* findings_admin.h: GET /admin/findings: what filters found, newest first.
 *
 *   ?chain=NAME[@VERSION] &code= &verdict= &side= &request= &before=ID &limit=N &texts=true
 *
 * It waits until what was found before it came is stored, and reads on a worker. Threads: the
 * loop. */
#pragma once

#include "runtime/net/http_server.h"
#include "runtime/serve/server.h"

void findings_admin_begin(struct server *s, struct http_exchange *http);

/* The client is gone. */
void findings_admin_abort(struct http_exchange *http);
