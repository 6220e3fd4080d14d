#include "runtime/base/utf8.h"

#include <string.h>

int utf8_decode(const char *s, size_t len, uint32_t *code_point)
{
    if (len == 0) {
        return 0;
    }
    unsigned char first = (unsigned char)s[0];
    if (first < 0x80) {
        *code_point = first;
        return 1;
    }
    if (first < 0xC2 || first > 0xF4) {
        return -1;
    }
    int need = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    uint32_t value = first & (0x7Fu >> need);
    /* RFC 3629 table: the second byte's range excludes overlong forms, surrogates and >
     * U+10FFFF. */
    unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    for (int i = 1; i < need; i++) {
        if ((size_t)i >= len) {
            return 0;
        }
        unsigned char c = (unsigned char)s[i];
        if (c < low || c > high) {
            return -1;
        }
        low = 0x80;
        high = 0xBF;
        value = value << 6 | (c & 0x3Fu);
    }
    *code_point = value;
    return need;
}

int utf8_encode(uint32_t code_point, char out[4])
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xC0 | code_point >> 6);
        out[1] = (char)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (char)(0xE0 | code_point >> 12);
        out[1] = (char)(0x80 | (code_point >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code_point & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code_point >> 18);
    out[1] = (char)(0x80 | (code_point >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code_point >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code_point & 0x3F));
    return 4;
}

/* How many of the first bytes are ASCII, but for up to seven at the end of them. */
static size_t ascii_prefix(const char *s, size_t len)
{
    size_t at = 0;
    uint64_t bytes;
    while (len - at >= sizeof(bytes)) {
        memcpy(&bytes, s + at, sizeof(bytes));
        if (bytes & UINT64_C(0x8080808080808080)) {
            break;
        }
        at += sizeof(bytes);
    }
    return at;
}

size_t utf8_valid_prefix(const char *s, size_t len)
{
    size_t at = 0;
    while (at < len) {
        at += ascii_prefix(s + at, len - at);
        if (at == len) {
            break;
        }
        uint32_t code_point;
        int n = utf8_decode(s + at, len - at, &code_point);
        if (n <= 0) {
            break;
        }
        at += (size_t)n;
    }
    return at;
}

bool utf8_is_valid(const char *s, size_t len)
{
    return utf8_valid_prefix(s, len) == len;
}

size_t utf8_incomplete_tail(const char *s, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = (unsigned char)s[len - back];
        if (c >= 0xC0) {
            uint32_t code_point;
            return utf8_decode(s + len - back, back, &code_point) == 0 ? back : 0;
        }
        if (c < 0x80) {
            return 0;
        }
    }
    return 0;
}

size_t utf8_chunk_len(const char *s, size_t len, size_t max)
{
    size_t n = len < max ? len : max;
    while (n > 0 && n < len && ((unsigned char)s[n] & 0xC0u) == 0x80u) {
        n--;
    }
    if (n == 0 && len > 0) {
        uint32_t code_point;
        int first = utf8_decode(s, len, &code_point);
        n = first > 0 ? (size_t)first : 1;
    }
    return n;
}
