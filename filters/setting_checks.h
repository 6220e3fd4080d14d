/* setting_checks.h: what configure callbacks of built-in filters say about their settings.
 *
 * Threads: none. Ownership: everything is borrowed. */
#pragma once

#include "filters/filter.h"

/* Fills the error and returns -1. `key` is "" for the filter as a whole. */
int setting_refuse(struct filter_error *error, const char *key, const char *message);

/* Reads a whole number from `min` to `max`; both are exact as double. 0, or -1 with an error
 * that names the key and the range. */
int setting_whole(const struct filter_value *value, const char *key, uint32_t min, uint32_t max,
                  uint32_t *number, struct filter_error *error);
