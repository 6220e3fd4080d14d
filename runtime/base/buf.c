#include "runtime/base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_deinit(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data) {
        b->data[0] = '\0';
    }
}

void buf_consume(struct buf *b, size_t n)
{
    if (n == 0) {
        return;
    }
    b->len -= n;
    memmove(b->data, b->data + n, b->len + 1);
}

static int fail(struct buf *b)
{
    b->failed = true;
    return -1;
}

/* Makes room for `more` bytes and the NUL. */
static int reserve(struct buf *b, size_t more)
{
    if (b->failed || more > b->max || b->len > b->max - more || b->max == SIZE_MAX) {
        return fail(b);
    }
    size_t need = b->len + more + 1;
    if (need <= b->cap) {
        return 0;
    }
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need) {
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    }
    char *moved = mem_realloc_array(b->data, cap, 1);
    if (!moved) {
        return fail(b);
    }
    b->data = moved;
    b->cap = cap;
    return 0;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
    if (reserve(b, len) != 0) {
        return -1;
    }
    if (len > 0) {
        memcpy(b->data + b->len, data, len);
    }
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

int buf_append_str(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_append_char(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

int buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int wanted = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int rc = -1;
    if (wanted >= 0 && reserve(b, (size_t)wanted) == 0) {
        vsnprintf(b->data + b->len, (size_t)wanted + 1, format, again);
        b->len += (size_t)wanted;
        rc = 0;
    }
    va_end(again);
    return rc;
}

char *buf_take(struct buf *b, size_t *len)
{
    if (b->failed || reserve(b, 0) != 0) {
        return NULL;
    }
    char *data = b->data;
    data[b->len] = '\0';
    if (len) {
        *len = b->len;
    }
    *b = (struct buf){.max = b->max};
    return data;
}
