#include "runtime/serve/query_field.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/utf8.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Whether it could be decoded into `size` bytes, as a text. */
static bool decode(const char *from, size_t len, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int c = from[i] == '+' ? ' ' : from[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_value(from[i + 1]) : -1;
            int low = high >= 0 ? hex_value(from[i + 2]) : -1;
            c = low >= 0 ? high * 16 + low : 0;
            i += 2;
        }
        if (c == 0 || n + 1 >= size) {
            return false;
        }
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return utf8_is_valid(out, n);
}

int query_field_text(const char *query, const char *name, char *out, size_t size, struct err *e)
{
    size_t name_len = strlen(name);
    out[0] = '\0';
    for (const char *at = query; *at;) {
        size_t len = strcspn(at, "&");
        if (len > name_len && strncmp(at, name, name_len) == 0 && at[name_len] == '=') {
            return decode(at + name_len + 1, len - name_len - 1, out, size)
                       ? 0
                       : err_set_param(e, ERR_INVALID, name, "\"%s\" is too long or malformed",
                                       name);
        }
        at += len + (at[len] == '&');
    }
    return 0;
}

int query_field_number(const char *query, const char *name, unsigned long long min,
                       unsigned long long max, unsigned long long *out, struct err *e)
{
    char text[24];
    char *end = NULL;
    if (query_field_text(query, name, text, sizeof(text), e) != 0) {
        return -1;
    }
    if (!text[0]) {
        return 0;
    }
    unsigned long long n = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || n < min || n > max) {
        return err_set_param(e, ERR_INVALID, name,
                             "\"%s\" must be a whole number from %llu to %llu", name, min, max);
    }
    *out = n;
    return 0;
}
