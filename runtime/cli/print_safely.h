/* print_safely.h: texts that others made, a model or a server, on a terminal. Command-internal.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

/* Control characters, which could move the cursor, clear the screen or do worse, become '?';
 * line breaks and tabs stay. */
void print_safely(FILE *out, const char *text, size_t len);
