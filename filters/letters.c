#include "filters/letters.h"

#include <stddef.h>
#include <utf8proc.h>

uint32_t letter_fold_beyond_ascii(uint32_t code_point)
{
    utf8proc_int32_t c = (utf8proc_int32_t)code_point;
    return (uint32_t)utf8proc_tolower(utf8proc_toupper(c));
}

static bool is_written_without_spaces(uint32_t code_point)
{
    static const struct {
        uint32_t first, last;
    } blocks[] = {
        {0x0E00, 0x0EFF},   /* Thai, Lao */
        {0x1000, 0x109F},   /* Myanmar */
        {0x1780, 0x17FF},   /* Khmer */
        {0x3005, 0x3007},   /* ideographic iteration mark, closing mark, zero */
        {0x3040, 0x30FF},   /* Hiragana, Katakana */
        {0x31F0, 0x31FF},   /* Katakana phonetic extensions */
        {0x3400, 0x4DBF},   /* CJK extension A */
        {0x4E00, 0x9FFF},   /* CJK unified ideographs */
        {0xF900, 0xFAFF},   /* CJK compatibility ideographs */
        {0x20000, 0x3FFFF}, /* CJK extensions B and later */
    };
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        if (code_point >= blocks[i].first && code_point <= blocks[i].last) {
            return true;
        }
    }
    return false;
}

bool letter_is_in_word_beyond_ascii(uint32_t code_point)
{
    switch (utf8proc_category((utf8proc_int32_t)code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return !is_written_without_spaces(code_point);
    default:
        return false;
    }
}
