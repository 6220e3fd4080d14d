/* A shared object that is refused: its type has nothing that reads text. */
#include "filters/filter.h"

FILTER_PLUGIN = {.abi = FILTER_ABI,
                 .size = sizeof(struct filter_type),
                 .name = "no_feed",
                 .sides = FILTER_OUTPUT};
