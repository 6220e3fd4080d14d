/* filter_findings.h: what the filters found in a text, as the answers of moderations tell it.
 */
#pragma once

#include "filters/chain.h"
#include "runtime/api/moderation_reply.h"

/* Whether a filter of the chain gives scores to what `content` carries. */
bool filter_findings_has_classifier(const struct chain *chain);

/* Adds what the filters of the chain look for, not flagged: of a classifier its categories, of
 * others the name. 0, or -1 when out of memory; so the next. */
int filter_findings_begin(struct moderation_result *result, const struct chain *chain);

/* Flags the code of each event of the stream so far and, but for a classifier, the name of the
 * filter; takes over scores. What is only recorded flags nothing: it is what a filter would
 * have found, were it in force. */
int filter_findings_take(struct moderation_result *result, const struct chain_stream *stream);

/* Adds where filters have changed the content that the stream let out, or ended it. `choice`
 * says which of a request's answers it is. */
int filter_findings_take_spans(struct moderation_result *result, size_t choice,
                               const struct chain_stream *stream);
