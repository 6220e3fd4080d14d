/* prompt_reply.h: prompts, their versions and changes as JSON, for admin routes.
 *
 * Trees are the caller's (cJSON_Delete). */
#pragma once

#include <cjson/cJSON.h>

#include "runtime/registry/prompt_store.h"

cJSON *prompt_profile_json(const struct prompt_profile *p);
cJSON *prompt_version_json(const struct prompt_version_info *v);
cJSON *prompt_audit_json(const struct prompt_audit *a);
