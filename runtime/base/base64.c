#include "runtime/base/base64.h"

static const char letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_append(struct buf *out, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        unsigned group = (unsigned)bytes[i] << 16;
        group |= n > 1 ? (unsigned)bytes[i + 1] << 8 : 0;
        group |= n > 2 ? (unsigned)bytes[i + 2] : 0;
        char text[4] = {letters[group >> 18], letters[group >> 12 & 63],
                        n > 1 ? letters[group >> 6 & 63] : '=',
                        n > 2 ? letters[group & 63] : '='};
        buf_append(out, text, sizeof(text));
    }
    return out->failed ? -1 : 0;
}
