/* view_unit.h: the characters of a text that are normalised together, and what becomes of them.
 *
 * A unit is one character with those behind it that can change what it is shown as: marks, and
 * the few others that join the character before them (Hangul vowels, vowel signs in two
 * parts). It is shown in Unicode's form NFKC (UAX 15), except that characters that look like an
 * ASCII character become that one (homoglyphs.h), and that marks over an ASCII character or a
 * Latin letter are not shown, whether they come with it in one character or behind it. So an
 * ASCII character is known without what follows it, and "é" is "e" in all its spellings.
 *
 * Units are made of text by its characters alone, so it does not matter how a stream is cut.
 * Threads and ownership: none; a unit is a plain struct.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIEW_UNIT_MANY                                                    \
    32 /* code points, from which on no more join; UAX 15 D3 has 30 marks \
        */
#define VIEW_UNIT_ROOM 64
#define VIEW_POINTS    20 /* that one character can become: 18 (UAX 15, NFKD) */

struct view_unit {
    int32_t points[VIEW_UNIT_ROOM]; /* decomposed; count == 0: there is no unit */
    size_t count;
    uint64_t text_len; /* bytes of the text that it is made of */
    char source[128];  /* these bytes, when is_copied */
    size_t source_len;
    bool is_copied; /* from the text and not out of an entity; nothing was left out */
};

/* Takes a character apart into points[VIEW_POINTS]. 0: it is not shown at all (Unicode's
 * Default_Ignorable_Code_Point: zero-width, directional, variation selectors ...). */
size_t view_unit_decompose(uint32_t code_point, int32_t *points);

bool view_unit_is_mark(int32_t point);

/* Whether a character that begins with this point belongs to the unit. */
bool view_unit_goes_on(const struct view_unit *unit, int32_t point);

/* `source` is how the character is written, NULL when by an entity. */
void view_unit_add(struct view_unit *unit, const int32_t *points, size_t count,
                   const char *source, size_t text_len);
/* Bytes that are not shown, within the unit. */
void view_unit_hide(struct view_unit *unit, size_t text_len);

/* Whether nothing that follows can become a part of it. */
bool view_unit_is_settled(const struct view_unit *unit);

/* What it is shown as, UTF-8. */
struct view_shown {
    char bytes[4 * VIEW_UNIT_ROOM];
    size_t len;
    bool begins_word, ends_word; /* with a letter or digit */
    bool ends_plain;             /* marks behind it are not shown */
};
void view_unit_show(const struct view_unit *unit, struct view_shown *shown);
