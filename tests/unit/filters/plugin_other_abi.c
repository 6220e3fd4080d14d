/* A shared object that is refused: it follows an ABI of the future. */
#include "filters/filter.h"

static int pass_all(void *state, const struct filter_span *span, struct filter_host *host)
{
    (void)state;
    return host->pass(host, span->start + span->len);
}

FILTER_PLUGIN = {.abi = FILTER_ABI + 1,
                 .size = sizeof(struct filter_type),
                 .name = "other_abi",
                 .sides = FILTER_OUTPUT,
                 .feed = pass_all};
