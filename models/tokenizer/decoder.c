#include "models/tokenizer/decoder.h"

#include <string.h>

#include "runtime/base/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd"

void decoder_init(struct decoder *d, const struct tokenizer *t)
{
    *d = (struct decoder){.tokenizer = t};
}

/* Takes one byte. The held bytes always begin a character that may still become valid; a byte
 * that ends that hope begins anew itself. */
static int feed_byte(struct decoder *d, char byte, struct buf *out)
{
    uint32_t c;

    d->held[d->n_held++] = byte;
    const int size = utf8_decode(d->held, d->n_held, &c);
    if (size == 0) {
        return 0;
    }
    if (size > 0) {
        const size_t n = d->n_held;

        d->n_held = 0;
        return buf_append(out, d->held, n);
    }
    const bool alone = d->n_held == 1;
    d->n_held = 0;
    if (buf_append_str(out, REPLACEMENT) != 0) {
        return -1;
    }
    return alone ? 0 : feed_byte(d, byte, out);
}

int decoder_feed(struct decoder *d, int32_t id, struct buf *out)
{
    size_t len;
    const char *bytes = tokenizer_token_bytes(d->tokenizer, id, &len);

    if (d->n_held == 0) {
        const size_t whole = utf8_valid_prefix(bytes, len);

        if (buf_append(out, bytes, whole) != 0) {
            return -1;
        }
        bytes += whole;
        len -= whole;
    }
    for (size_t i = 0; i < len; i++) {
        if (feed_byte(d, bytes[i], out) != 0) {
            return -1;
        }
    }
    return 0;
}

int decoder_flush(struct decoder *d, struct buf *out)
{
    const bool incomplete = d->n_held > 0;

    d->n_held = 0;
    return incomplete ? buf_append_str(out, REPLACEMENT) : 0;
}

int decoder_text(const struct tokenizer *t, const struct token_list *tokens, struct buf *out)
{
    struct decoder d;

    decoder_init(&d, t);
    for (size_t i = 0; i < tokens->count; i++) {
        if (decoder_feed(&d, tokens->ids[i], out) != 0) {
            return -1;
        }
    }
    return decoder_flush(&d, out);
}
