/* filter_hold.h: how much text of an answer its filters hold back, and how long.
 *
 * The time runs from a look at which something was held to the first one at which no more is
 * held than has just come in: until then something older was among it. Where text is released
 * bit by bit, behind a tail that stays, it says too much rather than too little. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct filter_hold {
    size_t bytes;        /* the most that were held at once */
    uint64_t longest_ns; /* the longest time */
    uint64_t since_ns;   /* that runs now; 0: none does */
};

/* held: bytes at now_ns, after `fresh` bytes were shown to the filters. */
static inline void filter_hold_look(struct filter_hold *h, size_t held, size_t fresh,
                                    uint64_t now_ns)
{
    h->bytes = held > h->bytes ? held : h->bytes;
    if (h->since_ns > 0 && held <= fresh) {
        uint64_t ns = now_ns - h->since_ns;
        h->longest_ns = ns > h->longest_ns ? ns : h->longest_ns;
        h->since_ns = 0;
    }
    if (held > 0 && h->since_ns == 0) {
        h->since_ns = now_ns;
    }
}
