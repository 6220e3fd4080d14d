/* buf.h: a growable byte buffer with a stated maximum.
 *
 * After any failed append the buffer stays valid, keeps what it held and remembers the failure
 * in `failed`, so that a run of appends can be checked once at its end.
 *
 * Ownership: buf_init takes nothing; buf_deinit releases. `data` is NUL-terminated once
 * non-NULL.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max; /* appends that would make len exceed this fail */
    bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_deinit(struct buf *b);
void buf_clear(struct buf *b);             /* keeps the memory, forgets content and failure */
void buf_consume(struct buf *b, size_t n); /* drops the first n bytes */
/* 0, or -1 when memory or the maximum ran out. */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_append_str(struct buf *b, const char *s);
int buf_append_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Hands the memory to the caller (mem_free), NUL-terminated, and empties b. NULL when out of
 * memory. */
char *buf_take(struct buf *b, size_t *len);
