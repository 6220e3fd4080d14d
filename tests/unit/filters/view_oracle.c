#include "tests/unit/filters/view_oracle.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "runtime/base/utf8.h"

#define MAX_POINTS 20000

struct list {
    int32_t points[MAX_POINTS];
    size_t count;
};

static void add(struct list *list, int32_t point)
{
    if (list->count == MAX_POINTS) {
        abort();
    }
    list->points[list->count++] = point;
}

/* ---- entities ---- */

/* Bytes of the entity at `text`, which is NUL-terminated; 0: there is none. */
static size_t entity(const char *text, int32_t *point)
{
    static const struct {
        const char *text;
        int32_t point;
    } names[] = {{"&amp;", '&'},    {"&lt;", '<'},     {"&shy;", 0xAD},  {"&nbsp;", ' '},
                 {"&aacute;", 'a'}, {"&period;", '.'}, {"&zwj;", 0x200D}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strncmp(text, names[i].text, strlen(names[i].text)) == 0) {
            *point = names[i].point;
            return strlen(names[i].text);
        }
    }
    if (strncmp(text, "&#", 2) != 0) {
        return 0;
    }
    bool is_hex = tolower(text[2]) == 'x';
    const char *digits = text + 2 + is_hex;
    size_t n = strspn(digits, is_hex ? "0123456789abcdefABCDEF" : "0123456789");
    size_t len = (size_t)(digits - text) + n;
    if (n == 0 || len >= 32) {
        return 0;
    }
    unsigned long value = strtoul(digits, NULL, is_hex ? 16 : 10);
    bool is_control = value < 0x20 && value != 9 && value != 10 && value != 13;
    if (is_control || (value >= 0x7F && value < 0xA0) || value > 0x10FFFF ||
        (value >= 0xD800 && value <= 0xDFFF)) {
        return 0;
    }
    *point = (int32_t)value;
    return len + (text[len] == ';');
}

static void read_points(const char *text, size_t len, struct list *out)
{
    for (size_t at = 0; at < len;) {
        int32_t point;
        size_t n = entity(text + at, &point);
        if (n == 0) {
            uint32_t code_point;
            n = (size_t)utf8_decode(text + at, len - at, &code_point);
            point = (int32_t)code_point;
        }
        add(out, point);
        at += n;
    }
}

/* ---- characters ---- */

static bool is_control(int32_t c)
{
    bool is_space = (c >= 9 && c <= 13) || c == 0x85;
    return (utf8proc_category(c) == UTF8PROC_CATEGORY_CC && !is_space) ||
           (c >= 0xFFF9 && c <= 0xFFFB);
}

/* DerivedCoreProperties.txt, Default_Ignorable_Code_Point; and controls. */
static bool is_ignorable(int32_t c)
{
    return is_control(c) || c == 0xAD || c == 0x34F || c == 0x61C || c == 0x115F ||
           c == 0x1160 || c == 0x17B4 || c == 0x17B5 || (c >= 0x180B && c <= 0x180F) ||
           (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2060 && c <= 0x206F) || c == 0x3164 || (c >= 0xFE00 && c <= 0xFE0F) ||
           c == 0xFEFF || c == 0xFFA0 || (c >= 0x1BCA0 && c <= 0x1BCA3) ||
           (c >= 0x1D173 && c <= 0x1D17A) || (c >= 0xFFF0 && c <= 0xFFF8) ||
           (c >= 0xE0000 && c <= 0xE0FFF);
}

static int32_t look(int32_t c)
{
    static const struct {
        int32_t from;
        char to;
    } looks[] = {{0x430, 'a'}, {0x441, 'c'},   {0x435, 'e'},  {0x3BF, 'o'},
                 {0x456, 'i'}, {0x2019, '\''}, {0x2013, '-'}, {0x1F170, 'A'},
                 {0xF8, 'o'},  {0x2D, '-'},    {0x131, 'i'},  {0x1D04, 'c'}};
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        if (c == looks[i].from) {
            return looks[i].to;
        }
    }
    return c;
}

