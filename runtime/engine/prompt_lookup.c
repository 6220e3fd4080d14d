#include "runtime/engine/prompt_lookup.h"

#include <string.h>

#define NGRAM     3    /* tokens that must have been there before */
#define LOOK_BACK 4096 /* tokens; bounds the time of a search */

int prompt_lookup(const int32_t *tokens, size_t n, int32_t guess[PROMPT_LOOKUP_MAX], int max)
{
    if (n <= NGRAM) {
        return 0;
    }
    const int32_t *last = tokens + n - NGRAM;
    size_t oldest = n > LOOK_BACK ? n - LOOK_BACK : 0;
    for (size_t at = n - NGRAM; at > oldest; at--) {
        const int32_t *earlier = tokens + at - 1;
        if (memcmp(earlier, last, NGRAM * sizeof(*last)) != 0) {
            continue;
        }
        size_t known = n - NGRAM - (at - 1);
        int count = known < (size_t)max ? (int)known : max;
        memcpy(guess, earlier + NGRAM, (size_t)count * sizeof(*guess));
        return count;
    }
    return 0;
}
