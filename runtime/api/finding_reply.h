/* finding_reply.h: findings of filters as JSON, for admin routes. */
#pragma once

#include "runtime/base/buf.h"
#include "runtime/registry/finding_store.h"

/* Appends an object. text: (len) the text it was found in, or NULL to leave it out. 0, or -1 as
 * buf.h. */
int finding_reply_append(struct buf *out, const struct finding *f, const char *text,
                         size_t len);
