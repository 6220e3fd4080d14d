/* array.h: growing arrays for this folder. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/fnv.h"
#include "runtime/base/mem.h"

/* Room for n elements of `size` bytes in *array, which has room for *cap. 0, or -1 when out of
 * memory; the array is as it was then. Arrays are pointers to different types, so *array goes
 * through void *. */
static inline int array_reserve(void **array, size_t *cap, size_t n, size_t size)
{
    if (n <= *cap) {
        return 0;
    }
    size_t wanted = *cap < 8 ? 16 : *cap * 2;
    wanted = wanted < n ? n : wanted;
    void *grown = mem_realloc_array(*array, wanted, size);
    if (!grown) {
        return -1;
    }
    *array = grown;
    *cap = wanted;
    return 0;
}

#define ARRAY_RESERVE(array, cap, n) \
    array_reserve((void **)&(array), &(cap), (n), sizeof(*(array)))

/* For hash tables that no outsider chooses the size of. */
static inline uint64_t hash_bytes(const void *data, size_t len)
{
    uint64_t h = fnv64(FNV64_BASIS, data, len);
    return h ^ h >> 29;
}
