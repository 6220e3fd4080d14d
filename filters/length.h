/* length.h: the filter type "length", which ends or cuts a text that grows too long.
 *
 * It holds nothing: a text of exactly the limit passes whole, and the first character beyond
 * it is the first that does not leave. */
#pragma once

#include "filters/filter.h"

extern const struct filter_type filter_length;
