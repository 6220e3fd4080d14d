/* json.h: strict JSON in, over cJSON; strings out.
 *
 * cJSON alone takes more than RFC 8259 allows (invalid UTF-8, bytes after the document, odd
 * numbers). Everything that arrives from outside goes through json_parse, which checks grammar,
 * UTF-8, lone surrogates, depth and number of values first. Values are then read with cJSON's
 * own accessors.
 *
 * Ownership: the tree is the caller's, released with cJSON_Delete. Threads: any.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

#define JSON_MAX_DEPTH 64

/* A tree takes some 64 bytes for a value of two bytes of text, and members are looked up one
 * after the other, so json_parse bounds both: all values of a text together, arrays and objects
 * included, and the members of one object. An embeddings request of 300000 tokens fits. */
#define JSON_VALUES_MAX  400000
#define JSON_MEMBERS_MAX 20000

/* `text` need not be NUL-terminated. Errors name the line, the column and what was expected.
 * ERR_LIMIT: too many values or members; found before any memory is taken. */
cJSON *json_parse(const char *text, size_t len, struct err *e);

/* The same for the body of a request, which must be an object. */
cJSON *json_parse_object(const char *body, size_t len, struct err *e);

/* The same without the bounds on values and members: for files of the owner. */
cJSON *json_parse_large(const char *text, size_t len, struct err *e);

/* Reads and parses a file of at most max bytes, as json_parse_large; errors begin with the
 * path. */
cJSON *json_parse_file(const char *path, size_t max, struct err *e);

/* The same as file_read_regular reads. */
cJSON *json_parse_regular(const char *path, size_t max, struct err *e);

/* Appends valid UTF-8 as the inside of a JSON string (RFC 8259, section 7); at most so many
 * bytes for `len`. 0, or -1 as buf.h. */
#define JSON_ESCAPED_MAX(len) (6 * (size_t)(len))
int json_append_escaped(struct buf *out, const char *text, size_t len);

/* Appends valid UTF-8 as a JSON string, with its quotes. For long texts and lists, of which no
 * tree is built. 0, or -1 as buf.h. */
int json_append_string(struct buf *out, const char *text, size_t len);
