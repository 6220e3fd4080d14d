/* registry.h: the filter types that Weir brings along. Adding one touches its file, the list
 * in registry.c and its test. */
#pragma once

#include "filters/filter.h"

/* NULL-terminated. */
extern const struct filter_type *const filter_registry_builtin[];

/* NULL when the list has no such type. */
const struct filter_type *filter_registry_find(const struct filter_type *const *types,
                                               const char *name);
