/* A shared object that is refused: its type has another name. */
#include "filters/filter.h"

extern const struct filter_type some_filter;
__attribute__((visibility("default"))) const struct filter_type some_filter = {
    .abi = FILTER_ABI,
};
