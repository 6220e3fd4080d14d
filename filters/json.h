/* json.h: the filter type "json": hides values of JSON documents by their names, so that the
 * documents stay JSON and values stay of the type that they were.
 *
 * It holds nothing, unless it puts words into quotation marks: then a number or word waits for
 * its end. */
#pragma once

#include "filters/filter.h"

extern const struct filter_type filter_json;
