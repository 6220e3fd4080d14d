#include "filters/view_join.h"

#include <string.h>

static bool is_letter(char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26;
}

static bool is_separator(char c)
{
    return c == ' ' || c == '.' || c == '-' || c == '_';
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

static struct view_glyph glyph_of(const struct view_waiting *waiting)
{
    bool in_word = is_letter(waiting->c);
    return (struct view_glyph){.bytes = &waiting->c,
                               .len = 1,
                               .text_len = waiting->text_len,
                               .is_same = waiting->is_same,
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
        struct view_glyph glyph = glyph_of(&waiting[i]);
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

/* Whether a block has a character that is not shown as it is, or two single letters with a
 * separator between them. `text` is VIEW_JOIN_STRIDE bytes, `before` the byte before it. The
 * loops are such that the compiler makes vectors of them. */
static bool is_suspect(const char *text, bool before_is_word)
{
    unsigned char letter[VIEW_JOIN_STRIDE];
    unsigned char word[VIEW_JOIN_STRIDE + 1]; /* of the byte before */
    unsigned char other[VIEW_JOIN_STRIDE];
    for (size_t i = 0; i < VIEW_JOIN_STRIDE; i++) {
        unsigned char c = (unsigned char)text[i];
        letter[i] = (unsigned char)((c | 0x20u) - 'a') < 26;
        word[i + 1] = letter[i] | ((unsigned char)(c - '0') < 10);
        other[i] = (c >= 0x80) | (c == '&');
    }
    word[0] = before_is_word;
    unsigned char suspect = 0;
    for (size_t i = 0; i < VIEW_JOIN_BLOCK; i++) {
        unsigned char c = (unsigned char)text[i + 1];
        unsigned char separates = (c == ' ') | (c == '.') | (c == '-') | (c == '_');
        unsigned char second = (letter[i + 2] & (word[i + 4] ^ 1u)) | other[i + 2];
        suspect |= other[i] | (letter[i] & (word[i] ^ 1u) & separates & second);
    }
    return suspect;
}

size_t view_join_take_clean(struct view_join *join, const char *text, size_t len)
{
    if (join->waiting_count > 0 || join->letters > 0) {
        return 0;
    }
    size_t clean = 0;
    bool in_word = join->in_word;
    while (len - clean >= VIEW_JOIN_STRIDE && !is_suspect(text + clean, in_word)) {
        clean += VIEW_JOIN_BLOCK;
        char last = text[clean - 1];
        in_word = is_letter(last) || (last >= '0' && last <= '9');
    }
    if (clean > 0) {
        char last = text[clean - 1];
        char second = text[clean - 2];
        bool follows_word = is_letter(second) || (second >= '0' && second <= '9');
        show(join, text, clean, clean, true);
        join->in_word = in_word;
        join->letters = is_letter(last) && !follows_word ? 1 : 0;
    }
    return clean;
}
