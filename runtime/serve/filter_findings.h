/* filter_findings.h: what the filters found in a text, as the answers of moderations tell it.
 */
#pragma once

#include "filters/chain.h"
#include "runtime/api/moderation_reply.h"

/* Adds what the filters of the chain look for, not flagged: of a classifier its categories, of
 * others the type. 0, or -1 when out of memory; so the next. */
bool filter_findings_has_classifier(const struct chain *chain);
int filter_findings_begin(struct moderation_result *result, const struct chain *chain);

/* Flags the code of each event of the stream so far and, but for a classifier, the type; takes
 * over scores. */
int filter_findings_take(struct moderation_result *result, const struct chain_stream *stream);
