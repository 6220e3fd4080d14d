/* model_admin_canary.h: the routes of a model's canary: what it shows, its beginning and its
 * end.
 *
 * Threads: the loop's. */
#pragma once

#include "runtime/api/routes.h"
#include "runtime/serve/model_set.h"

/* Whether the route is one of those. */
bool model_admin_canary_has(enum route_id route);

void model_admin_canary_answer(struct model_set *set, struct http_exchange *ex,
                               enum route_id route);
