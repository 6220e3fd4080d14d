/* json_text.h: small helpers over cJSON for what every answer needs. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>

#include "runtime/base/json.h"

void json_add_string_or_null(cJSON *object, const char *name, const char *value);

/* Prints and releases the tree. The text is the caller's (mem_free), NUL-terminated. NULL when
 * out of memory; also when root is NULL, so that a run of cJSON_Create/Add calls needs no
 * checks between. */
char *json_text_take(cJSON *root, size_t *len);
