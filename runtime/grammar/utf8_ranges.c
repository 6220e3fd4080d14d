#include "runtime/grammar/utf8_ranges.h"

#include "runtime/base/utf8.h"

/* Below each of these a new length or the surrogates begin. */
static const uint32_t boundaries[] = {0x80, 0x800, 0xD800, 0xE000, 0x10000};
#define N_BOUNDARIES (sizeof(boundaries) / sizeof(boundaries[0]))

/* lo and hi have the same length. Cuts until all bytes behind the first that differs are
 * complete. */
static size_t cut(uint32_t lo, uint32_t hi, struct utf8_sequence *out)
{
    for (int i = 1; i < 4; i++) {
        const uint32_t low = ((uint32_t)1 << (6 * i)) - 1;
        if ((lo & ~low) == (hi & ~low) || lo < 0x80) {
            continue;
        }
        if ((lo & low) != 0) {
            const size_t n = cut(lo, lo | low, out);
            return n + cut((lo | low) + 1, hi, out + n);
        }
        if ((hi & low) != low) {
            const size_t n = cut(lo, (hi & ~low) - 1, out);
            return n + cut(hi & ~low, hi, out + n);
        }
    }
    char a[4], b[4];
    out->n = utf8_encode(lo, a);
    (void)utf8_encode(hi, b);
    for (int i = 0; i < out->n; i++) {
        out->lo[i] = (uint8_t)a[i];
        out->hi[i] = (uint8_t)b[i];
    }
    return 1;
}

size_t utf8_ranges(uint32_t lo, uint32_t hi, struct utf8_sequence out[UTF8_SEQUENCES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i <= N_BOUNDARIES && lo <= hi; i++) {
        const uint32_t end = i < N_BOUNDARIES ? boundaries[i] - 1 : 0x10FFFF;
        if (lo > end) {
            continue;
        }
        const uint32_t last = hi < end ? hi : end;
        if (lo < 0xD800 || lo > 0xDFFF) {
            n += cut(lo, last, out + n);
        }
        lo = last + 1;
    }
    return n;
}
