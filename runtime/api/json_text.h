/* json_text.h: small helpers over cJSON for what every answer needs. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>

#include "runtime/base/buf.h"

/* Appends valid UTF-8 as a JSON string, with its quotes. For long texts and lists, of which no
 * tree is built. 0, or -1 as buf.h. */
int json_append_string(struct buf *out, const char *text, size_t len);

void json_add_string_or_null(cJSON *object, const char *name, const char *value);

/* Prints and releases the tree. The text is the caller's (mem_free), NUL-terminated. NULL when
 * out of memory; also when root is NULL, so that a run of cJSON_Create/Add calls needs no
 * checks between. */
char *json_text_take(cJSON *root, size_t *len);
