/* jinja_arena.h: memory that is released all at once, under a maximum.
 *
 * A compiled template lives in one arena, and so does everything that one rendering makes:
 * strings, lists, scopes. Nothing is freed singly, so no value needs a reference count, and
 * what a hostile template can take is one number.
 *
 * Threads: none; each arena belongs to its owner.
 */
#pragma once

#include <stddef.h>

#include "runtime/base/err.h"

struct jinja_chunk;

struct jinja_arena {
    struct jinja_chunk *chunks; /* newest first */
    size_t used;                /* bytes handed out */
    size_t max;                 /* an allocation that would take `used` beyond this fails */
};

void jinja_arena_init(struct jinja_arena *a, size_t max);
void jinja_arena_deinit(struct jinja_arena *a);

/* Zeroed memory for count * size bytes, aligned for any type. NULL with ERR_LIMIT or ERR_NOMEM.
 */
void *jinja_arena_alloc(struct jinja_arena *a, size_t count, size_t size, struct err *e);

/* A copy of len bytes and a NUL. */
char *jinja_arena_strndup(struct jinja_arena *a, const char *s, size_t len, struct err *e);
