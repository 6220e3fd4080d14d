/* model_admin_traffic.h: the routes that share requests among the versions of a model: split,
 * shadow and labels.
 *
 * Threads: the loop's. */
#pragma once

#include <stdbool.h>

#include "runtime/api/routes.h"
#include "runtime/serve/model_set.h"

bool model_admin_traffic_has(enum route_id route);

/* Answers one of them: when it is in force, which may take the load of a version. */
void model_admin_traffic_answer(struct model_set *set, struct http_exchange *ex,
                                enum route_id route);
