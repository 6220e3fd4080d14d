#include "runtime/base/base64.h"

#include <string.h>

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

static int value_of(char letter)
{
    const char *at = letter ? strchr(letters, letter) : NULL;
    return at ? (int)(at - letters) : -1;
}

int base64_decode(struct buf *out, const char *text, size_t len, struct err *e)
{
    for (size_t i = 0; i < len; i += 4) {
        size_t n = len - i < 4 ? 0 : 4; /* letters that are no filling */
        bool last = i + 4 >= len;
        while (last && n > 2 && text[i + n - 1] == '=') {
            n--;
        }
        unsigned group = 0;
        int bad = n == 0;
        for (size_t k = 0; k < n; k++) {
            int value = value_of(text[i + k]);
            bad |= value < 0;
            group |= (unsigned)value << (18 - 6 * k);
        }
        unsigned char bytes[3] = {(unsigned char)(group >> 16), (unsigned char)(group >> 8),
                                  (unsigned char)group};
        if (bad || (n == 3 && bytes[2] != 0) || (n == 2 && bytes[1] != 0)) {
            return err_set(e, ERR_FORMAT, "no base64 at character %zu of %zu", i, len);
        }
        buf_append(out, bytes, n - 1);
    }
    return out->failed ? err_nomem(e) : 0;
}
