/* query_field.h: values in the query of a request's target (RFC 3986 3.4). */
#pragma once

#include <stddef.h>

#include "runtime/base/err.h"

/* The value of NAME in "a=1&b=2", decoded; "" where it is not there. -1 with `param` NAME: it
 * has size bytes or more, or cannot be decoded. */
int query_field_text(const char *query, const char *name, char *out, size_t size,
                     struct err *e);

/* A whole number from min to max; *out stays where it is not there. */
int query_field_number(const char *query, const char *name, unsigned long long min,
                       unsigned long long max, unsigned long long *out, struct err *e);
