/* drift_admin.h: the admin's routes on drift: GET /admin/drift, GET /admin/drift/alerts, POST
 * /admin/drift/baseline.
 *
 * Threads: the loop. */
#pragma once

#include <stdbool.h>

#include "runtime/api/routes.h"
#include "runtime/net/http_server.h"

struct server;

bool drift_admin_has(enum route_id route);
void drift_admin_begin(struct server *s, struct http_exchange *http, enum route_id route);

/* The client is gone. */
void drift_admin_abort(struct http_exchange *http);
