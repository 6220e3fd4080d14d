#include "filters/webhook_batch.h"

#include "runtime/base/utf8.h"

static bool is_blank(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

static bool is_line_end(uint32_t c)
{
    return c == '\n' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

/* These end a sentence when a blank follows. */
static bool is_full_stop(uint32_t c)
{
    return c == '.' || c == '!' || c == '?' || c == 0x2026 /* ... */ ||
           c == 0x061F /* Arabic ? */ || c == 0x06D4 /* Urdu . */ || c == 0x0964 /* danda */ ||
           c == 0x203D;
}

/* Scripts that are written without blanks have full stops of their own. */
static bool is_wide_full_stop(uint32_t c)
{
    return c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0xFF0E || c == 0xFF61;
}

/* What may stand between a full stop and the blank. */
static bool is_closing(uint32_t c)
{
    return c == '"' || c == '\'' || c == ')' || c == ']' || c == '*' || c == '_' ||
           c == 0x2019 || c == 0x201D || c == 0xBB;
}

static bool ends_piece(const struct webhook_batch *b, uint32_t c)
{
    return b->has_words &&
           (is_line_end(c) || is_wide_full_stop(c) || (is_blank(c) && b->sentence_ends));
}

bool webhook_batch_feed(struct webhook_batch *b, const char *character, size_t len,
                        uint64_t *cut)
{
    uint32_t c = 0;
    utf8_decode(character, len, &c);
    bool blank = is_blank(c);
    uint64_t before = b->end;
    b->end += len;
    b->has_words |= !blank;
    if (b->max == 0) {
        return false;
    }
    bool ends = ends_piece(b, c);
    bool grows_too_long = b->end - b->begin > b->max;
    b->sentence_ends = is_full_stop(c) || (b->sentence_ends && is_closing(c));
    if (ends && !grows_too_long) {
        *cut = b->begin = b->last_gap = b->end;
        b->has_words = false;
        return true;
    }
    if (grows_too_long) {
        *cut = b->begin = b->last_gap > b->begin ? b->last_gap : before;
        b->has_words = *cut < before || !blank;
    }
    if (blank) {
        b->last_gap = b->end;
    }
    return grows_too_long;
}
