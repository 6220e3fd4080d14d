/* example_filter.h: the filter that docs/filters.md explains; it is tested so that the page
 * stays true. */
#pragma once

#include "filters/filter.h"

extern const struct filter_type filter_digits;
