/* upgrade_admin.h: GET and POST /admin/upgrade: which process serves, and another one in its
 * place. */
#pragma once

#include "runtime/serve/server.h"

void upgrade_admin_answer(struct server *s, struct http_exchange *ex, enum route_id route);
