/* stop_text.h: ends an answer at the first of a request's stop strings to be complete.
 *
 * Text passes through except for the longest end that may still become a stop string, which is
 * held. The stop string itself never passes. What passes does not depend on how the text was
 * cut.
 *
 * Ownership: the strings are borrowed. Threads: none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/buf.h"

struct stop_text {
    const char *const *stops; /* (n_stops), non-empty strings */
    size_t n_stops;
    struct buf held; /* the end of the text that is not decided */
    bool stopped;
    const char *met; /* the string that stopped it, or NULL */
};

void stop_text_init(struct stop_text *s, const char *const *stops, size_t n_stops);
void stop_text_deinit(struct stop_text *s);

/* Appends to *out what may pass. After a stop string was met nothing passes any more. 0, or -1
 * when memory ran out. */
int stop_text_feed(struct stop_text *s, const char *text, size_t len, struct buf *out);

/* The end of the answer: what was held passes. */
int stop_text_finish(struct stop_text *s, struct buf *out);
