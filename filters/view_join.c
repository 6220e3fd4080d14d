#include "filters/view_join.h"

#include <string.h>

/* Bits of a byte's class. */
enum {
    LETTER = 1,
    WORD = 2,
    SEPARATOR = 4,
    OTHER = 8, /* may be shown as something else */
};

#define EIGHT(x) x, x, x, x, x, x, x, x
static const unsigned char ascii[256] = {
    ['a'] = EIGHT(LETTER | WORD),
    ['i'] = EIGHT(LETTER | WORD),
    ['q'] = EIGHT(LETTER | WORD),
    ['y'] = LETTER | WORD,
    ['z'] = LETTER | WORD,
    ['A'] = EIGHT(LETTER | WORD),
    ['I'] = EIGHT(LETTER | WORD),
    ['Q'] = EIGHT(LETTER | WORD),
    ['Y'] = LETTER | WORD,
    ['Z'] = LETTER | WORD,
    ['0'] = EIGHT(WORD),
    ['8'] = WORD,
    ['9'] = WORD,
    [' '] = SEPARATOR,
    ['.'] = SEPARATOR,
    ['-'] = SEPARATOR,
    ['_'] = SEPARATOR,
    ['&'] = OTHER,
    [0x00] = EIGHT(OTHER),
    [0x08] = OTHER,
    [0x0E] = OTHER,
    [0x0F] = OTHER,
    [0x10] = EIGHT(OTHER),
    [0x18] = EIGHT(OTHER),
    [0x7F] = OTHER,
};

static unsigned class_of(char c)
{
    unsigned byte = (unsigned char)c;
    return ascii[byte] | (byte >> 7) * OTHER;
}

static bool is_letter(char c)
{
    return class_of(c) & LETTER;
}

static bool is_separator(char c)
{
    return class_of(c) & SEPARATOR;
}

void view_join_init(struct view_join *join, size_t max)
{
    *join = (struct view_join){0};
    buf_init(&join->shown, max);
    view_map_init(&join->map);
}

void view_join_deinit(struct view_join *join)
{
    buf_deinit(&join->shown);
    view_map_deinit(&join->map);
}

bool view_join_has_failed(const struct view_join *join)
{
    return join->shown.failed || join->map.failed;
}

/* ---- what is shown ---- */

static void show(struct view_join *join, const char *bytes, size_t len, uint64_t text_len,
                 bool is_same)
{
    buf_append(&join->shown, bytes, len);
    view_map_add(&join->map, len, text_len, is_same);
}

static void show_waiting(struct view_join *join, const struct view_waiting *waiting)
{
    show(join, &waiting->c, 1, waiting->text_len, waiting->is_same);
    view_map_add(&join->map, 0, waiting->hidden_len, false);
    join->in_word = is_letter(waiting->c);
}

/* What waits is a part of the run. */
static void join_waiting(struct view_join *join)
{
    for (size_t i = 0; i < join->waiting_count; i++) {
        const struct view_waiting *waiting = &join->waiting[i];
        if (i % 2 == 0) {
            view_map_add(&join->map, 0, waiting->text_len + waiting->hidden_len, false);
        } else {
            show_waiting(join, waiting);
        }
    }
    join->letters += (int)join->waiting_count / 2;
    join->waiting_count = 0;
}

/* ---- runs ---- */

static bool is_single_letter(const struct view_glyph *glyph)
{
    return glyph->len == 1 && is_letter(glyph->bytes[0]);
}

static void wait_with(struct view_join *join, const struct view_glyph *glyph)
{
    join->waiting[join->waiting_count++] = (struct view_waiting){
        .c = glyph->bytes[0], .is_same = glyph->is_same, .text_len = glyph->text_len};
}

/* Nothing waits, and the run may go on. */
static bool take_next(struct view_join *join, const struct view_glyph *glyph)
{
    bool is_next = glyph->len == 1 && is_separator(glyph->bytes[0]) &&
                   (join->letters == 1 ||
                    (join->letters >= VIEW_JOIN_LETTERS && glyph->bytes[0] == join->separator));
    if (is_next) {
        join->separator = glyph->bytes[0];
        wait_with(join, glyph);
        return true;
    }
    join->letters = is_single_letter(glyph) && !join->in_word ? 1 : 0;
    show(join, glyph->bytes, glyph->len, glyph->text_len, glyph->is_same);
    join->in_word = glyph->ends_word;
    return true;
}

/* A separator and a letter wait, and the letter is a single one. */
static bool take_after_letter(struct view_join *join, const struct view_glyph *glyph)
{
    if (join->letters + (int)join->waiting_count / 2 >= VIEW_JOIN_LETTERS) {
        join_waiting(join);
        return take_next(join, glyph);
    }
    if (glyph->len != 1 || glyph->bytes[0] != join->separator) {
        return false;
    }
    wait_with(join, glyph);
    return true;
}

/* false: the run does not go on with what waits, and the glyph was not taken. */
static bool take(struct view_join *join, const struct view_glyph *glyph)
{
    if (join->waiting_count == 0) {
        return take_next(join, glyph);
    }
    if (join->waiting_count % 2 == 0) {
        return !glyph->begins_word && take_after_letter(join, glyph);
    }
    if (!is_single_letter(glyph)) {
        return false;
    }
    wait_with(join, glyph);
    return true;
}

