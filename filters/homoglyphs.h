/* homoglyphs.h: characters that are read as an ASCII character, whatever script they are of.
 *
 * The table has letters of Latin, Greek, Cyrillic, Armenian, Cherokee, Coptic, Lisu and
 * Tifinagh that Unicode's confusables (UTS 39) have the same skeleton for as for one ASCII
 * letter, in the case that they look like; Latin letters with strokes, hooks and the like and
 * small capitals, by their names; quotes, dashes, dots and slashes; and letters in flags and
 * in coloured boxes. Digits are not letters: 0 stays 0.
 *
 * It is for characters without compatibility decomposition; NFKC takes care of the others
 * (fullwidth forms, mathematical alphabets, circled letters).
 */
#pragma once

#include <stdint.h>

/* The ASCII character it looks like, or itself. */
uint32_t homoglyph_fold(uint32_t code_point);
