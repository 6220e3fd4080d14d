#include "filters/json_escape.h"

#include <string.h>

#include "runtime/base/hex.h"

#define UNIT_BYTES ((size_t)6) /* \uXXXX */
#define NO_TEXT    0xFFFDu

/* The unit of a \uXXXX at text[0]. */
static enum json_escape_found read_unit(const char *text, size_t len, uint32_t *unit)
{
    static const char begin[] = "\\u";
    *unit = 0;
    for (size_t i = 0; i < UNIT_BYTES; i++) {
        if (i == len) {
            return JSON_ESCAPE_PARTIAL;
        }
        int digit = i < 2 ? 0 : hex_value((unsigned char)text[i]);
        if (digit < 0 || (i < 2 && text[i] != begin[i])) {
            return JSON_ESCAPE_NONE;
        }
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return JSON_ESCAPE_FOUND;
}

static enum json_escape_found read_unicode(const char *text, size_t len, bool has_ended,
                                           uint32_t *code_point, size_t *escape_len)
{
    uint32_t high, low;
    enum json_escape_found found = read_unit(text, len, &high);
    if (found != JSON_ESCAPE_FOUND) {
        return found;
    }
    *escape_len = UNIT_BYTES;
    *code_point = high == 0 || (high >= 0xD800 && high <= 0xDFFF) ? NO_TEXT : high;
    if (high < 0xD800 || high > 0xDBFF) {
        return JSON_ESCAPE_FOUND;
    }
    found = read_unit(text + UNIT_BYTES, len - UNIT_BYTES, &low);
    if (found == JSON_ESCAPE_PARTIAL && !has_ended) {
        return found;
    }
    if (found == JSON_ESCAPE_FOUND && low >= 0xDC00 && low <= 0xDFFF) {
        *code_point = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        *escape_len = 2 * UNIT_BYTES;
    }
    return JSON_ESCAPE_FOUND;
}

enum json_escape_found json_escape_read(const char *text, size_t len, bool has_ended,
                                        uint32_t *code_point, size_t *escape_len)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    enum json_escape_found found = JSON_ESCAPE_PARTIAL;
    if (len > 1 && text[1] == 'u') {
        found = read_unicode(text, len, has_ended, code_point, escape_len);
    } else if (len > 1) {
        const char *letter = text[1] ? strchr(letters, text[1]) : NULL;
        found = letter ? JSON_ESCAPE_FOUND : JSON_ESCAPE_NONE;
        *code_point = letter ? (uint32_t)meant[letter - letters] : 0;
        *escape_len = 2;
    }
    return found == JSON_ESCAPE_PARTIAL && has_ended ? JSON_ESCAPE_NONE : found;
}