static struct view_glyph glyph_of(const char *c, uint64_t text_len, bool is_same)
{
    bool in_word = class_of(*c) & WORD;
    return (struct view_glyph){.bytes = c,
                               .len = 1,
                               .text_len = text_len,
                               .is_same = is_same,
                               .begins_word = in_word,
                               .ends_word = in_word};
}

void view_join_hide(struct view_join *join, uint64_t text_len)
{
    if (join->waiting_count > 0) {
        join->waiting[join->waiting_count - 1].hidden_len += text_len;
    } else {
        view_map_add(&join->map, 0, text_len, false);
    }
}

/* The first separator that waits is one like any other. What waits behind it, a letter first,
 * may begin another run, and can not fail to go on with it. */
static void give_up(struct view_join *join)
{
    struct view_waiting waiting[sizeof(join->waiting) / sizeof(join->waiting[0])];
    size_t count = join->waiting_count;
    memcpy(waiting, join->waiting, sizeof(waiting));
    join->waiting_count = 0;
    join->letters = 0;
    show_waiting(join, &waiting[0]);
    for (size_t i = 1; i < count; i++) {
        struct view_glyph glyph =
            glyph_of(&waiting[i].c, waiting[i].text_len, waiting[i].is_same);
        take(join, &glyph);
        view_join_hide(join, waiting[i].hidden_len);
    }
}

void view_join_take(struct view_join *join, const struct view_glyph *glyph)
{
    while (!take(join, glyph)) {
        give_up(join);
    }
}

void view_join_take_ascii(struct view_join *join, char c, uint64_t text_len, bool is_same)
{
    struct view_glyph glyph = glyph_of(&c, text_len, is_same);
    view_join_take(join, &glyph);
}

void view_join_end(struct view_join *join)
{
    if (join->waiting_count % 2 == 0 &&
        join->letters + (int)join->waiting_count / 2 >= VIEW_JOIN_LETTERS) {
        join_waiting(join);
    }
    for (size_t i = 0; i < join->waiting_count; i++) {
        show_waiting(join, &join->waiting[i]);
    }
    join->waiting_count = 0;
}

/* ---- text without anything in it ---- */

#define BLOCK  ((size_t)64)
#define STRIDE (BLOCK + 3) /* bytes that are looked at to judge a block */

/* Whether a block has a character that is not shown as it is, or two single letters with a
 * separator between them. `text` is STRIDE bytes. The second loop is such that the compiler
 * makes vectors of it. */
static bool is_suspect(const char *text, bool follows_word)
{
    unsigned char class[STRIDE + 1]; /* of the byte before text[0] on */
    class[0] = follows_word ? WORD : 0;
    for (size_t i = 0; i < STRIDE; i++) {
        class[i + 1] = (unsigned char)class_of(text[i]);
    }
    unsigned char suspect = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        unsigned char first = class[i + 1] & (class[i] >> 1 ^ LETTER);
        unsigned char separates = class[i + 2] >> 2;
        unsigned char second = class[i + 3] & (class[i + 4] >> 1 ^ LETTER);
        suspect |= (class[i + 1] & OTHER) |
                   (first & separates & (second | class[i + 3] >> 3) & LETTER);
    }
    return suspect != 0;
}

/* Whether a separator behind a single letter is certainly no part of a run: what follows it is
 * no letter, or begins a longer word. */
static bool ends_run(const char *text, size_t len)
{
    if (len < 3 || class_of(text[1]) & OTHER) {
        return false;
    }
    return !is_letter(text[1]) || class_of(text[2]) & WORD;
}

/* Byte by byte, `max` at most. */
static size_t take_bytes(struct view_join *join, const char *text, size_t len, size_t max)
{
    unsigned single = join->letters > 0;
    unsigned word = join->in_word;
    size_t at = 0;
    for (; at < len && at < max; at++) {
        unsigned class = class_of(text[at]);
        if (class & OTHER) {
            break;
        }
        if (single && class & SEPARATOR && !ends_run(text + at, len - at)) {
            break;
        }
        single = class & (word ^ 1u) & LETTER;
        word = class >> 1 & 1u;
        join->letters = (int)single;
    }
    join->in_word = word;
    return at;
}

/* Blocks that are not suspect; what is before them is no single letter. */
static size_t take_blocks(struct view_join *join, const char *text, size_t len)
{
    size_t at = 0;
    while (join->letters == 0 && len - at >= STRIDE && !is_suspect(text + at, join->in_word)) {
        at += BLOCK;
        unsigned before = class_of(text[at - 2]);
        unsigned last = class_of(text[at - 1]);
        join->in_word = last & WORD;
        join->letters = last & LETTER && !(before & WORD);
    }
    return at;
}

size_t view_join_take_clean(struct view_join *join, const char *text, size_t len)
{
    if (join->waiting_count > 0) {
        return 0;
    }
    size_t clean = 0;
    for (size_t n = 1; n > 0; clean += n) {
        clean += take_blocks(join, text + clean, len - clean);
        /* Through the suspect block, or past a letter that may be a single one. */
        size_t max = join->letters > 0 && len - clean >= STRIDE ? 1 : BLOCK;
        n = take_bytes(join, text + clean, len - clean, max);
    }
    if (clean > 0) {
        show(join, text, clean, clean, true);
    }
    return clean;
}
