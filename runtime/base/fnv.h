/* fnv.h: FNV-1a, 64 bits (Fowler, Noll and Vo 1991): spreads bytes fast, for tables and for
 * noticing that something is not what it was. Whoever chooses the bytes can make two of the
 * same hash: where that would hurt, hash.h.
 *
 * Begin with FNV64_BASIS; what is returned for one part goes on with the next. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FNV64_BASIS UINT64_C(0xcbf29ce484222325)

static inline uint64_t fnv64(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}
