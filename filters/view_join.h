/* view_join.h: the last step of the normalised view: letters that are spaced out become words.
 *
 * "b a d", "b.a.d", "b-a-d" and "b_a_d" are shown as "bad": a run of three or more single ASCII
 * letters with the same single separator between any two of them, before the first of which
 * and behind the last of which there is no letter or digit. A run is as long as it can be, and
 * runs are taken from left to right. The separators are not shown; what is not shown anyway
 * does not matter to a run.
 *
 * What waits: a separator behind a single letter, until it is known whether it belongs to a
 * run, and the next letter with it; until there are three letters up to two of each. Everything
 * else is shown at once.
 *
 * Threads: none. Ownership: view_join_init takes nothing, view_join_deinit releases.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filters/view_map.h"
#include "runtime/base/buf.h"

#define VIEW_JOIN_LETTERS 3 /* that make a run */

/* Something to show. */
struct view_glyph {
    const char *bytes;
    size_t len;        /* at least 1 */
    uint64_t text_len; /* bytes of the text that it was made of */
    bool is_same;      /* and they are the same */
    bool begins_word, ends_word;
};

/* An ASCII character that waits. */
struct view_waiting {
    char c;
    bool is_same;
    uint64_t text_len;
    uint64_t hidden_len; /* bytes behind it that nothing is shown of */
};

struct view_join {
    struct buf shown;    /* bytes of the view, from `head` on; the owner takes them out */
    struct view_map map; /* of all that was shown */

    bool in_word;   /* the last thing shown is a letter or digit */
    int letters;    /* of the run that the last thing shown is a letter of; 0: of none */
    char separator; /* of that run, when there are 2 letters or something waits */
    /* Separators and letters in turn, which may go on with the run. */
    struct view_waiting waiting[2 * (VIEW_JOIN_LETTERS - 1)];
    size_t waiting_count;
};

void view_join_init(struct view_join *join, size_t max);
void view_join_deinit(struct view_join *join);

void view_join_take(struct view_join *join, const struct view_glyph *glyph);
/* The same for one ASCII character. */
void view_join_take_ascii(struct view_join *join, char c, uint64_t text_len, bool is_same);
/* Bytes of the text that nothing is shown of. */
void view_join_hide(struct view_join *join, uint64_t text_len);

/* Takes what at the beginning of a text is shown as it is and makes nothing wait, as far as
 * that is seen without effort; returns its length. Only ASCII is. */
size_t view_join_take_clean(struct view_join *join, const char *text, size_t len);

/* Nothing follows: nothing waits any more. */
void view_join_end(struct view_join *join);

/* Whether memory ran out, or the bound of `shown`. */
bool view_join_has_failed(const struct view_join *join);
