/* letters.h: which characters are the same letter, and which make up words.
 *
 * Both are functions of one character, so that a stream can be judged as it comes. The tables
 * are utf8proc's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

uint32_t letter_fold_beyond_ascii(uint32_t code_point);
bool letter_is_in_word_beyond_ascii(uint32_t code_point);

/* Upper and lower case, and other forms of one letter, become the same character: the simple
 * lower case of the simple upper case (Unicode, UnicodeData.txt fields 12 and 13). This
 * joins all that simple case folding joins (CaseFolding.txt, status C and S), such as Greek
 * final sigma, long s or the Kelvin sign, and the dotted and dotless i of Turkish besides.
 * Accents stay, and nothing changes its number of characters: the German sharp s is not
 * "ss". */
static inline uint32_t letter_fold(uint32_t code_point)
{
    if (code_point < 0x80) {
        return code_point - 'A' < 26 ? code_point | 0x20 : code_point;
    }
    return letter_fold_beyond_ascii(code_point);
}

/* Whether a word goes on here: letters, marks, numbers and the underscore. Characters of
 * scripts that are written without spaces (Han, kana, Thai, Lao, Myanmar, Khmer) count as
 * words of their own, so that a word of theirs is found inside running text. */
static inline bool letter_is_in_word(uint32_t code_point)
{
    if (code_point < 0x80) {
        return (code_point | 0x20) - 'a' < 26 || code_point - '0' < 10 || code_point == '_';
    }
    return letter_is_in_word_beyond_ascii(code_point);
}
