#include "runtime/serve/filter_findings.h"

int filter_findings_begin(struct moderation_result *result, const struct chain *chain)
{
    for (size_t i = 0; i < chain_filter_count(chain); i++) {
        if (moderation_result_set(result, chain_filter_name(chain, i), false) != 0) {
            return -1;
        }
    }
    return 0;
}

int filter_findings_take(struct moderation_result *result, const struct chain_stream *stream)
{
    size_t count;
    const struct chain_event *events = chain_stream_events(stream, &count, NULL);
    for (size_t i = 0; i < count; i++) {
        if (!events[i].is_recorded &&
            (moderation_result_set(result, events[i].name, true) != 0 ||
             moderation_result_set(result, events[i].code, true) != 0)) {
            return -1;
        }
    }
    return 0;
}
