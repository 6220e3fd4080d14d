#include "filters/sentences.h"

#include <string.h>

#define CUT_AT_BLANK (SENTENCE_MAX / 4 * 3)

static bool is_blank(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == 0xA0 || c == 0x3000;
}

static bool is_stop(uint32_t c)
{
    return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x203D || c == 0x061F ||
           c == 0x0964 || c == 0x06D4;
}

static bool is_cjk_stop(uint32_t c)
{
    return c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0xFF61;
}

/* Quotes and brackets behind a stop. */
static bool is_closing(uint32_t c)
{
    return c == '"' || c == '\'' || c == ')' || c == ']' || c == '*' || c == 0x201D ||
           c == 0x2019 || c == 0xBB || c == 0x300D || c == 0x300F || c == 0xFF09;
}

static bool is_abbreviation(const struct sentence *s)
{
    static const char *const known[] = {"mr",   "mrs",    "ms",  "dr", "prof", "st",  "vs",
                                        "eg",   "ie",     "etc", "jr", "sr",   "inc", "ltd",
                                        "dept", "approx", "fig", "cf", "ca",   "nr"};
    if (s->word_len <= 1) {
        return s->word_len == 1 || !s->has_other;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strlen(known[i]) == s->word_len && memcmp(known[i], s->word, s->word_len) == 0) {
            return true;
        }
    }
    return false;
}

static void note_word(struct sentence *s, uint32_t c)
{
    uint32_t small = c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
    bool is_letter = (small >= 'a' && small <= 'z') || small >= 0x80;
    if (is_letter) {
        if (s->word_len < sizeof(s->word)) {
            s->word[s->word_len++] = small < 0x80 ? (char)small : '?';
        }
    } else if (c >= '0' && c <= '9') {
        /* "in 2024." is no abbreviation, "1." at the beginning is. */
        s->word_len = s->has_other ? sizeof(s->word) : 0;
    } else if (c != '.') {
        s->word_len = 0;
    }
    s->has_other = s->has_other || is_letter ||
                   (c >= 0x21 && c < 0x80 && c != '.' && !(c >= '0' && c <= '9'));
}

static enum sentence_step begin(struct sentence *s, uint32_t c, size_t len,
                                enum sentence_step step)
{
    *s = (struct sentence){.len = len};
    note_word(s, c);
    if (c == '\n') {
        s->state = SENTENCE_AT_LINE;
    } else if (is_cjk_stop(c)) {
        s->state = SENTENCE_AT_CJK_STOP;
    } else if (is_stop(c)) {
        s->state = SENTENCE_AT_STOP;
    }
    return step;
}

/* Whether the character is the first that does not belong to it. */
static bool ends_before(const struct sentence *s, uint32_t c)
{
    switch (s->state) {
    case SENTENCE_AT_STOP:
        return is_blank(c);
    case SENTENCE_AT_CJK_STOP:
        return !is_closing(c) && !is_cjk_stop(c) && !is_stop(c);
    case SENTENCE_AT_LINE:
        return !(c >= 'a' && c <= 'z');
    case SENTENCE_INSIDE:
        break;
    }
    return false;
}

enum sentence_step sentence_next(struct sentence *s, uint32_t character, size_t len)
{
    const uint32_t c = character;
    if (ends_before(s, c)) {
        return begin(s, c, len, SENTENCE_ENDED);
    }
    if (s->len + len > SENTENCE_MAX || (s->len >= CUT_AT_BLANK && is_blank(c))) {
        return begin(s, c, len, SENTENCE_CUT);
    }
    s->len += len;
    if (c == '\n') {
        s->state = SENTENCE_AT_LINE;
    } else if (is_cjk_stop(c)) {
        s->state = SENTENCE_AT_CJK_STOP;
    } else if (is_stop(c)) {
        s->state = c == '.' && is_abbreviation(s) ? SENTENCE_INSIDE : SENTENCE_AT_STOP;
    } else if (!(is_closing(c) && s->state != SENTENCE_AT_LINE)) {
        s->state = SENTENCE_INSIDE;
    }
    note_word(s, c);
    return SENTENCE_GOES_ON;
}
