/* version_reply.h: things that have versions, these and their changes as JSON, for admin
 * routes.
 *
 * Trees are the caller's (cJSON_Delete). */
#pragma once

#include <cjson/cJSON.h>

#include "runtime/registry/version_store.h"

cJSON *version_state_json(const struct version_state *s);
/* What all kinds have in common. */
cJSON *version_info_json(const struct version_info *v);
cJSON *version_audit_json(const struct version_audit *a);
