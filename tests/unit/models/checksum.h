/* checksum.h: FNV-1a (Fowler, Noll, Vo), to hold many numbers to a known result. */
#pragma once

#include <stddef.h>
#include <stdint.h>

static inline uint64_t checksum(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ p[i]) * 0x100000001b3u;
    }
    return h;
}
