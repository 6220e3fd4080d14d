/* feedback_reply.h: feedback as JSON, for its admin routes, and as examples to learn from. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/buf.h"
#include "runtime/registry/feedback_store.h"

/* POST /v1/feedback. The caller's (mem_free); NULL: no memory. */
char *feedback_reply_text(const struct feedback *f, size_t *len);

/* One as an object of GET /admin/feedback. 0, or -1 as buf.h. */
int feedback_reply_append(struct buf *out, const struct feedback *f);

/* Whether it is a pair, or with a thumb alone an answer with a label; both need the texts. */
enum feedback_example { FEEDBACK_NO_EXAMPLE, FEEDBACK_PAIR, FEEDBACK_LABEL };
enum feedback_example feedback_example_of(const struct feedback *f);

/* Appends an object:
 *     {"messages": [...], "chosen": "...", "rejected": "..."}
 *     {"messages": [...], "answer": "...", "label": false}
 * "prompt": "..." stands in place of "messages" where a text was gone on with. Nothing where it
 * is no example. 0, or -1 as buf.h. */
int feedback_example_append(struct buf *out, const struct feedback *f);
