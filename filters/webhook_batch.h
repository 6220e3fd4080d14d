/* webhook_batch.h: how a text is cut into the pieces that a webhook is asked about.
 *
 * The cuts follow from the text alone, never from how or when it came: a piece ends behind a
 * sentence or a line, or else where it would grow beyond a number of bytes, then behind its
 * last blank. It has at least one character that is no blank.
 *
 * Offsets count from the beginning of the text. Threads: none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct webhook_batch {
    size_t max;         /* bytes of a piece; 0: the text is one piece, and is never cut */
    uint64_t begin;     /* of the piece that is open */
    uint64_t end;       /* of the last character */
    uint64_t last_gap;  /* behind the last blank */
    bool has_words;     /* something that is no blank */
    bool sentence_ends; /* the last characters are a full stop or the like, and quotes */
};

/* The next character. True: a piece has ended at *cut, which is at most its end, and the next
 * one has begun there. */
bool webhook_batch_feed(struct webhook_batch *b, const char *character, size_t len,
                        uint64_t *cut);
