/* regex.h: the filter type "regex": patterns of PCRE2, and what to do where one matches. */
#pragma once

#include "filters/filter.h"

extern const struct filter_type filter_regex;
