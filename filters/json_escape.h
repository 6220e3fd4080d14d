/* json_escape.h: escapes in the strings of a JSON text (RFC 8259, section 7), one at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_ESCAPE_MAX 12u /* bytes: two halves of a surrogate pair */

enum json_escape_found {
    JSON_ESCAPE_NONE,    /* the backslash is nothing but itself */
    JSON_ESCAPE_PARTIAL, /* more text decides; fewer than JSON_ESCAPE_MAX bytes are undecided */
    JSON_ESCAPE_FOUND,
};

/* What begins with the backslash at text[0], of len >= 1 bytes. has_ended: no more text will
 * come. Half a surrogate pair and NUL, which no text may hold, are U+FFFD. */
enum json_escape_found json_escape_read(const char *text, size_t len, bool has_ended,
                                        uint32_t *code_point, size_t *escape_len);
