/* pii.h: the filter type "pii": finds personal data by rules, and what to do with it. */
#pragma once

#include "filters/filter.h"

extern const struct filter_type filter_pii;
