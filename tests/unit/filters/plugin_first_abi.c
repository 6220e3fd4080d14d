/* A filter as it was built against the first header of ABI 1: its type ends before `answered`.
 */
#include "filters/filter.h"

static int pass_all(void *state, const struct filter_span *span, struct filter_host *host)
{
    (void)state;
    return host->pass(host, span->start + span->len);
}

struct first_filter_type {
    uint32_t abi;
    uint32_t size;
    const char *name;
    const char *summary;
    uint32_t sides;
    uint32_t flags;
    const struct filter_key *keys;
    int (*configure)(void **config, const struct filter_value *values,
                     struct filter_error *error);
    void (*release)(void *config);
    int (*open)(void **state, const void *config, const struct filter_text *text);
    int (*feed)(void *state, const struct filter_span *span, struct filter_host *host);
    int (*finish)(void *state, const struct filter_span *span, struct filter_host *host);
    void (*close)(void *state);
};

extern const struct first_filter_type weir_filter;
__attribute__((visibility("default"))) const struct first_filter_type weir_filter = {
    .abi = 1,
    .size = sizeof(struct first_filter_type),
    .name = "first",
    .summary = "passes all",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .feed = pass_all,
};
