/* admin_request.h: bodies of the admin routes, checked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"

/* POST /admin/models/reload: nothing, or {"force": true}. */
int admin_reload_request(const char *body, size_t len, bool *force, struct err *e);

/* POST /admin/models/{name}/load and /unload: nothing (version ""), or {"version": "3"}. */
int admin_version_request(const char *body, size_t len, char *version, size_t size,
                          struct err *e);

/* POST /admin/models/{name}/activate: {"version": "3"}, a version's name or a label. */
int admin_activate_request(const char *body, size_t len, char *version, size_t size,
                           struct err *e);
