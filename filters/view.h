/* view.h: a text as a filter is shown it, made of what was written while it is written.
 *
 * As it is written; of a text that is JSON, with the escapes in its strings decoded; or
 * normalised, so that what is hidden in the spelling is seen:
 *   - HTML character references are the characters they stand for (entities.h), once
 *   - what has no appearance is not there: zero-width characters, directional controls, soft
 *     hyphens, variation selectors, controls that are no white space, and whatever else
 *     Unicode calls default-ignorable
 *   - compatibility forms are plain (NFKC), characters that look like ASCII are ASCII
 *     (homoglyphs.h), and letters of ASCII and Latin have no marks (view_unit.h)
 *   - letters that are spaced out are joined (view_join.h)
 * in this order. A text of ASCII without "&", controls and spaced letters is shown byte for
 * byte.
 *
 * The view is a function of the text; after every call that has been made of it which no text
 * behind can change. On ASCII this is exact, and nothing waits but what may be the beginning of
 * an entity or of spaced letters; a letter of another script that marks may join waits for the
 * next character.
 *
 * Offsets: `start` and view_end count bytes of the view; view_before and view_begin give places
 * in the text.
 *
 * Threads: none. Ownership: view_init takes nothing, view_deinit releases.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filters/entities.h"
#include "filters/view_join.h"
#include "filters/view_unit.h"

struct view {
    bool is_normalised;
    bool is_json;   /* escapes are decoded, before all else */
    uint64_t start; /* the cursor: what is before it has been dropped */
    uint64_t read;  /* bytes of the text so far */
    size_t head;    /* bytes of join.shown that were dropped */
    size_t history; /* how far back from the cursor offsets are asked for */
    bool has_ended;

    char entity[ENTITY_MAX + 4]; /* the beginning of one, or of an escape, perhaps */
    size_t entity_len;
    struct view_unit unit; /* what may still get a mark */
    bool is_plain;         /* marks that follow are not shown */
    struct view_join join;
};

/* `max`: bytes that are kept at once; `history`: see there. */
void view_init(struct view *view, bool is_normalised, bool is_json, size_t max, size_t history);
void view_deinit(struct view *view);

/* More text: whole characters, valid UTF-8. 0, or -1 when memory or the bound ran out. */
int view_feed(struct view *view, const char *text, size_t len);
/* Nothing follows. Returns as above. */
int view_finish(struct view *view);

/* What there is from the cursor on. Valid until the view is fed, finished or compacted. */
const char *view_text(const struct view *view);
uint64_t view_end(const struct view *view);
/* The cursor goes to `at`, which is not before it. */
void view_drop(struct view *view, uint64_t at);

/* Gives back the space of what was dropped. */
void view_compact(struct view *view);

/* See view_map.h. */
uint64_t view_floor(const struct view *view, uint64_t at);
uint64_t view_ceil(const struct view *view, uint64_t at);
uint64_t view_before(const struct view *view, uint64_t at);
uint64_t view_begin(const struct view *view, uint64_t at);

/* The whole of a text normalised at once. 0, or -1 when memory or the bound of `out` ran out.
 */
int view_normalise(const char *text, size_t len, struct buf *out);
