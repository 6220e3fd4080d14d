/* byte_mask.h: which of 64 bytes lie in a range, as a mask of 64 bits.
 *
 * Filters that look for rare bytes step over the others in blocks with it. Bit n of a mask
 * stands for byte n. With SSE2, which every x86-64 has, it takes four instructions for 16
 * bytes; elsewhere it is plain C that compilers turn into vector code as they can.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#    include <emmintrin.h>
#endif

#define BYTE_MASK_BLOCK 64

/* The same in plain C: what others are tested against. */
static inline uint64_t byte_mask_range_plain(const char *block, unsigned char low,
                                             unsigned char high)
{
    uint64_t mask = 0;
    for (size_t i = 0; i < BYTE_MASK_BLOCK; i++) {
        unsigned char above = (unsigned char)((unsigned char)block[i] - low);
        mask |= (uint64_t)(above <= (unsigned char)(high - low)) << i;
    }
    return mask;
}

/* The bytes of block[0, 64) from `low` to `high`, both included; low <= high. */
static inline uint64_t byte_mask_range(const char *block, unsigned char low, unsigned char high)
{
#ifdef __SSE2__
    const __m128i base = _mm_set1_epi8((char)low);
    const __m128i width = _mm_set1_epi8((char)(high - low));
    uint64_t mask = 0;
    for (int i = 0; i < 4; i++) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(block + 16 * i));
        __m128i above = _mm_sub_epi8(bytes, base);
        __m128i is_in = _mm_cmpeq_epi8(_mm_min_epu8(above, width), above);
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(is_in) << (16 * i);
    }
    return mask;
#else
    return byte_mask_range_plain(block, low, high);
#endif
}

/* text[0, 64) where there is that much, or a copy of what there is, filled up with zeros. */
static inline const char *byte_mask_block(const char *text, size_t len,
                                          char copy[BYTE_MASK_BLOCK])
{
    if (len >= BYTE_MASK_BLOCK) {
        return text;
    }
    memset(copy, 0, BYTE_MASK_BLOCK);
    memcpy(copy, text, len);
    return copy;
}
