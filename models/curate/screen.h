/* screen.h: documents through a filter chain (filters/chain.h).
 *
 * Each part of a document, a message or a whole text, goes through the chain as a text of its
 * own: what the assistant says, and texts, through its output side; what others say through its
 * input side; or everything through the output side. A filter that stops drops the document;
 * one that replaces redacts it; notes are counted by nobody. Filters that ask services outside
 * are left out, as texts are not to leave.
 *
 * Threads: a chain is shared by all; a call belongs to one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "filters/chain.h"
#include "models/curate/source.h"
#include "runtime/base/err.h"

/* The chain that --filters default means: secrets and personal data are replaced everywhere;
 * what the assistant says, and texts, are dropped where weir-guard is sure that they are
 * harmful: its own thresholds are for texts that somebody looks at. A
 * harmful question with an answer that is not, stays: it may be the refusal to learn. */
extern const char screen_default_chain[];

enum screen_verdict { SCREEN_KEPT, SCREEN_REDACTED, SCREEN_DROPPED };

struct screen_result {
    enum screen_verdict verdict;
    /* Of one that was dropped or redacted, which filter was first and why: "pii: email". */
    char reason[2 * CHAIN_MAX_NAME + FILTER_MAX_CODE + 4];
};

/* What is left of each segment is appended to texts[i]; not of all where it is dropped. */
int screen_document(struct chain *chain, bool all_output, const struct document *d,
                    struct buf *texts, struct screen_result *result, struct err *e);
