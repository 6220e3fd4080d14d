#include "runtime/net/sse.h"

/* The bytes before the first line end of s, and in *skip the length of that line end (0 at the
 * end). */
static size_t line_length(const char *s, size_t len, size_t *skip)
{
    size_t n = 0;
    while (n < len && s[n] != '\n' && s[n] != '\r') {
        n++;
    }
    if (n == len) {
        *skip = 0;
    } else {
        *skip = s[n] == '\r' && n + 1 < len && s[n + 1] == '\n' ? 2 : 1;
    }
    return n;
}

int sse_append_event(struct buf *b, const char *event, const char *data, size_t len)
{
    if (event) {
        buf_append_str(b, "event: ");
        buf_append_str(b, event);
        buf_append_char(b, '\n');
    }
    size_t skip;
    do {
        size_t n = line_length(data, len, &skip);
        buf_append_str(b, "data: ");
        buf_append(b, data, n);
        buf_append_char(b, '\n');
        data += n + skip;
        len -= n + skip;
    } while (skip > 0);
    buf_append_char(b, '\n');
    return b->failed ? -1 : 0;
}

int sse_append_comment(struct buf *b, const char *text)
{
    buf_append_str(b, ": ");
    buf_append_str(b, text);
    buf_append_str(b, "\n\n");
    return b->failed ? -1 : 0;
}
