/* A shared object that is refused: one of its keys is named as one of the chain. */
#include "filters/filter.h"

static int pass_all(void *state, const struct filter_span *span, struct filter_host *host)
{
    (void)state;
    return host->pass(host, span->start + span->len);
}

static const struct filter_key keys[] = {{.name = "path", .kind = FILTER_KEY_STRING},
                                         {.name = NULL}};

FILTER_PLUGIN = {.abi = FILTER_ABI,
                 .size = sizeof(struct filter_type),
                 .name = "bad_key",
                 .sides = FILTER_OUTPUT,
                 .keys = keys,
                 .feed = pass_all};
