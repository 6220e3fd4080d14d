/* base64.h: bytes as text (RFC 4648 section 4, with padding). */
#pragma once

#include <stddef.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

/* Appends 4 characters for every 3 bytes, the last group filled with '='. 0, or -1 as buf.h. */
int base64_append(struct buf *out, const void *data, size_t len);

/* Appends what `text` stands for. Letters beyond the alphabet, a length that is no multiple of
 * 4 and bits that no encoder sets are an error. */
int base64_decode(struct buf *out, const char *text, size_t len, struct err *e);
