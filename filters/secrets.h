/* secrets.h: the filter type "secrets": finds keys and tokens by their prefixes and forms. */
#pragma once

#include "filters/filter.h"

extern const struct filter_type filter_secrets;