static bool is_mark(int32_t c)
{
    const char *category = utf8proc_category_string(c);
    return strcmp(category, "Mn") == 0 || strcmp(category, "Me") == 0;
}

static int class_of(int32_t c)
{
    return utf8proc_get_property(c)->combining_class;
}

/* Latin letters that have no decomposition are those whose lower case is in these blocks. */
static bool is_plain(int32_t c)
{
    return c < 0x80 || (c >= 0xC0 && c <= 0x2AF) || (c >= 0x1D00 && c <= 0x1DBF) ||
           (c >= 0x1E00 && c <= 0x1EFF) || (c >= 0x2C60 && c <= 0x2C7F) ||
           (c >= 0xA720 && c <= 0xA7FF) || (c >= 0xAB30 && c <= 0xAB6F);
}

static void decompose(const struct list *in, struct list *out)
{
    for (size_t i = 0; i < in->count; i++) {
        int32_t points[32];
        int boundary = 0;
        if (is_ignorable(in->points[i])) {
            continue;
        }
        long n = utf8proc_decompose_char(in->points[i], points, 32,
                                         UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary);
        for (long k = 0; k < n; k++) {
            add(out, look(points[k]));
        }
    }
}

static void strip(const struct list *in, struct list *out)
{
    bool after_plain = false;
    for (size_t i = 0; i < in->count; i++) {
        int32_t c = in->points[i];
        if (!is_mark(c)) {
            after_plain = is_plain(c);
        } else if (after_plain) {
            continue;
        }
        add(out, c);
    }
}

/* Bubbles marks into their order and composes. */
static void compose(struct list *list)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 1; i < list->count; i++) {
            int a = class_of(list->points[i - 1]);
            int b = class_of(list->points[i]);
            if (b != 0 && a > b) {
                int32_t c = list->points[i];
                list->points[i] = list->points[i - 1];
                list->points[i - 1] = c;
                moved = true;
            }
        }
    }
    list->count = (size_t)utf8proc_normalize_utf32(list->points, (long)list->count,
                                                   UTF8PROC_COMPOSE | UTF8PROC_STABLE);
}

/* ---- spaced letters ---- */

static bool is_letter(int32_t c)
{
    return c < 0x80 && isalpha(c);
}

static bool is_word(int32_t c)
{
    if (c < 0x80) {
        return isalnum(c);
    }
    const char *category = utf8proc_category_string(c);
    bool is_ideograph = c >= 0x3040 && c <= 0x9FFF;
    return strchr("LMN", category[0]) && !is_ideograph;
}

static int32_t at(const struct list *list, size_t i)
{
    return i < list->count ? list->points[i] : '\n';
}

static bool is_single(const struct list *list, size_t i)
{
    return is_letter(at(list, i)) && !is_word(at(list, i + 1));
}

static void join(const struct list *in, struct list *out)
{
    for (size_t i = 0; i < in->count;) {
        size_t letters = 0;
        int32_t separator = at(in, i + 1);
        bool is_run = (i == 0 || !is_word(at(in, i - 1))) && is_single(in, i) &&
                      i + 1 < in->count && separator > 0 && separator < 0x80 &&
                      strchr(" .-_", separator) != NULL;
        if (is_run) {
            letters = 1;
            while (at(in, i + 2 * letters - 1) == separator && is_single(in, i + 2 * letters)) {
                letters++;
            }
        }
        if (letters < 3) {
            add(out, in->points[i++]);
            continue;
        }
        for (size_t k = 0; k < letters; k++) {
            add(out, at(in, i + 2 * k));
        }
        i += 2 * letters - 1;
        /* What follows a run belongs to no other with its letters. */
    }
}

void view_oracle(const char *text, size_t len, struct buf *out)
{
    static struct list a, b;
    a.count = b.count = 0;
    read_points(text, len, &a);
    decompose(&a, &b);
    a.count = 0;
    strip(&b, &a);
    compose(&a);
    b.count = 0;
    join(&a, &b);
    for (size_t i = 0; i < b.count; i++) {
        char bytes[4];
        int n = utf8_encode((uint32_t)b.points[i], bytes);
        buf_append(out, bytes, (size_t)n);
    }
}
