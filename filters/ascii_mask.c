#include "filters/ascii_mask.h"

#include <stdbool.h>

struct ascii_mask ascii_mask_of_plain(const char *text)
{
    struct ascii_mask mask = {0};
    for (int i = 0; i < ASCII_MASK_BYTES; i++) {
        unsigned char c = (unsigned char)text[i];
        unsigned char lower = c | 0x20;
        bool is_word = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_';
        mask.word |= (uint64_t)is_word << i;
        mask.high |= (uint64_t)(c >> 7) << i;
    }
    return mask;
}

#ifdef __SSE2__
#    include <emmintrin.h>

/* Bytes in [first, first + count): SSE2 has no unsigned comparison, but a minimum. */
static __m128i in_range(__m128i bytes, char first, char count)
{
    __m128i offset = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8((char)(count - 1))), offset);
}

struct ascii_mask ascii_mask_of(const char *text)
{
    struct ascii_mask mask = {0};
    for (int i = 0; i < ASCII_MASK_BYTES; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(text + i));
        __m128i letters = in_range(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 26);
        __m128i digits = in_range(bytes, '0', 10);
        __m128i scores = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('_'));
        __m128i words = _mm_or_si128(_mm_or_si128(letters, digits), scores);
        mask.word |= (uint64_t)(unsigned)_mm_movemask_epi8(words) << i;
        mask.high |= (uint64_t)(unsigned)_mm_movemask_epi8(bytes) << i;
    }
    return mask;
}

#else

struct ascii_mask ascii_mask_of(const char *text)
{
    return ascii_mask_of_plain(text);
}

#endif
