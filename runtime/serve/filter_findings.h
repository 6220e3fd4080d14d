/* filter_findings.h: what the filters found in a text, as the answers of moderations tell it.
 */
#pragma once

#include "filters/chain.h"
#include "runtime/api/moderation_reply.h"

/* Adds a category for each filter of the chain by its name, not flagged. 0, or -1 when out of
 * memory; so the next. */
int filter_findings_begin(struct moderation_result *result, const struct chain *chain);

/* Flags the name of the filter and the code of each event of the stream so far. What is only
 * recorded flags nothing: it is what a filter would have found, were it in force. */
int filter_findings_take(struct moderation_result *result, const struct chain_stream *stream);
