#include "filters/letters.h"

#include <pthread.h>
#include <stddef.h>
#include <utf8proc.h>

static uint32_t look_up_fold(uint32_t code_point)
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

static bool look_up_in_word(uint32_t code_point)
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

/* Latin, Greek, Cyrillic, Hebrew and Arabic letters: what two bytes of UTF-8 can say. */
#define NEAR_END 0x800u

static struct {
    uint16_t folded;
    bool in_word;
} near[NEAR_END];

static void make_near(void)
{
    for (uint32_t c = 0; c < NEAR_END; c++) {
        near[c].folded = (uint16_t)look_up_fold(c);
        near[c].in_word = look_up_in_word(c);
    }
}

static bool is_near(uint32_t code_point)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_near);
    return code_point < NEAR_END;
}

uint32_t letter_fold_beyond_ascii(uint32_t code_point)
{
    return is_near(code_point) ? near[code_point].folded : look_up_fold(code_point);
}

bool letter_is_in_word_beyond_ascii(uint32_t code_point)
{
    return is_near(code_point) ? near[code_point].in_word : look_up_in_word(code_point);
}
