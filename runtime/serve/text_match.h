/* text_match.h: two texts that come piece by piece, each at its own pace: where do they begin
 * to differ?
 *
 * Only what one text has more than the other is kept, and nothing once they differ.
 *
 * Threads: none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/buf.h"

struct text_match {
    struct buf ahead; /* of the longer one, behind `taken` what the other does not have yet */
    size_t taken;
    int leader;         /* which one that is: 0 or 1 */
    size_t len[2];      /* bytes so far */
    size_t same;        /* with which both begin */
    bool differs;       /* at `same` */
    bool out_of_memory; /* nothing can be said */
};

void text_match_init(struct text_match *m, size_t max_ahead);
void text_match_deinit(struct text_match *m);

/* side: 0 or 1. */
void text_match_feed(struct text_match *m, int side, const char *text, size_t len);
