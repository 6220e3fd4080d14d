/* json_rules.h: the rules of JSON itself (RFC 8259) that translated schemas refer to:
 * PREFIX-v a value, -o an object, -a an array, -s a string, -c a character of one, -n a number,
 * -i a whole number. */
#pragma once

#include "runtime/base/buf.h"

/* Whitespace: at most one space, where a person would put it. */
#define JSON_RULES_COMMA "\",\" \" \"?"
#define JSON_RULES_SPACE "\" \"?"

int json_rules_write(const char *prefix, struct buf *rules);
