/* model_admin.h: the routes that show and change which version of a model serves.
 *
 * Threads: the loop's. */
#pragma once

#include "runtime/api/routes.h"
#include "runtime/serve/server.h"

/* GET /v1/models and, of the model that is named there, GET /v1/models/{id}. */
void model_admin_list_served(struct server *s, struct http_exchange *ex);
void model_admin_get_served(struct server *s, struct http_exchange *ex);

/* GET /v1/models/{id}/card: what its owner has to say about a version that is loaded. */
void model_admin_get_card(struct server *s, struct http_exchange *ex);

/* The routes under /admin/models. */
void model_admin_answer(struct server *s, struct http_exchange *ex, enum route_id route);

/* The admin's client is gone. */
void model_admin_abort(struct server *s, struct http_exchange *ex);
