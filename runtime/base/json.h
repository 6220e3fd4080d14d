/* json.h: strict JSON in, over cJSON; strings out.
 *
 * cJSON alone takes more than RFC 8259 allows (invalid UTF-8, bytes after the document, odd
 * numbers). Everything that arrives from outside goes through json_parse, which checks grammar,
 * UTF-8, lone surrogates, depth and size first. Values are then read with cJSON's own
 * accessors.
 *
 * Ownership: the tree is the caller's, released with cJSON_Delete. Threads: any.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

#define JSON_MAX_DEPTH 64

/* `text` need not be NUL-terminated. Errors name the line, the column and what was expected. */
cJSON *json_parse(const char *text, size_t len, struct err *e);

/* Reads and parses a file of at most max bytes; errors begin with the path. */
cJSON *json_parse_file(const char *path, size_t max, struct err *e);

/* Appends valid UTF-8 as a JSON string, with its quotes. For long texts and lists, of which no
 * tree is built. 0, or -1 as buf.h. */
int json_append_string(struct buf *out, const char *text, size_t len);
