/* filter_text.h: one text of a request through the input side of the filter chain. */
#pragma once

#include <stddef.h>

#include "filters/chain.h"
#include "runtime/api/moderation_reply.h"
#include "runtime/serve/filter_record.h"

/* What the filters made of it, the caller's (mem_free), NUL-terminated. NULL: ERR_FILTERED with
 * `param` when one stopped it, or it could not be filtered. What they found is added to
 * *findings unless that is NULL, and recorded as of `origin`. */
char *filter_text(const struct filter_origin *origin, struct chain *chain, const char *text,
                  size_t len, const char *param, size_t *out_len,
                  struct moderation_result *findings, struct err *e);
