#include "models/tokenizer/byte_alphabet.h"

#include <stdint.h>

#include "runtime/base/utf8.h"

static bool stands_for_itself(uint32_t c)
{
    return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff);
}

/* The bytes that do not stand for themselves come in three runs: 00-20, 7f-a0 and ad. They
 * become U+0100-0120, U+0121-0142 and U+0143. */
static uint32_t byte_to_code_point(unsigned char byte)
{
    if (stands_for_itself(byte)) {
        return byte;
    }
    if (byte <= 0x20) {
        return 0x100U + byte;
    }
    return byte == 0xad ? 0x143U : 0x121U + byte - 0x7fU;
}

/* -1 when the code point is not in the alphabet. */
static int code_point_to_byte(uint32_t c)
{
    if (c < 0x100) {
        return stands_for_itself(c) ? (int)c : -1;
    }
    if (c <= 0x120) {
        return (int)(c - 0x100);
    }
    if (c <= 0x142) {
        return (int)(c - 0x121 + 0x7f);
    }
    return c == 0x143 ? 0xad : -1;
}

size_t byte_alphabet_encode(const char *bytes, size_t len, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char character[4];
        const int size = utf8_encode(byte_to_code_point((unsigned char)bytes[i]), character);

        for (int j = 0; j < size; j++) {
            out[n++] = character[j];
        }
    }
    return n;
}

bool byte_alphabet_decode(const char *text, size_t len, char *out, size_t *out_len)
{
    size_t n = 0;

    for (size_t i = 0; i < len;) {
        uint32_t c;
        const int size = utf8_decode(text + i, len - i, &c);
        const int byte = size > 0 ? code_point_to_byte(c) : -1;

        if (byte < 0) {
            return false;
        }
        out[n++] = (char)byte;
        i += (size_t)size;
    }
    *out_len = n;
    return true;
}
