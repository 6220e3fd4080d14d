/* Another filter in a shared object, to stand beside plugin_example in one chain: passes
 * everything and puts "!" behind each "a". */
#include "filters/filter.h"

static int loud_feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    (void)state;
    uint64_t end = span->start + span->len;
    if (span->text[span->fresh] != 'a') {
        return host->pass(host, end);
    }
    struct filter_reason why = {
        .size = sizeof(why), .code = "loud", .from = span->start, .to = end};
    return host->replace(host, end, "a!", 2, &why);
}

FILTER_PLUGIN = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "loud",
    .summary = "puts a mark behind each a",
    .sides = FILTER_OUTPUT,
    .feed = loud_feed,
};
