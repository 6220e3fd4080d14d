/* white_space.h: the characters with Unicode's property White_Space (PropList.txt). Private to
 * the tokenizer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline bool is_white_space(uint32_t c)
{
    if (c < 0x1680) {
        return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xa0;
    }
    return c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}
