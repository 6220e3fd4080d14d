#include "filters/view_unit.h"

#include <string.h>
#include <utf8proc.h>

#include "filters/homoglyphs.h"
#include "filters/letters.h"
#include "runtime/base/utf8.h"

struct range {
    int32_t first, last;
};

static bool is_in(const struct range *ranges, size_t count, int32_t point)
{
    for (size_t i = 0; i < count; i++) {
        if (point >= ranges[i].first && point <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* Blocks of Latin letters. */
static bool is_latin(int32_t point)
{
    static const struct range ranges[] = {
        {0x00C0, 0x02AF}, {0x1D00, 0x1DBF}, {0x1E00, 0x1EFF},
        {0x2C60, 0x2C7F}, {0xA720, 0xA7FF}, {0xAB30, 0xAB6F},
    };
    return is_in(ranges, sizeof(ranges) / sizeof(ranges[0]), point);
}

/* ASCII characters and Latin letters: their marks are decoration. */
static bool is_plain(int32_t point)
{
    return point < 0x80 || is_latin(point);
}

/* Blocks with characters that, not being plain, some canonical composition begins with. */
static bool may_compose(int32_t point)
{
    static const struct range ranges[] = {
        {0x0370, 0x04FF},   /* Greek, Cyrillic */
        {0x0600, 0x06FF},   /* Arabic */
        {0x0900, 0x0DFF},   /* scripts of India */
        {0x1000, 0x11FF},   /* Myanmar, Hangul Jamo */
        {0x1B00, 0x1B7F},   /* Balinese */
        {0x1F00, 0x1FFF},   /* Greek extended: the Greek koronis among them */
        {0x2190, 0x22FF},   /* arrows, operators */
        {0x3040, 0x30FF},   /* kana */
        {0x11000, 0x11FFF}, /* more scripts of India */
    };
    return is_in(ranges, sizeof(ranges) / sizeof(ranges[0]), point);
}

/* Characters that are no marks of a class of their own and still join the one before them. */
static bool is_joining(int32_t point)
{
    static const struct range ranges[] = {
        {0x09BE, 0x09BE},   {0x09D7, 0x09D7},   {0x0B3E, 0x0B3E},   {0x0B56, 0x0B57},
        {0x0BBE, 0x0BBE},   {0x0BD7, 0x0BD7},   {0x0CC2, 0x0CC2},   {0x0CD5, 0x0CD6},
        {0x0D3E, 0x0D3E},   {0x0D57, 0x0D57},   {0x0DCF, 0x0DCF},   {0x0DDF, 0x0DDF},
        {0x102E, 0x102E},   {0x1161, 0x1175},   {0x11A8, 0x11C2},   {0x1B35, 0x1B35},
        {0x11127, 0x11127}, {0x1133E, 0x1133E}, {0x11357, 0x11357}, {0x114B0, 0x114B0},
        {0x114BA, 0x114BA}, {0x114BD, 0x114BD}, {0x115AF, 0x115AF}, {0x11930, 0x11930},
    };
    return is_in(ranges, sizeof(ranges) / sizeof(ranges[0]), point);
}

static int combining_class(int32_t point)
{
    return utf8proc_get_property(point)->combining_class;
}

/* Code points without a character yet, that are to have no appearance when they get one. */
static bool is_reserved_ignorable(uint32_t code_point)
{
    return code_point == 0x2065 || (code_point >= 0xFFF0 && code_point <= 0xFFF8) ||
           (code_point >= 0xE0000 && code_point <= 0xE0FFF);
}

/* Control characters but for those that are white space, and interlinear annotations' marks. */
static bool is_control(uint32_t code_point)
{
    return (code_point < 0x20 && !(code_point >= '\t' && code_point <= '\r')) ||
           (code_point >= 0x7F && code_point <= 0x9F && code_point != 0x85) ||
           (code_point >= 0xFFF9 && code_point <= 0xFFFB);
}

size_t view_unit_decompose(uint32_t code_point, int32_t *points)
{
    if (is_reserved_ignorable(code_point) || is_control(code_point)) {
        return 0;
    }
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(
        (utf8proc_int32_t)code_point, points, VIEW_POINTS,
        UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_IGNORE, &boundary);
    if (n < 0 || n > VIEW_POINTS) {
        points[0] = (int32_t)code_point;
        return 1;
    }
    return (size_t)n;
}

bool view_unit_is_mark(int32_t point)
{
    utf8proc_category_t category = utf8proc_category(point);
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME;
}

bool view_unit_goes_on(const struct view_unit *unit, int32_t point)
{
    return unit->count > 0 && unit->count < VIEW_UNIT_MANY &&
           (combining_class(point) != 0 || is_joining(point));
}

void view_unit_add(struct view_unit *unit, const int32_t *points, size_t count,
                   const char *source, size_t text_len)
{
    if (unit->count == 0) {
        unit->text_len = 0;
        unit->source_len = 0;
        unit->is_copied = true;
    }
    memcpy(unit->points + unit->count, points, count * sizeof(*points));
    unit->count += count;
    unit->text_len += text_len;
    if (source && text_len <= sizeof(unit->source) - unit->source_len) {
        memcpy(unit->source + unit->source_len, source, text_len);
        unit->source_len += text_len;
    } else {
        unit->is_copied = false;
    }
}

void view_unit_hide(struct view_unit *unit, size_t text_len)
{
    unit->text_len += text_len;
    unit->is_copied = false;
}

bool view_unit_is_settled(const struct view_unit *unit)
{
    size_t i = unit->count;
    while (i > 0 && combining_class(unit->points[i - 1]) != 0) {
        i--;
    }
    if (i == 0) {
        return false; /* marks only: others may have to be put between them */
    }
    int32_t base = (int32_t)homoglyph_fold((uint32_t)unit->points[i - 1]);
    return is_plain(base) || (i == unit->count && !may_compose(base));
}

/* Marks of different classes do not touch each other and have one order (UAX 15 D109). */
static void sort_marks(int32_t *points, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        int32_t point = points[i];
        int class = combining_class(point);
        size_t at = i;
        while (class != 0 && at > 0 && combining_class(points[at - 1]) > class) {
            points[at] = points[at - 1];
            at--;
        }
        points[at] = point;
    }
}

static bool is_word_character(int32_t point)
{
    return point != '_' && letter_is_in_word((uint32_t)point);
}

void view_unit_show(const struct view_unit *unit, struct view_shown *shown)
{
    int32_t points[VIEW_UNIT_ROOM];
    size_t count = 0;
    bool is_base_plain = false;
    for (size_t i = 0; i < unit->count; i++) {
        int32_t point = (int32_t)homoglyph_fold((uint32_t)unit->points[i]);
        if (view_unit_is_mark(point)) {
            if (is_base_plain) {
                continue;
            }
        } else {
            is_base_plain = is_plain(point);
        }
        points[count++] = point;
    }
    sort_marks(points, count);
    utf8proc_ssize_t composed = utf8proc_normalize_utf32(points, (utf8proc_ssize_t)count,
                                                         UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    count = composed > 0 ? (size_t)composed : count;
    *shown = (struct view_shown){.ends_plain = is_base_plain};
    for (size_t i = 0; i < count; i++) {
        shown->len += (size_t)utf8_encode((uint32_t)points[i], shown->bytes + shown->len);
    }
    if (count > 0) {
        shown->begins_word = is_word_character(points[0]);
        shown->ends_word = is_word_character(points[count - 1]);
    }
}
