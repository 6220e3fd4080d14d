/* unique_id.h: names for requests, answers and calls that nobody can guess or meet twice. */
#pragma once

#include <stddef.h>

/* The prefix and 24 hex digits of random bits from the kernel, cut to size - 1 bytes. */
void unique_id(char *out, size_t size, const char *prefix);
