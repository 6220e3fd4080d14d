/* Any bytes as a connection's input: parsing must stay inside its memory and must not depend on
 * how the bytes were cut into reads. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/net/http_transcript.h"

#define TRANSCRIPT_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *wire = (const char *)data;
    struct buf whole;
    buf_init(&whole, TRANSCRIPT_MAX);
    http_transcript(&whole, wire, size, HTTP_CUT_NOT, 0);
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct buf cut;
        buf_init(&cut, TRANSCRIPT_MAX);
        http_transcript(&cut, wire, size, seed == 0 ? HTTP_CUT_BYTES : HTTP_CUT_RANDOM, seed);
        if (cut.len != whole.len || memcmp(cut.data, whole.data, whole.len) != 0) {
            abort();
        }
        buf_deinit(&cut);
    }
    buf_deinit(&whole);
    return 0;
}
