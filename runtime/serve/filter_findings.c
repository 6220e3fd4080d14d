#include "runtime/serve/filter_findings.h"

#include <stdio.h>
#include <string.h>

#include "filters/classifier.h"
#include "filters/guard_model.h"

static bool is_classifier(const char *type)
{
    return strcmp(type, filter_classifier.name) == 0;
}

bool filter_findings_has_classifier(const struct chain *chain)
{
    for (size_t i = 0; i < chain_filter_count(chain); i++) {
        if (is_classifier(chain_filter_type(chain, i)->name) &&
            chain_filter_has_channel(chain, i, FILTER_CONTENT)) {
            return true;
        }
    }
    return false;
}

static int add_categories(struct moderation_result *result)
{
    for (size_t i = 0; i < GUARD_CATEGORIES; i++) {
        if (moderation_result_weigh(result, guard_category_names[i], 0) != 0) {
            return -1;
        }
    }
    return 0;
}

int filter_findings_begin(struct moderation_result *result, const struct chain *chain)
{
    for (size_t i = 0; i < chain_filter_count(chain); i++) {
        const char *type = chain_filter_type(chain, i)->name;
        int rc = is_classifier(type)
                     ? add_categories(result)
                     : moderation_result_set(result, chain_filter_name(chain, i), false);
        if (rc != 0) {
            return -1;
        }
    }
    return 0;
}

static int take_scores(struct moderation_result *result, const struct chain_stream *stream)
{
    const struct chain *chain = chain_stream_chain(stream);
    for (size_t i = 0; i < chain_filter_count(chain); i++) {
        size_t count;
        const struct chain_score *scores = chain_stream_scores(stream, i, &count);
        for (size_t k = 0; k < count; k++) {
            if (moderation_result_weigh(result, scores[k].category, scores[k].score) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

int filter_findings_take(struct moderation_result *result, const struct chain_stream *stream)
{
    size_t count;
    const struct chain_event *events = chain_stream_events(stream, &count, NULL);
    for (size_t i = 0; i < count; i++) {
        if (events[i].is_recorded) {
            continue;
        }
        if ((!is_classifier(events[i].type) &&
             moderation_result_set(result, events[i].name, true) != 0) ||
            moderation_result_set(result, events[i].code, true) != 0) {
            return -1;
        }
    }
    return take_scores(result, stream);
}

int filter_findings_take_spans(struct moderation_result *result, size_t choice,
                               const struct chain_stream *stream)
{
    const struct chain_event *stop = chain_stream_stop(stream);
    size_t count;
    const struct chain_event *events = chain_stream_events(stream, &count, NULL);
    for (size_t i = 0; i < count; i++) {
        const struct chain_event *event = &events[i];
        bool is_stop = stop && i + 1 == count; /* nothing comes behind it */
        if (event->is_recorded || event->channel != FILTER_CONTENT ||
            (event->kind != CHAIN_REPLACE && !is_stop)) {
            continue;
        }
        struct moderation_span span = {.choice = choice,
                                       .at = event->at,
                                       .bytes = event->put,
                                       .verdict = is_stop ? "stop" : "replace"};
        snprintf(span.name, sizeof(span.name), "%s", event->name);
        snprintf(span.code, sizeof(span.code), "%s", event->code);
        if (moderation_result_add_span(result, &span) != 0) {
            return -1;
        }
    }
    return 0;
}
