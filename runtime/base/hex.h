/* hex.h: hexadecimal digits. */
#pragma once

/* The value of one of either letter case, or -1 for any other character. */
static inline int hex_value(int c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}
