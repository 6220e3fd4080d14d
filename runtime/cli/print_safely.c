#include "runtime/cli/print_safely.h"

#include <stdbool.h>

/* C1 controls are two bytes in UTF-8. */
static size_t control_len(const char *text, size_t left)
{
    unsigned char c = (unsigned char)text[0];
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
        return 1;
    }
    bool is_c1 = left > 1 && c == 0xC2 && (unsigned char)text[1] >= 0x80 &&
                 (unsigned char)text[1] < 0xA0;
    return is_c1 ? 2 : 0;
}

void print_safely(FILE *out, const char *text, size_t len)
{
    size_t from = 0;
    for (size_t at = 0; at < len;) {
        size_t n = control_len(text + at, len - at);
        if (n > 0) {
            fwrite(text + from, 1, at - from, out);
            fputc('?', out);
            from = at + n;
        }
        at += n > 0 ? n : 1;
    }
    fwrite(text + from, 1, len - from, out);
}
