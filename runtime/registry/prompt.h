/* prompt.h: the system prompt that the owner sets, as immutable versions.
 *
 * A version never changes; setting a new text makes the next version and moves the pointer. A
 * request takes a reference on the version it began with and keeps it to its end.
 *
 * Threads: the event loop only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/hash.h"

#define PROMPT_BYTES_MAX ((size_t)256 << 10)

struct prompt {
    int refs;
    uint64_t version; /* 1, 2, 3 ...; version 0 is "no prompt" */
    char sha256[HASH_HEX_LEN + 1];
    size_t text_len;
    char text[]; /* (text_len), NUL-terminated UTF-8 */
};

/* One reference, the caller's. ERR_INVALID when the text is not UTF-8, holds a NUL or is too
 * long. */
struct prompt *prompt_create(uint64_t version, const char *text, size_t len, struct err *e);
struct prompt *prompt_ref(struct prompt *p);
void prompt_unref(struct prompt *p); /* accepts NULL */
