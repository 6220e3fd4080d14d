/* sentences.h: where sentences end in a text that comes character by character.
 *
 * A sentence ends before the first character that cannot be part of it any more:
 *   - behind . ! ? or ... and closing quotes or brackets, at a blank or line break; but not
 *     behind a known abbreviation, a single letter, or a number that begins a line ("1. ")
 *   - behind the full stops of Chinese and Japanese, at once
 *   - behind a line break, unless the next line goes on with a small letter
 *   - where it would be longer than SENTENCE_MAX bytes: at a blank in its last quarter, or
 * there So it depends on the text alone where that is, never on how it was cut into chunks.
 *
 * Threads: one text each. Ownership: nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SENTENCE_MAX 512u /* bytes */

enum sentence_step {
    SENTENCE_GOES_ON,
    SENTENCE_ENDED, /* before this character, which begins the next one */
    SENTENCE_CUT,   /* the same, but only because it grew too long */
};

struct sentence {
    size_t len; /* bytes so far */
    enum { SENTENCE_INSIDE, SENTENCE_AT_STOP, SENTENCE_AT_CJK_STOP, SENTENCE_AT_LINE } state;
    char word[8]; /* letters before a full stop, small */
    size_t word_len;
    bool has_other; /* more than digits and blanks */
};

/* All zero is the beginning of a text. `len` is the character's length in UTF-8. */
enum sentence_step sentence_next(struct sentence *s, uint32_t character, size_t len);
